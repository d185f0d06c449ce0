"""What AWS Lambda calls when a version of a model has changed, and the same in process.

    record(sagemaker, s3, Mlflow(arn, credentials, "http://127.0.0.1:5000"), event)

An event is a hint: what is copied is what the registry says now, so events may come twice, late and in any order.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session
from aws_lambda_powertools import Logger, Tracer
from botocore.config import Config

from tracking.mlflow import Mlflow
from tracking.version import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

SERVICE: Final = "tracking"

logger = Logger(service=SERVICE)
tracer = Tracer(service=SERVICE)


def record(sagemaker: SageMakerClient, s3: S3Client, mlflow: Mlflow, event: Mapping[str, Any]) -> dict[str, str | int]:
    """Copy the version that an event is about.

    Returns:
        What was done, for the log.

    Raises:
        MlflowError: A request to MLflow was refused.
        KeyError: The event is about no version.
    """
    version = read(sagemaker, s3, event["detail"]["ModelPackageArn"])
    run = mlflow.record(version)
    return {"version": version.arn, "approval": version.approval, "run": run}


@cache
def lambda_clients() -> tuple[SageMakerClient, S3Client, Mlflow]:
    """Clients of the function's environment variables, once for each process.

    Raises:
        RuntimeError: There are no credentials.
    """
    config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    session = botocore.session.get_session()
    credentials = session.get_credentials()
    if credentials is None:
        raise RuntimeError("no AWS credentials: the function runs as a role")
    return (
        cast("SageMakerClient", session.create_client("sagemaker", config=config)),
        cast("S3Client", session.create_client("s3", config=config)),
        Mlflow(os.environ["APP_ARN"], credentials),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one event; what fails, Lambda tries again, and keeps at last."""
    del context
    logger.info(record(*lambda_clients(), event))
