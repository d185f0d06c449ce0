"""One training job as SageMaker shows it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.loop.request import TrainingRequest

STATUS_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
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
    wake: threading.Event = field(default_factory=threading.Event)
    """Set when the guard of the running trainer has something to look at: a stop request or the end."""

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.request.name

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
