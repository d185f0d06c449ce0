"""Watches: metrics, and the alarms about them.

A building block of other components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from components.alarm_handle import AlarmsHandle
    from components.labels import Labels

PERIOD_SECONDS: Final = 300
"""What most metrics are gathered over."""


def alarm_prefix(labels: Labels) -> str:
    """What the names of the environment's alarms begin with; the key's policy lets these tell topics."""
    return f"{labels.cluster}-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One alarm: a metric above a threshold for some periods."""

    name: str
    says: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    threshold: float = 0
    period: int = PERIOD_SECONDS
    periods: int = 1
    missing: str = "notBreaching"
    """Without an event there is no datum, and nothing is wrong."""
    less: bool = False
    """Whether it is too little, not too much, that is wrong."""

    @property
    def comparison(self) -> str:
        """As CloudWatch calls it."""
        return "LessThanOrEqualToThreshold" if self.less else "GreaterThanThreshold"


def create_alarms(
    name: str, prefix: str, watches: Sequence[Watch], told: AlarmsHandle, opts: pulumi.ResourceOptions
) -> None:
    """Create alarms that tell when they begin and end.

    Args:
        name: First part of their logical names.
        prefix: First part of their names.
        watches: What is watched.
        told: Who hears of them.
        opts: Options of each.
    """
    for watch in watches:
        aws.cloudwatch.MetricAlarm(
            f"{name}-{watch.name}",
            name=f"{prefix}{watch.name}",
            alarm_description=watch.says,
            namespace=watch.namespace,
            metric_name=watch.metric,
            dimensions=watch.dimensions,
            statistic=watch.statistic,
            comparison_operator=watch.comparison,
            threshold=watch.threshold,
            period=watch.period,
            evaluation_periods=watch.periods,
            treat_missing_data=watch.missing,
            alarm_actions=list(told.actions),
            ok_actions=list(told.actions),
            opts=opts,
        )
