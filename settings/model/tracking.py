"""Experiment tracking: versions of models beside one another in MLflow."""

from settings.model.base import LogRetentionDays, Section


class TrackingAppSpec(Section):
    """An MLflow App of SageMaker, and what copies every version of a model into it."""

    log_retention_days: LogRetentionDays
    """How long it is kept in the log what was copied."""


class TrackingSpec(Section):
    """Experiment tracking."""

    app: TrackingAppSpec | None
    """The app; null for none: versions are compared from the registry alone."""
