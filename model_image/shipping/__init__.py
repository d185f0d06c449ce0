"""Takes finished files of captures to S3, beside the server and out of its way."""
