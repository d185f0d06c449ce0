"""Runs one execution of a pipeline: does with a definition what SageMaker Pipelines would do with it.

Steps run one after the other, each as soon as the steps that it refers to have ended. Provided: Processing, Training,
Tuning, Condition, RegisterModel and Fail, with parameters, references, caching and retries, whose waits are shortened.
Source: SageMaker developer guide on Pipelines: "Add a step", "Caching pipeline steps", "Retry Policy for Pipeline
Steps".
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.loop.conditions import holds
from sandbox.loop.execution_parts import CachedJob, StepRun, values_of
from sandbox.loop.references import Scope, UnresolvedError, resolve, steps_named
from sandbox.loop.request import split_uri
from sandbox.loop.step_jobs import JOBS, JobKind, StepFailedError, exception_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.loop.execution_parts import Cache, Start
    from sandbox.loop.loopback import Clients

RETRY_SCALE: Final = 0.001
"""Share of the published waits between retries that is waited here."""
POLL_SECONDS: Final = 0.1
_TOKEN_DIGITS: Final = 8
"""With the longest prefix, an execution's id and two digits of attempts a job's name then has the 63 characters that
SageMaker allows, a tuning job's 31 of 32."""


class Execution:
    """One execution; `run` returns when it has ended."""

    def __init__(self, start: Start, clients: Clients, cache: Cache, publish: Callable[[Execution], None]) -> None:
        self.start = start
        self.steps: list[StepRun] = []
        self.status = "Executing"
        self.failure = ""
        self._clients, self._cache, self._publish = clients, cache, publish
        self._results: dict[str, dict[str, Any]] = {}
        self._files: dict[tuple[str, str], object] = {}
        self._scope = Scope(
            parameters=values_of(start.definition, start.parameters),
            execution={
                "PipelineExecutionId": start.id,
                "PipelineExecutionArn": start.arn,
                "PipelineName": start.pipeline,
            },
            steps=self._results,
            property_file=lambda step, name: self._files[step, name],
        )

    def run(self) -> None:
        """Run every step; the outcome is in `status` and `failure`."""
        try:
            self._run_all(self.start.definition["Steps"])
        except StepFailedError as error:
            self.status, self.failure = "Failed", str(error)
        except Exception as error:  # noqa: BLE001 - whatever else breaks becomes the execution's status
            self.status, self.failure = "Failed", f"{type(error).__name__}: {error}"
        else:
            self.status = "Succeeded"
        self._publish(self)

    def _run_all(self, steps: Sequence[Mapping[str, Any]]) -> None:
        waiting = list(steps)
        while waiting:
            step = next((each for each in waiting if self._is_ready(each)), None)
            if step is None:
                names = ", ".join(each["Name"] for each in waiting)
                raise StepFailedError(f"steps {names} wait for one another, or for a step that is not there")
            waiting.remove(step)
            self._run(step)

    def _is_ready(self, step: Mapping[str, Any]) -> bool:
        """Whether every step has ended that this one, or a step inside it, refers to."""
        inside = {each["Name"] for branch in ("IfSteps", "ElseSteps") for each in step["Arguments"].get(branch, [])}
        needs = steps_named(step["Arguments"]) - inside | set(step.get("DependsOn", []))
        ended = {each.name for each in self.steps if each.status == "Succeeded"}
        return needs <= ended

    def _run(self, step: Mapping[str, Any]) -> None:
        run = StepRun(step["Name"])
        self.steps.append(run)
        self._publish(self)
        try:
            self._RUNNERS[step["Type"]](self, step, run)
        except StepFailedError as error:
            if run.ended is None:
                run.end("Failed", str(error))
            raise
        except (UnresolvedError, ClientError, BotoCoreError) as error:
            run.end("Failed", f"ClientError: {error}")
            raise StepFailedError(f"step {run.name}: {error}") from error
        finally:
            self._publish(self)

    def _job(self, step: Mapping[str, Any], run: StepRun) -> None:
        kind = JOBS[step["Type"]]
        arguments = resolve(step["Arguments"], self._scope)
        prefix = arguments.pop(kind.name, "pipelines")
        key = hashlib.sha256(json.dumps([step["Type"], arguments], sort_keys=True).encode()).hexdigest()
        described = self._cached(step, kind, key, run)
        if described is None:
            described = self._attempts(step, kind, run, prefix, arguments)
            self._cache[key] = CachedJob(described[kind.name], self.start.arn, datetime.now(UTC))
        self._results[run.name] = described
        run.metadata = {kind.metadata: {"Arn": described[kind.arn]}}
        self._read_files(step, described)
        run.end("Succeeded")

    def _cached(self, step: Mapping[str, Any], kind: JobKind, key: str, run: StepRun) -> dict[str, Any] | None:
        """What describes the job that ran with the same arguments, if the step may take it."""
        config, found = step.get("CacheConfig", {}), self._cache.get(key)
        if found is None or not config.get("Enabled"):
            return None
        days = int(config["ExpireAfter"].removeprefix("P").removesuffix("D"))
        if datetime.now(UTC) - found.when > timedelta(days=days):
            return None
        run.cached_from = found.execution
        return kind.describe(self._clients.sagemaker, found.job)

    def _attempts(
        self, step: Mapping[str, Any], kind: JobKind, run: StepRun, prefix: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """Start the job until it ends well, as often as the step's retry policies say."""
        while True:
            name = job_name(prefix, self.start.id, f"{self.start.arn}/{run.name}", run.attempts)
            run.attempts += 1
            described = self._once(kind, run, name, arguments)
            if described[kind.status] == "Completed":
                return described
            reason = described.get("FailureReason") or f"ended as {described[kind.status]}"
            if said := described.get("ExitMessage"):
                reason = f"{reason}: {said}"
            wait = _wait(step, exception_type(reason), run.attempts)
            if wait is None:
                raise StepFailedError(f"step {run.name}, job {name}: {reason}")
            time.sleep(wait * RETRY_SCALE)

    def _once(self, kind: JobKind, run: StepRun, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        client = self._clients.sagemaker
        try:
            kind.create(client, {**arguments, kind.name: name})
        except ClientError as error:
            return {kind.status: "Failed", "FailureReason": f"{error.response.get('Error', {}).get('Code')}: {error}"}
        while True:
            described = kind.describe(client, name)
            run.metadata = {kind.metadata: {"Arn": described[kind.arn]}}
            self._publish(self)
            if described[kind.status] not in {"InProgress", "Stopping"}:
                return described
            time.sleep(POLL_SECONDS)

    def _read_files(self, step: Mapping[str, Any], described: dict[str, Any]) -> None:
        """Read the property files of a processing step, as far as they are there."""
        for each in step.get("PropertyFiles", []):
            outputs = {one["OutputName"]: one["S3Output"] for one in described["ProcessingOutputConfig"]["Outputs"]}
            bucket, prefix = split_uri(outputs[each["OutputName"]]["S3Uri"])
            answer = self._clients.s3.get_object(Bucket=bucket, Key=f"{prefix}/{each['FilePath']}")
            self._files[step["Name"], each["PropertyFileName"]] = json.loads(answer["Body"].read())

    def _condition(self, step: Mapping[str, Any], run: StepRun) -> None:
        arguments = step["Arguments"]
        passed = all(holds(condition, self._scope) for condition in arguments["Conditions"])
        run.metadata = {"Condition": {"Outcome": "True" if passed else "False"}}
        run.end("Succeeded")
        self._run_all(arguments["IfSteps" if passed else "ElseSteps"])

    def _register(self, step: Mapping[str, Any], run: StepRun) -> None:
        arguments = resolve(step["Arguments"], self._scope)
        token = hashlib.sha256(f"{self.start.arn}/{run.name}".encode()).hexdigest()[:36]
        arn = self._clients.sagemaker.create_model_package(**arguments, ClientToken=token)["ModelPackageArn"]
        self._results[run.name] = {"ModelPackageArn": arn}
        run.metadata = {"RegisterModel": {"Arn": arn}}
        run.end("Succeeded")

    def _fail(self, step: Mapping[str, Any], run: StepRun) -> None:
        message = str(resolve(step["Arguments"], self._scope)["ErrorMessage"])
        run.metadata = {"Fail": {"ErrorMessage": message}}
        raise StepFailedError(message)

    _RUNNERS: Final = {
        "Processing": _job,
        "Training": _job,
        "Tuning": _job,
        "Condition": _condition,
        "RegisterModel": _register,
        "Fail": _fail,
    }


def job_name(prefix: str, execution: str, step: str, attempts: int) -> str:
    """Name of a step's job after so many attempts, like those of SageMaker: prefix, execution, step, attempt."""
    return f"{prefix}-{execution}-{hashlib.sha256(step.encode()).hexdigest()[:_TOKEN_DIGITS]}-{attempts}"


def _wait(step: Mapping[str, Any], exception: str, attempts: int) -> float | None:
    """Seconds until the next attempt; None when no policy of the step gives one."""
    for policy in step.get("RetryPolicies", []):
        if exception in policy["ExceptionType"] and attempts < policy["MaxAttempts"]:
            return policy["IntervalSeconds"] * policy["BackoffRate"] ** (attempts - 1)
    return None
