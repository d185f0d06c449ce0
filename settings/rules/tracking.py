"""Experiment tracking where there is something to track with."""

from collections.abc import Iterator
from typing import Final

from settings.model import Partition, Settings
from settings.problems import Finding
from settings.rules.environment import Rule


def tracking_is_where_mlflow_is(settings: Settings) -> Iterator[Finding]:
    """AWS offers apps in neither China nor GovCloud (its blog, "Scaling MLflow for enterprise AI", 2025-12-11)."""
    partition = settings.environment.partition
    if settings.tracking.app is not None and partition is not Partition.AWS:
        yield Finding(
            path=("tracking", "app"),
            found=f"an app in partition {partition}",
            allowed="null: SageMaker offers no MLflow Apps there",
            remedy="write null and compare versions from the registry",
        )


RULES: Final[tuple[Rule, ...]] = (tracking_is_where_mlflow_is,)
