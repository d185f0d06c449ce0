"""A month's data arrives: it is announced, trained on, judged, and registered or not; each event has one end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from lifecycle import pipelines, steps
from sandbox.loop.stages import CHANNELS, MAX_ATTEMPTS, TIMEOUT_SECONDS
from sandbox.replay import months

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lifecycle.steps import Package
    from sandbox.loop.image import BuiltImage
    from sandbox.loop.loopback import Clients
    from sandbox.loop.spec import LoopSpec

DELIVERIES: Final = 2
"""How often each event is delivered; EventBridge promises once at least."""
POLL_SECONDS: Final = 0.2


class Door(Protocol):
    """What decides whether events start a training."""

    def __call__(self, events: Sequence[dict[str, Any]], /) -> Sequence[str]:
        """Take events in the order of their delivery; ARNs of the executions that they led to."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a month's data."""

    events: int
    """Deliveries."""
    executions: tuple[str, ...]
    """ARNs that they led to; one, however often it was announced."""
    trainings: int
    """Training jobs of these executions."""
    package: Package | None
    """The version that was registered and approved."""
    reason: str
    metric: float | None
    """Of the new model on the validation days so far."""
    challenge: dict[str, Any]
    """The comparison with the model in service, where the pipeline makes one."""


class Learning:
    """The data bucket, and the pipeline behind it."""

    def __init__(self, spec: LoopSpec, clients: Clients, built: BuiltImage, door: Door | None = None) -> None:
        """Prepare.

        Args:
            spec: The model, and names in the account.
            clients: Of the APIs on loopback.
            built: The image that trains.
            door: Takes the events; without one, each starts the pipeline, or adopts the execution that is there.
        """
        self._spec, self._clients, self._built = spec, clients, built
        self._door: Door = door or self._start

    def _start(self, events: Sequence[dict[str, Any]]) -> Sequence[str]:
        parameters = {"DataVersion": self._data_version(), "ImageDigest": self._built.digest}
        name = self._spec.pipeline.name
        return [
            pipelines.start_or_adopt(self._clients.sagemaker, name, parameters, max_attempts=MAX_ATTEMPTS).arn
            for _ in events
        ]

    def _data_version(self) -> str:
        prefixes = [f"s3://{self._spec.data_bucket}/{self._spec.model.dataset_prefix}{name}/" for name in CHANNELS]
        return steps.data_version(self._clients.s3, prefixes)

    def arrive(self, data: Path, number: int, note: Callable[[str], None]) -> Decision:
        """Upload a month, announce its objects, wait for what follows."""
        events = [event for event in self._upload(data, number) for _ in range(DELIVERIES)]
        executions = tuple(dict.fromkeys(self._door(events)))
        reason = ""
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
            reason = str(error)
        return self._decided(len(events), executions, reason)

    def _upload(self, data: Path, number: int) -> list[dict[str, Any]]:
        """Put a month's objects; the events that S3 sends to EventBridge about them.

        Source: Amazon S3 User Guide, "EventBridge event message structure".
        """
        events: list[dict[str, Any]] = []
        for name, path in months.files(data, [number]).items():
            key = f"{self._spec.model.dataset_prefix}{name}"
            put = self._clients.s3.put_object(
                Bucket=self._spec.data_bucket, Key=key, Body=path.read_bytes(), ContentType="text/csv"
            )
            stored = {
                "key": key,
                "size": path.stat().st_size,
                "etag": put["ETag"].strip('"'),
                "version-id": put.get("VersionId", ""),
                "sequencer": f"{number:016X}",
            }
            detail = {"version": "0", "bucket": {"name": self._spec.data_bucket}, "object": stored}
            events.append({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
        return events

    def _decided(self, events: int, executions: tuple[str, ...], reason: str) -> Decision:
        found = [step for arn in executions for step in pipelines.list_steps(self._clients.sagemaker, arn)]
        report = self._report(found)
        version = self._data_version()
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
            executions=executions,
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
