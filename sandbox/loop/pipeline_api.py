"""Pipeline executions that really run, where moto calls each one succeeded at once."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

from moto.sagemaker.models import sagemaker_backends

from sandbox.loop.environment import Environment, Refusal
from sandbox.loop.execution import Execution
from sandbox.loop.execution_parts import Cache, Start
from sandbox.loop.references import UnresolvedError
from sandbox.loop.wire import Moto, body

if TYPE_CHECKING:
    from datetime import datetime
    from wsgiref.types import WSGIEnvironment

    from moto.sagemaker.models import FakePipeline, FakePipelineExecution

    from sandbox.loop.execution_parts import StepRun
    from sandbox.loop.loopback import Clients


_ID_DIGITS = 12


class PipelineApi:
    """`StartPipelineExecution` once for each token, and what its steps do."""

    names = frozenset({"StartPipelineExecution", "DescribePipelineExecution", "ListPipelineExecutionSteps"})

    def __init__(self, environment: Environment, clients: Clients) -> None:
        self._environment, self._clients = environment, clients
        self._executions: dict[str, Execution] = {}
        self._tokens: dict[tuple[str, str], str] = {}
        self._cache: Cache = {}

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:
        """Answer one request; the caller lets one in at a time."""
        request = json.loads(body(environ))
        if operation == "StartPipelineExecution":
            return {"PipelineExecutionArn": self._start(request, moto)}
        found = self._executions.get(request["PipelineExecutionArn"])
        if found is None:
            raise Refusal("ResourceNotFound", f"there is no execution {request['PipelineExecutionArn']}")
        if operation == "DescribePipelineExecution":
            return {**(moto.ask() or {}), "FailureReason": found.failure}
        return {"PipelineExecutionSteps": [_shown(step) for step in reversed(found.steps)]}

    def _start(self, request: dict[str, Any], moto: Moto) -> str:
        """Start an execution, or name the one that was started with the same token.

        Source: SageMaker API reference, `StartPipelineExecution`, `ClientRequestToken`.
        """
        token = (request["PipelineName"], request["ClientRequestToken"])
        if token in self._tokens:
            return self._tokens[token]
        answered = moto.ask()
        if answered is None:
            raise Refusal("ResourceNotFound", f"there is no pipeline {request['PipelineName']}")
        arn = self._renamed(answered["PipelineExecutionArn"], token)
        start = Start(
            pipeline=request["PipelineName"],
            arn=arn,
            definition=json.loads(self._pipeline(request["PipelineName"]).pipeline_definition),
            parameters={each["Name"]: each["Value"] for each in request.get("PipelineParameters", [])},
        )
        try:
            execution = Execution(start, self._clients, self._cache, self._publish)
        except UnresolvedError as error:
            raise Refusal("ValidationException", str(error)) from error
        self._tokens[token] = arn
        self._executions[arn] = execution
        self._publish(execution)
        threading.Thread(target=execution.run, name=f"pipeline-{start.id}", daemon=True).start()
        return arn

    def _renamed(self, arn: str, token: tuple[str, str]) -> str:
        """Give an execution an id that its token decides, so that lost memory is rebuilt with the same names."""
        records = self._pipeline(token[0]).pipeline_executions
        record: FakePipelineExecution = records.pop(arn)
        record.arn = f"{arn.rpartition('/')[0]}/{hashlib.sha256('/'.join(token).encode()).hexdigest()[:_ID_DIGITS]}"
        records[record.arn] = record
        return record.arn

    def _pipeline(self, name: str) -> FakePipeline:
        return sagemaker_backends[self._environment.account_id][self._environment.region].pipelines[name]

    def _publish(self, execution: Execution) -> None:
        """Bring moto's record of an execution up to date."""
        records = self._pipeline(execution.start.pipeline).pipeline_executions
        record: FakePipelineExecution = records[execution.start.arn]
        values = {
            "pipeline_execution_status": execution.status,
            "pipeline_execution_failure_reason": execution.failure or None,
        }
        for name, value in values.items():
            setattr(record, name, value)


def _shown(step: StepRun) -> dict[str, object]:
    """A step in the API's spelling; times are seconds since 1970."""
    values: dict[str, object] = {
        "StepName": step.name,
        "StepStatus": step.status,
        "StartTime": step.started.timestamp(),
        "EndTime": _seconds(step.ended),
        "FailureReason": step.failure or None,
        "Metadata": step.metadata or None,
        "AttemptCount": step.attempts or None,
        "CacheHitResult": {"SourcePipelineExecutionArn": step.cached_from} if step.cached_from else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()
