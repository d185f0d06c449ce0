"""How long a promoted version may be taken back for what truth says, from the settings of the model's drift job.

Source: EventBridge Scheduler user guide, "Schedule types", section "Cron-based schedules".
"""

from typing import Final

from settings.model import DriftSpec, ScheduleSpec

LOOKS: Final = 2
"""Looks in a row that have to find a version worse: one may have met a week that was strange."""
_DAY_HOURS: Final = 24
_EVERY: Final = ("*", "?")


def trial_hours(spec: DriftSpec) -> int:
    """Hours after its promotion in which a version has been looked at `LOOKS` times, whenever it was promoted.

    The first look comes one period after the promotion at the latest, and its window may still hold little truth about
    the version; a day is for a run that starts late and takes its time.
    """
    return spec.window_hours + LOOKS * longest_days(spec.schedule) * _DAY_HOURS + _DAY_HOURS


def longest_days(schedule: ScheduleSpec) -> int:
    """Days between two times of a schedule at most; what names certain days of a month is taken for monthly."""
    _, _, day, month, weekday, _ = schedule.cron.split()
    if month not in _EVERY:
        return 366
    if day in _EVERY and weekday in _EVERY:
        return 1
    return 7 if day in _EVERY and "#" not in weekday and "L" not in weekday else 31
