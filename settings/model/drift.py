"""How the requests that a model answers are watched: what is compared how often, and what is borne."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import COLUMN
from settings.model.processing import ProcessingSpec
from settings.model.retraining import ScheduleSpec

Share = Annotated[float, Field(gt=0, lt=1)]
"""More than nothing, less than everything."""
Effect = Annotated[float, Field(gt=0, le=10)]
"""A population stability index; what chance alone explains is never called drift, whatever is written here."""


class DataDriftSpec(Section):
    """When the features of requests have moved."""

    effect: Effect
    """Least population stability index of a feature that matters."""
    missing_gain: Share
    """By how much a feature's share of missing or unknown values may differ from training."""


class PredictionDriftSpec(Section):
    """When the answers have moved."""

    effect: Effect
    """Least population stability index of the answers that matters."""


class QualityDriftSpec(Section):
    """When the model has become worse, as far as the truth is known."""

    minimum_labels: Annotated[int, Field(ge=50, le=1_000_000)]
    """Rows of the window whose truth is known; with fewer, nothing is said."""
    drop: Share
    """By how much the gate's metric may be below that of the evaluation at training."""


class DriftSpec(Section):
    """The drift job of a model, its schedule and what raises its alarms."""

    schedule: ScheduleSpec
    """When captures are compared."""
    flexible_minutes: Annotated[int, Field(ge=1, le=1440)] | None
    """Within how many minutes of its time a run may start, when AWS likes; null starts it at once."""
    window_hours: Annotated[int, Field(ge=1, le=2160)]
    """Hours of captures, and of truth about them, that a run compares."""
    keep_days: Annotated[int, Field(ge=1, le=3650)]
    """Days after which captures and truth are deleted; each run downloads all that is kept."""
    minimum_rows: Annotated[int, Field(ge=50, le=1_000_000_000)]
    """Captured rows of the window; with fewer, nothing is said of data and predictions."""
    ignored: Annotated[tuple[Annotated[str, Field(pattern=COLUMN, max_length=64)], ...], Field(strict=False)]
    """Features that are not compared, because they move by themselves; may be empty. Those that pods do not keep are
    left out, too."""
    false_alarms: Annotated[float, Field(gt=0, le=0.2)]
    """Chance, per run and kind, that captures like the training data are called drifted."""
    data: DataDriftSpec
    """Features."""
    prediction: PredictionDriftSpec
    """Answers."""
    quality: QualityDriftSpec
    """Answers beside the truth."""
    runs: Annotated[int, Field(ge=1, le=100)]
    """Runs in a row that it takes to raise an alarm, and to clear it."""
    clear_below: Share
    """Share of a limit below which a run speaks for clearing."""
    silence_hours: Annotated[int, Field(ge=2, le=168)] | None
    """So many hours without a result raise an alarm, a week at most: CloudWatch looks back no further; null: none."""
    job: ProcessingSpec
    """What a run takes."""
