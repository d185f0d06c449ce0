"""Regions of each AWS partition and the services that SageMaker and EKS workloads reach privately, as data.

Sources, read 2026-11-22: the regions of botocore 1.44.5 (`endpoints.json`; the isolated partitions are left out) and
the AWS PrivateLink guide, "AWS services that integrate with AWS PrivateLink". A new region or service is one more word.
"""

from typing import Final

from settings.model import Partition


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REGIONS: Final = {
    Partition.AWS: _words("""
        af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1
        ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1
        eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1
        me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2
    """),
    Partition.CHINA: _words("cn-north-1 cn-northwest-1"),
    Partition.GOV_CLOUD: _words("us-gov-east-1 us-gov-west-1"),
}
"""Regions of each partition."""

GATEWAY_ENDPOINTS: Final = _words("s3 dynamodb")
"""Services with a gateway endpoint, which is free and needs no address."""

INTERFACE_ENDPOINTS: Final = _words("""
    application-autoscaling autoscaling codebuild ec2 ec2messages ecr.api ecr.dkr eks eks-auth elasticfilesystem
    elasticloadbalancing events kms lambda logs monitoring sagemaker.api sagemaker.featurestore-runtime
    sagemaker.metrics sagemaker.runtime secretsmanager sns sqs ssm ssmmessages states sts xray
""")
"""Services whose endpoint is called `com.amazonaws.<region>.<service>`."""
