"""Versioned buckets in an account that moto imitates."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from botocore.session import get_session
from moto import mock_aws

from tests.operations.buckets import DATA, MODELS, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock_aws():
        client = cast("S3Client", get_session().create_client("s3", region_name=REGION))
        for bucket in (DATA, MODELS):
            client.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": REGION},
                ObjectLockEnabledForBucket=True,
            )
        yield client
