"""Retraining: reasons that can occur, and bounds that leave room for them."""

from collections.abc import Iterator
from typing import Final
from zoneinfo import available_timezones

from settings.model import ModelRetrainingSpec, ScheduleSpec, Settings
from settings.problems import Finding
from settings.rules.models import ModelRule

MONTH_DAYS: Final = 30
"""Days that `monthlyRuns` counts."""


def _retraining(settings: Settings, index: int) -> Iterator[ModelRetrainingSpec]:
    spec = settings.models[index].retraining
    if spec is not None:
        yield spec


def _finding(index: int, *path: str, found: object, allowed: str, remedy: str) -> Finding:
    return Finding(path=("models", index, "retraining", *path), found=str(found), allowed=allowed, remedy=remedy)


def something_starts_a_training(settings: Settings, index: int) -> Iterator[Finding]:
    """A mapping in which nothing starts anything looks like automatic retraining and is none."""
    for spec in _retraining(settings, index):
        if spec.new_data is None and spec.schedule is None and not spec.drift:
            allowed = "newData, schedule or drift, or null for a model that only people train again"
            yield _finding(
                index, found="nothing that starts a training", allowed=allowed, remedy="write retraining: null"
            )


def a_wait_ends_after_the_pause_it_waits_for(settings: Settings, index: int) -> Iterator[Finding]:
    """A longest wait below the pause would be the pause."""
    for spec in _retraining(settings, index):
        data = spec.new_data
        if data is not None and data.longest_wait_minutes < data.debounce_minutes:
            allowed = f"at least debounceMinutes ({data.debounce_minutes})"
            found = data.longest_wait_minutes
            yield _finding(
                index,
                "newData",
                "longestWaitMinutes",
                found=found,
                allowed=allowed,
                remedy="raise it to several times that",
            )


def a_month_has_room_for_its_days(settings: Settings, index: int) -> Iterator[Finding]:
    """A bound that the other one makes impossible to reach is a slip."""
    for spec in _retraining(settings, index):
        daily, monthly = spec.daily_runs, spec.monthly_runs
        if not daily <= monthly <= daily * MONTH_DAYS:
            allowed = f"between dailyRuns ({daily}) and {MONTH_DAYS} times as many ({daily * MONTH_DAYS})"
            yield _finding(
                index, "monthlyRuns", found=monthly, allowed=allowed, remedy="write how many you want to pay for"
            )


def a_time_zone_is_known(settings: Settings, index: int) -> Iterator[Finding]:
    """EventBridge refuses a zone that the IANA database does not have."""
    for spec in _retraining(settings, index):
        if spec.schedule is not None:
            yield from unknown_zone(spec.schedule, ("models", index, "retraining"))


def unknown_zone(schedule: ScheduleSpec, path: tuple[str | int, ...]) -> Iterator[Finding]:
    """What is wrong with the time zone of a schedule that stands below a path."""
    if schedule.timezone not in available_timezones():
        yield Finding(
            path=(*path, "schedule", "timezone"),
            found=schedule.timezone,
            allowed="a name of the IANA database",
            remedy="write UTC, or a name such as Europe/Berlin",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    something_starts_a_training,
    a_wait_ends_after_the_pause_it_waits_for,
    a_month_has_room_for_its_days,
    a_time_zone_is_known,
)
