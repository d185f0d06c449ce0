"""Drift: captures that there are, alarms that somebody raises, and names that stay apart."""

from collections.abc import Iterator
from typing import Final

from settings.model import DriftSpec, ServingSpec, Settings, Target
from settings.problems import Finding
from settings.rules.models import ModelRule
from settings.rules.retraining import unknown_zone

SUFFIX: Final = "-drift"
"""What follows a model's name in the names of its drift pipeline, roles and alarms."""
DAY_HOURS: Final = 24


def _drift(settings: Settings, index: int) -> Iterator[DriftSpec]:
    spec = settings.models[index].drift
    if spec is not None:
        yield spec


def _finding(index: int, *path: str, found: object, allowed: str, remedy: str) -> Finding:
    return Finding(path=("models", index, *path), found=str(found), allowed=allowed, remedy=remedy)


def alarms_of_drift_have_a_job(settings: Settings, index: int) -> Iterator[Finding]:
    """Retraining would wait for alarms that nothing raises."""
    model = settings.models[index]
    if model.retraining is not None and model.retraining.drift and model.drift is None:
        remedy = "fill models[].drift, or set retraining.drift to false"
        yield _finding(index, "drift", found="null", allowed="a job while retraining.drift is true", remedy=remedy)


def what_is_watched_is_captured(settings: Settings, index: int) -> Iterator[Finding]:
    """A job without captures costs as much and says nothing."""
    for _ in _drift(settings, index):
        found = _uncaptured(settings.models[index].serving)
        if found:
            allowed = "a target whose requests are captured: eks with capture, or real-time with capturePercent above 0"
            remedy = "write drift: null, or capture requests"
            yield _finding(index, "drift", found=found, allowed=allowed, remedy=remedy)


def _uncaptured(serving: ServingSpec | None) -> str:
    """What is served without being captured; empty where something is captured, or not described yet."""
    if serving is None:
        return "a model that is served nowhere"
    if serving.target is Target.EKS:
        return "target eks without capture" if serving.eks is not None and serving.eks.capture is None else ""
    if serving.target is Target.REAL_TIME:
        off = serving.real_time is not None and serving.real_time.capture_percent == 0
        return "target real-time with capturePercent 0" if off else ""
    return f"target {serving.target}"


def what_is_compared_is_kept(settings: Settings, index: int) -> Iterator[Finding]:
    """A window that reaches beyond what is kept is a shorter one."""
    for spec in _drift(settings, index):
        needed = -(-spec.window_hours // DAY_HOURS)
        if spec.keep_days < needed:
            allowed = f"at least {needed} with windowHours {spec.window_hours}"
            remedy = f"write {needed}, or shorten the window"
            yield _finding(index, "drift", "keepDays", found=spec.keep_days, allowed=allowed, remedy=remedy)


def time_zone_of_the_drift_job_is_known(settings: Settings, index: int) -> Iterator[Finding]:
    """EventBridge refuses a zone that the IANA database does not have."""
    for spec in _drift(settings, index):
        yield from unknown_zone(spec.schedule, ("models", index, "drift"))


def names_leave_room_for_drift(settings: Settings, index: int) -> Iterator[Finding]:
    """Pipelines, roles and alarms of the one would be called like those of the other."""
    name = settings.models[index].name
    for other in settings.models:
        if other.drift is not None and name.startswith(f"{other.name}{SUFFIX}"):
            allowed = f"a name that does not begin with {other.name}{SUFFIX}, as what watches {other.name} is called"
            yield _finding(index, "name", found=name, allowed=allowed, remedy="rename the model")


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    alarms_of_drift_have_a_job,
    what_is_watched_is_captured,
    what_is_compared_is_kept,
    time_zone_of_the_drift_job_is_known,
    names_leave_room_for_drift,
)
