"""A month's data arrives: it is announced, trained on, judged, and registered or not; each event has one end."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle import pipelines, steps
from retraining.events import OURS, REQUESTED
from retraining.handler import TICK_EVENT, deliver
from sandbox.loop.retraining import ALARMS, object_created, open_local_door, settings_of
from sandbox.loop.stages import TIMEOUT_SECONDS
from sandbox.replay import months

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifecycle.steps import Package
    from retraining.facts import Book, Run
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopSpec
    from sandbox.replay.months import Month

DELIVERIES: Final = 2
"""How often each event is delivered; EventBridge promises once at least."""
POLL_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 61.0
"""After which the door takes it that no more objects come (`sandbox.loop.retraining`)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a month's data."""

    events: int
    """Deliveries."""
    lost: int
    """Reasons to retrain that were refused, or that no run has answered."""
    why: tuple[str, ...]
    """The door's reasons."""
    executions: tuple[str, ...]
    """ARNs that the events led to; one, however often they were delivered."""
    trainings: int
    """Training jobs of these executions."""
    package: Package | None
    """The version that was registered and approved."""
    reason: str
    """The gate's reasons."""
    metric: float | None
    """Of the new model on the days so far that judge."""
    challenge: dict[str, Any]
    """The comparison with the model in service, where the pipeline makes one."""


class Learning:
    """The data bucket, the door of retraining, and the pipeline behind it."""

    def __init__(self, spec: LoopSpec, clients: Clients, built: BuiltImage) -> None:
        """Open the door; its clock is that of the data."""
        self._spec, self._clients, self._built = spec, clients, built
        self._now = 0.0
        self._runs = 0
        self._door = open_local_door(clients, settings_of(spec), lambda: self._now)

    def arrive(self, data: Path, month: Month, alarms: Sequence[str], note: Callable[[str], None]) -> Decision:
        """Upload a month, announce its objects and what was seen meanwhile, and wait for what follows.

        Args:
            data: Folder of the months.
            month: The one that has ended.
            alarms: Kinds of drift that the month's requests and truth have raised.
            note: Told the progress.
        """
        self._now = month.end.timestamp()
        events = [*self._upload(data, month.number), *(self._alarm(kind, month) for kind in alarms)]
        if not self._runs:
            events.append(self._request(month))
        refused = 0
        for _ in range(DELIVERIES):
            refused += len(deliver(self._door, *events).refused)
        self._now += _PATIENCE_SECONDS
        deliver(self._door, TICK_EVENT)
        runs = [run for run in self._book().started if run.number > self._runs]
        reason = self._wait([run.arn for run in runs], note)
        deliver(self._door, TICK_EVENT)
        self._runs = max((run.number for run in self._book().runs), default=0)
        return self._decided(len(events) * DELIVERIES, refused + len(self._book().pending), runs, reason)

    def crown(self, package: Package) -> None:
        """Leave the artefact of the version in service where the next model's evaluation finds the champion."""
        self._clients.s3.put_object(
            Bucket=self._spec.models_bucket,
            Key=f"{self._spec.model.name}/champion/model.tar.gz",
            Body=steps.fetch(self._clients.s3, package.artefact_uri),
        )

    def _book(self) -> Book:
        return self._door.ledger.read(self._spec.model.name)

    def _wait(self, executions: Sequence[str], note: Callable[[str], None]) -> str:
        """Wait for executions; why one failed, or nothing."""
        try:
            for arn in executions:
                pipelines.wait_for_execution(
                    self._clients.sagemaker,
                    arn,
                    on_progress=lambda found: note(found[-1].get("StepName", "") if found else ""),
                    poll_seconds=POLL_SECONDS,
                    timeout_seconds=TIMEOUT_SECONDS,
                )
        except pipelines.PipelineFailedError as error:
            return str(error)
        return ""

    def _alarm(self, kind: str, month: Month) -> dict[str, Any]:
        """What CloudWatch tells of an alarm that has risen.

        Source: Amazon CloudWatch User Guide, "Alarm events and EventBridge".
        """
        name = f"{ALARMS}{self._spec.model.name}-drift-{kind}"
        state = {"value": "ALARM", "timestamp": month.end.isoformat()}
        return self._event("aws.cloudwatch", "CloudWatch Alarm State Change", {"alarmName": name, "state": state})

    def _request(self, month: Month) -> dict[str, Any]:
        """The very first training, for which there is no version whose image to take."""
        detail = {
            "model": self._spec.model.name,
            "reason": f"the first model, of {month.name}",
            "requestedBy": "make loop",
            "imageDigest": self._built.digest,
        }
        return self._event(OURS, REQUESTED, detail)

    def _event(self, source: str, kind: str, detail: dict[str, Any]) -> dict[str, Any]:
        time = datetime.fromtimestamp(self._now, UTC).isoformat()
        return {"id": str(uuid.uuid4()), "source": source, "detail-type": kind, "time": time, "detail": detail}

    def _data_version(self) -> str:
        model = self._spec.model
        prefixes = [f"s3://{self._spec.data_bucket}/{model.dataset_prefix}{name}/" for name in model.data.delivered]
        return steps.data_version(self._clients.s3, prefixes)

    def _upload(self, data: Path, number: int) -> list[dict[str, Any]]:
        """Put a month's objects; the events by which S3 announces them."""
        events: list[dict[str, Any]] = []
        for name, path in months.files(data, [number]).items():
            key = f"{self._spec.model.dataset_prefix}{name}"
            self._clients.s3.put_object(
                Bucket=self._spec.data_bucket, Key=key, Body=path.read_bytes(), ContentType="text/csv"
            )
            events.append(object_created(self._clients.s3, self._spec.data_bucket, key))
        return events

    def _decided(self, events: int, lost: int, runs: Sequence[Run], reason: str) -> Decision:
        found = [step for run in runs for step in pipelines.list_steps(self._clients.sagemaker, run.arn)]
        report, version = self._report(found), self._data_version()
        package = steps.find_package(
            self._clients.sagemaker,
            self._spec.package_group,
            lambda package: package.status == "Approved" and package.properties.get("data-version") == version,
        )
        gate, challenge = self._spec.model.gate, report.get("challenge", {})
        groups = (report[name] for name in report if name.endswith("_metrics"))
        metric = next((group[gate.metric]["value"] for group in groups if gate.metric in group), None)
        above = f"{gate.metric} {metric:.3f} exceeds {gate.minimum:g}" if metric is not None else ""
        return Decision(
            events=events,
            lost=lost,
            why=tuple(reason for run in runs for reason in run.reasons),
            executions=tuple(run.arn for run in runs),
            trainings=sum("TrainingJob" in step.get("Metadata", {}) for step in found),
            package=package,
            reason=reason or "; ".join(filter(None, [above, challenge.get("reason", "")])),
            metric=metric,
            challenge=challenge,
        )

    def _report(self, found: Sequence[Any]) -> dict[str, Any]:
        """What the evaluation of an execution wrote; empty if there was none."""
        for step in found:
            arn = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn", "")
            if step.get("StepName") != "Evaluate" or step.get("StepStatus") != "Succeeded" or not arn:
                continue
            job = self._clients.sagemaker.describe_processing_job(ProcessingJobName=arn.rpartition("/")[2])
            (output,) = job["ProcessingOutputConfig"]["Outputs"]
            folder = output.get("S3Output", {}).get("S3Uri", "")
            return json.loads(steps.fetch(self._clients.s3, f"{folder}/evaluation.json"))
        return {}
