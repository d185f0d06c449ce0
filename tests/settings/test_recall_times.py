"""In the time in which a version may be taken back there are as many looks at it as that takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollout.recall import Limits, Look, Service, decide
from settings.check import load_file
from settings.model import ScheduleSpec
from settings.recall_times import LOOKS, longest_days, trial_hours
from tests.settings.stacks import stack_file

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def looks(cron: str, since: datetime) -> list[datetime]:
    """When the job looks in the nine weeks after `since`, for schedules of an hour, every day or on one weekday."""
    minute, hour, _, _, weekday, _ = cron.split()
    assert minute.isdecimal()
    days = [since.replace(hour=int(hour), minute=int(minute)) + timedelta(days=day) for day in range(63)]
    return [day for day in days if day > since and weekday in ("*", "?", NAMES[day.weekday()])]


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
@pytest.mark.parametrize("promoted", [BEGIN + place * 5 * HOUR for place in range(34)], ids=lambda at: f"{at:%a-%H}")
def test_a_bad_version_goes_whenever_it_was_promoted(stack: str, promoted: datetime) -> None:
    (model,) = load_file(stack_file(stack)).models
    assert model.drift is not None
    hours, labels = trial_hours(model.drift), model.drift.quality.minimum_labels
    limits = Limits(minimum_labels=labels, looks=LOOKS, trial_seconds=hours * 3600, window_seconds=hours * 3600)
    ends = [at + 6 * HOUR for at in looks(model.drift.schedule.cron, promoted)][:LOOKS]
    window = timedelta(hours=model.drift.window_hours)
    seen = [Look(version="2", at=(end - window).timestamp(), labels=labels, worse=True) for end in ends]
    served = Service(version="2", since=promoted.timestamp(), previous="1", previous_approved=True, last_recall=None)
    decision = decide(served, seen, limits, ends[-1].timestamp())
    assert decision.back, decision.reason


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("15 9 * * ? *", 1),
        ("0 */6 ? * * *", 1),
        ("0 6 ? * MON *", 7),
        ("0 6 ? * MON-FRI *", 7),
        ("0 6 1 * ? *", 31),
        ("0 6 L * ? *", 31),
        ("0 6 ? * MON#1 *", 31),
        ("0 6 1 1,7 ? *", 366),
    ],
)
def test_the_longest_time_between_two_looks_is_never_taken_too_short(cron: str, days: int) -> None:
    assert longest_days(ScheduleSpec(cron=cron, timezone="UTC")) == days
