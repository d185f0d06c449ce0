"""Executions of a model's pipeline as thin calls on boto3 clients; each may be repeated and then finds its own result.

Source: Amazon SageMaker API Reference, StartPipelineExecution: the same token gives the same execution.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.steps import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

_NEVER = datetime.max.replace(tzinfo=UTC)
_RUNNING = frozenset({"Executing", "Stopping"})


class PipelineFailedError(LifecycleError):
    """An execution ended without a version; the message says which step refused, and why."""


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution that runs or has run."""

    arn: str
    """ARN of the execution."""
    created: bool
    """False when it had been started before."""


def token(pipeline: str, definition: str, parameters: Mapping[str, str], attempt: int) -> str:
    """Token of an execution: one for each pipeline as it is defined, with the same data and image, and attempt."""
    content = json.dumps([pipeline, definition, dict(parameters), attempt], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def start_or_adopt(
    sagemaker: SageMakerClient, pipeline: str, parameters: Mapping[str, str], *, max_attempts: int
) -> Execution:
    """Start an execution, or adopt the one that runs or has succeeded with the same definition and parameters.

    However often an event is delivered, in whatever order and at the same time, there is one execution: SageMaker
    itself keeps the token. A failed execution is followed by the next attempt, whose steps take what is cached.

    Raises:
        PipelineFailedError: All attempts have failed.
    """
    definition = sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineDefinition"]
    known = _arns(sagemaker, pipeline)
    reason = ""
    for attempt in range(1, max_attempts + 1):
        arn = sagemaker.start_pipeline_execution(
            PipelineName=pipeline,
            PipelineParameters=[{"Name": name, "Value": value} for name, value in sorted(parameters.items())],
            ClientRequestToken=token(pipeline, definition, parameters, attempt),
        )["PipelineExecutionArn"]
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        if arn not in known or found["PipelineExecutionStatus"] in {*_RUNNING, "Succeeded"}:
            return Execution(arn, created=arn not in known)
        reason = found.get("FailureReason", found["PipelineExecutionStatus"])
    raise PipelineFailedError(f"all {max_attempts} attempts failed; change data, code or settings\n{reason}")


def _arns(sagemaker: SageMakerClient, pipeline: str) -> set[str]:
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline)
    return {each.get("PipelineExecutionArn", "") for page in pages for each in page["PipelineExecutionSummaries"]}


def wait_for_execution(
    sagemaker: SageMakerClient,
    arn: str,
    *,
    on_progress: Callable[[Sequence[PipelineExecutionStepTypeDef]], None],
    poll_seconds: float,
    timeout_seconds: float,
) -> list[PipelineExecutionStepTypeDef]:
    """Wait until an execution has succeeded.

    Returns:
        Its steps in the order in which they started.

    Raises:
        PipelineFailedError: A step failed, the gate refused the model, or somebody stopped it.
        LifecycleError: It is still running after `timeout_seconds`; it goes on and can be waited for again.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        steps = list_steps(sagemaker, arn)
        on_progress(steps)
        if found["PipelineExecutionStatus"] not in _RUNNING:
            break
        if time.monotonic() > deadline:
            raise LifecycleError(f"{arn} is still {found['PipelineExecutionStatus']} after {timeout_seconds:.0f} s")
        time.sleep(poll_seconds)
    if found["PipelineExecutionStatus"] != "Succeeded":
        raise PipelineFailedError(found.get("FailureReason") or f"{arn} ended as {found['PipelineExecutionStatus']}")
    return steps


def list_steps(sagemaker: SageMakerClient, arn: str) -> list[PipelineExecutionStepTypeDef]:
    """Steps of an execution in the order in which they started."""
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
    return sorted(steps, key=lambda step: step.get("StartTime", _NEVER))
