"""Pipelines made a second time, by SageMaker's own SDK; runs in an environment of its own (`make test-sdk`)."""

import os

# The SDK makes clients while it is imported, which ask for a region and for credentials; no file of the user's and no
# metadata service is to answer.
os.environ |= {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # It would ask IAM what the roles may do.
    "SAGEMAKER_VALIDATE_ROLE": "false",
}
