"""What flows from the component that delivers alarms to those that make them; see `components.handles`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsHandle:
    """Who hears of alarms."""

    actions: tuple[pulumi.Input[str], ...]
    """ARNs of the topics that an alarm tells, when it begins and when it ends."""
