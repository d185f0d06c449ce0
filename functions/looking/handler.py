"""What EventBridge Scheduler calls when it is time to look for drift of a model, and the same in process.

    look(Clients(s3=…, sagemaker=…), Model.read(os.environ), {"time": "2026-11-23T03:00:00Z"})

The same time starts the same execution as long as the same version serves: Scheduler and Lambda both deliver at least
once. What fails is raised, so that Lambda tries again, and keeps the event at last.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self, cast

import botocore.session
from aws_lambda_powertools import Logger, Tracer
from botocore.config import Config
from botocore.exceptions import ClientError

from lifecycle import steps
from lifecycle.steps import LifecycleError
from looking.service import Version, choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

SERVICE: Final = "looking"
PLACEHOLDER, CONTENT = "none.json", b"{}"
"""What a memory holds before the first look: SageMaker refuses a job one of whose inputs holds nothing."""

logger = Logger(service=SERVICE)
tracer = Tracer(service=SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """What a look needs of AWS."""

    s3: S3Client
    sagemaker: SageMakerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the function is told of its model."""

    pipeline: str
    """Name of the pipeline that looks for drift."""
    group: str
    """Model package group."""
    where: str
    """Where releases bring versions to; empty where the program itself moves what serves."""
    bucket: str
    """The models bucket."""
    memory: str
    """Prefix of the memories of the versions."""
    approved: Version
    """The version in the stack file."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The model in the variables of the function."""
        return cls(
            pipeline=environ["PIPELINE"],
            group=environ["PACKAGE_GROUP"],
            where=environ["PLACE"],
            bucket=environ["MODELS_BUCKET"],
            memory=environ["MEMORY"],
            approved=Version.read(json.loads(environ["APPROVED"])),
        )


def look(clients: Clients, model: Model, event: Mapping[str, Any]) -> dict[str, str]:
    """Start a look at the version that serves.

    Returns:
        What was done, for the log.

    Raises:
        LifecycleError: The event does not say what time it is of, or the registry cannot be read.
    """
    time = event.get("time")
    if not isinstance(time, str) or not time:
        raise LifecycleError(f'the event {json.dumps(event)} names no time; allowed: {{"time": "<any text, once>"}}')
    choice = choose(steps.packages(clients.sagemaker, model.group), model.where, model.approved)
    version = choice.version
    _begin_memory(clients.s3, model.bucket, f"{model.memory}{version.number}/{PLACEHOLDER}")
    description, parameters = f"version {version.number}: {choice.why}", version.parameters()
    started = clients.sagemaker.start_pipeline_execution(
        PipelineName=model.pipeline,
        PipelineExecutionDescription=description,
        PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
        ClientRequestToken=_token(model.pipeline, time, description, parameters),
    )
    return {"version": version.number, "why": choice.why, "execution": started["PipelineExecutionArn"], "time": time}


def _token(*asked: object) -> str:
    """Never the same for two requests that differ, which SageMaker may refuse or answer with the first."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _begin_memory(s3: S3Client, bucket: str, key: str) -> None:
    """Put the placeholder of a version's memory where there is none.

    Source: Amazon S3 user guide, "How to prevent object overwrites with conditional writes".
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=CONTENT, ContentType="application/json", IfNoneMatch="*")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
            raise


@cache
def lambda_clients() -> Clients:
    """Clients of the function, once for each process."""
    config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    session = botocore.session.get_session()
    return Clients(
        s3=cast("S3Client", session.create_client("s3", config=config)),
        sagemaker=cast("SageMakerClient", session.create_client("sagemaker", config=config)),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Answer one event; what fails, Lambda tries again, and keeps at last."""
    del context
    done = look(lambda_clients(), Model.read(os.environ), event)
    logger.info(done)
    return done
