"""One training job as SageMaker shows it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moto.sagemaker.models import FakeTrainingJob

    from sandbox.loop.request import TrainingRequest

STATUS_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "The managed spot host was taken back; the job waits for another one",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


@dataclass(slots=True)
class Job:
    """One training job as `DescribeTrainingJob` shows it; only its own worker and `JobRunner.stop` change it."""

    request: TrainingRequest
    arn: str
    status: str = "InProgress"
    secondary: str = "Starting"
    failure: str | None = None
    artefact: str | None = None
    metrics: dict[str, tuple[float, datetime]] = field(default_factory=dict[str, tuple[float, datetime]])
    transitions: list[tuple[str, datetime, datetime | None]] = field(
        default_factory=list[tuple[str, datetime, datetime | None]]
    )
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    stop_asked: bool = False
    interrupted: bool = False
    """Its spot host goes away."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when the guard of the running trainer has something to look at: one of the two, or the end."""

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.request.name

    @property
    def max_runtime_seconds(self) -> int:
        """The job is stopped after this time."""
        return self.request.max_runtime_seconds

    def enter(self, secondary: str, status: str | None = None) -> None:
        """Move to the next secondary status, and to a status if one is given."""
        now = datetime.now(UTC)
        if self.transitions:
            name, begun, _ = self.transitions[-1]
            self.transitions[-1] = (name, begun, now)
        self.transitions.append((secondary, now, None if status is None else now))
        self.secondary = secondary
        if secondary == "Training":
            self.started = now
        if status is not None:
            self.status, self.ended = status, now


def mirror(job: Job, record: FakeTrainingJob) -> None:
    """Copy a job into moto's record; moto leaves out of its answer what is None."""
    last = job.transitions[-1][1]
    seconds = None if job.started is None else int(((job.ended or last) - job.started).total_seconds())
    values = {
        "training_job_status": job.status,
        "secondary_status": job.secondary,
        "secondary_status_transitions": [
            {"Status": name, "StartTime": begun, "StatusMessage": STATUS_MESSAGES[name]}
            | ({"EndTime": over} if over else {})
            for name, begun, over in job.transitions
        ],
        "failure_reason": job.failure if job.status == "Failed" else None,
        "model_artifacts": {"S3ModelArtifacts": job.artefact} if job.artefact else None,
        "final_metric_data_list": [
            {"MetricName": name, "Value": value, "Timestamp": when} for name, (value, when) in job.metrics.items()
        ],
        "algorithm_specification": job.request.algorithm,
        "creation_time": job.created,
        "last_modified_time": last,
        "training_start_time": job.started,
        "training_end_time": job.ended,
        "training_time_in_seconds": seconds if job.ended else None,
        "billable_time_in_seconds": seconds if job.ended else None,
    }
    for name, value in values.items():
        setattr(record, name, value)
