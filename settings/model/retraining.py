"""When a model is trained again, and how often at most."""

from typing import Annotated

from pydantic import Field

from settings.model.base import LogRetentionDays, Section
from settings.model.patterns import AWS_CRON, TIME_ZONE


class NewDataSpec(Section):
    """When objects that have arrived below the model's data prefix are enough for a training."""

    debounce_minutes: Annotated[int, Field(ge=1, le=1440)]
    """Nothing more may have arrived for so long: a month of data is several uploads, and one training."""
    longest_wait_minutes: Annotated[int, Field(ge=1, le=10_080)]
    """So long after the first of them a training starts even if more arrives."""
    minimum_objects: Annotated[int, Field(ge=1, le=10_000)]
    """Objects that have to have arrived; fewer wait for more, or for another reason to train."""


class ScheduleSpec(Section):
    """When a training starts whatever has happened."""

    cron: Annotated[str, Field(pattern=AWS_CRON, max_length=200)]
    """Six fields of a schedule of Amazon EventBridge."""
    timezone: Annotated[str, Field(pattern=TIME_ZONE, max_length=50)]
    """Name of the IANA time zone that the fields are in."""


class ModelRetrainingSpec(Section):
    """What starts a training of a model by itself; a person can always ask for one."""

    new_data: NewDataSpec | None
    """Data that arrives; null starts nothing."""
    schedule: ScheduleSpec | None
    """The clock; null starts nothing."""
    drift: bool
    """Alarms that say that data, predictions or quality have moved."""
    daily_runs: Annotated[int, Field(ge=1, le=100)]
    """Trainings in 24 hours at most, for whatever reason; each costs what `make cost` shows."""
    monthly_runs: Annotated[int, Field(ge=1, le=1000)]
    """Trainings in 30 days at most, for whatever reason."""


class RetrainingSpec(Section):
    """What decides about trainings of all models."""

    tick_minutes: Annotated[int, Field(ge=1, le=60)]
    """How often it is looked whether something has become due, has ended, or has arrived unannounced."""
    log_retention_days: LogRetentionDays
    """How long its decisions are kept in the log."""
