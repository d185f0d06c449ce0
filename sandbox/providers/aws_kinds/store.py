"""S3, ECR, secrets and log groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import BUCKET, REPOSITORY, SECRET, side
from sandbox.providers.kinds import Birth, Kind, arn, fill, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Properties


def _bucket(birth: Birth, id_: str) -> Properties:
    return {
        "arn": f"arn:{birth.place.partition}:s3:::{id_}",
        "bucketDomainName": f"{id_}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{id_}.s3.{birth.place.region}.amazonaws.com",
        "region": birth.place.region,
        "bucketRegion": birth.place.region,
    }


def _repository(birth: Birth, id_: str) -> Properties:
    place = birth.place
    return {
        "registryId": place.account_id,
        "repositoryUrl": f"{place.account_id}.dkr.ecr.{place.region}.amazonaws.com/{id_}",
    }


def _secret_arn(birth: Birth) -> str:
    """The ARN of a secret ends in six characters that are drawn anew when one of the same name is made."""
    return fill("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-", birth, "") + birth.hex(6, "secret")


KINDS: Final[dict[str, Kind]] = {
    BUCKET: Kind(
        identify=joined("bucket"),
        compute=_bucket,
        immutable=frozenset({"bucket", "bucketPrefix", "objectLockEnabled"}),
        autoname="bucket",
        api=("s3", "CreateBucket", ""),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": side(BUCKET, api=("s3", "PutBucketVersioning", "")),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": side(BUCKET),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": side(BUCKET),
    "aws:s3/bucketPolicy:BucketPolicy": side(BUCKET),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": side(BUCKET),
    "aws:s3/bucketLogging:BucketLogging": side(BUCKET),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": side(BUCKET),
    "aws:s3/bucketNotification:BucketNotification": side(BUCKET),
    REPOSITORY: Kind(
        identify=joined("name"),
        compute=together(arn("arn:{partition}:ecr:{region}:{account}:repository/{id}"), _repository),
        immutable=frozenset({"name", "encryptionConfigurations"}),
        autoname="name",
        api=("ecr", "CreateRepository", ""),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": side(REPOSITORY, "repository", None, "policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": side(REPOSITORY, "repository"),
    SECRET: Kind(
        identify=_secret_arn,
        compute=lambda _, id_: {"arn": id_},
        immutable=frozenset({"name", "namePrefix"}),
        autoname="name",
        api=("secretsmanager", "CreateSecret", ""),
    ),
    "aws:secretsmanager/secretRotation:SecretRotation": side(SECRET, "secretId"),
    "aws:s3/bucketObjectv2:BucketObjectv2": Kind(
        identify=joined("bucket", "key"),
        compute=arn("arn:{partition}:s3:::{bucket}/{key}"),
        immutable=frozenset({"bucket", "key"}),
        needs={"bucket": BUCKET},
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:logs:{region}:{account}:log-group:{id}"),
        immutable=frozenset({"name", "namePrefix", "logGroupClass"}),
        autoname="name",
        api=("logs", "CreateLogGroup", ""),
    ),
}
