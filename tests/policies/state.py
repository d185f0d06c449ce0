"""A hand-written deployment, as `pulumi stack export` gives it: a bucket and a template that pass, two that do not."""

import json
from typing import Any

STACK = "urn:pulumi:prod::slipway::pulumi:pulumi:Stack::slipway-prod"
TAGS = {
    "Project": "slipway",
    "Environment": "prod",
    "Owner": "ml",
    "CostCenter": "42",
    "DataClassification": "internal",
}
GOOD_POLICY = {
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::slipway-good", "arn:aws:s3:::slipway-good/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
}
SSE = {
    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "alias/slipway"},
    "bucketKeyEnabled": True,
}
FLAGS = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
TEMPLATE = {
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
    "tagSpecifications": [{"resourceType": kind, "tags": TAGS} for kind in ("instance", "volume")],
    "tags": TAGS,
}
LIFECYCLE = {
    "id": "retention",
    "status": "Enabled",
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
    "noncurrentVersionExpiration": {"noncurrentDays": 30},
}
VERSIONING = {"versioningConfiguration": {"status": "Enabled"}}
LOGGING = {"targetBucket": "slipway-logs", "targetPrefix": "good/"}


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:prod::slipway::{token}::{name}"


def held(
    token: str, name: str, properties: dict[str, Any], edges: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    return {
        "urn": urn(token, name),
        "custom": True,
        "id": name,
        "type": token,
        "inputs": properties,
        "outputs": properties,
        "protect": name == "good",
        "parent": STACK,
        "propertyDependencies": edges or {},
    }


def deployment() -> str:
    """The state as JSON text."""
    bucket = "aws:s3/bucket:Bucket"
    edge = {"bucket": [urn(bucket, "good")]}
    side = {"bucket": "slipway-good"}
    resources: list[dict[str, Any]] = [
        {"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack", "inputs": {}, "outputs": {}},
        held(bucket, "good", {"bucket": "slipway-good", "tags": TAGS}),
        held("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "block", {**side, **FLAGS}, edge),
        held("aws:s3/bucketPolicy:BucketPolicy", "policy", {**side, "policy": json.dumps(GOOD_POLICY)}, edge),
        held(
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "encryption",
            {**side, "rules": [SSE]},
            edge,
        ),
        held("aws:s3/bucketVersioning:BucketVersioning", "versions", {**side, **VERSIONING}, edge),
        held(
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "lifecycle",
            {**side, "rules": [LIFECYCLE]},
            edge,
        ),
        held("aws:s3/bucketLogging:BucketLogging", "logging", {**side, **LOGGING}, edge),
        held(bucket, "bad", {"bucket": "slipway-bad", "tags": TAGS}),
        held("aws:ec2/launchTemplate:LaunchTemplate", "good-nodes", TEMPLATE),
        held("aws:ec2/launchTemplate:LaunchTemplate", "bad-nodes", {"tags": TAGS}),
    ]
    manifest = {"time": "2026-11-22T00:00:00Z", "magic": "", "version": "v3.250.0"}
    return json.dumps({"version": 3, "deployment": {"manifest": manifest, "resources": resources}})
