"""Names of the buckets that tests of people's records use."""

REGION = "eu-central-1"
DATA, MODELS = "data-bucket", "models-bucket"
