"""Rollouts by shares of requests: somebody carries them out, and metrics judge them."""

from collections.abc import Iterator
from typing import Final

from settings.model import EksServingSpec, PodRolloutSpec, Settings
from settings.problems import Finding, Path
from settings.release_times import LONGEST_MINUTES, release_minutes
from settings.rules.models import ModelRule
from settings.rules.tenancy import all_namespaces
from settings.serving_capacity import room, supply

_LOOKS: Final = 4
"""Readings of every pod that a rate needs at least; `increase` takes two, and one may be missed."""


def somebody_carries_it_out(settings: Settings, index: int) -> Iterator[Finding]:
    """Without its controller a Rollout has no pods."""
    spec = settings.models[index].pods
    if spec is not None and spec.rollout is not None and settings.rollouts.controller is None:
        yield Finding(
            path=("rollouts", "controller"),
            found="nothing",
            allowed=f"a mapping while models[{index}].serving.eks.rollout is one",
            remedy=f"describe the controller, or set models[{index}].serving.eks.rollout to null",
        )


def shares_are_dealt_out(settings: Settings, index: int) -> Iterator[Finding]:
    """Weights, and rules on headers, are those of an Application Load Balancer."""
    spec = _pods(settings, index)
    if spec is None or spec.rollout is None or (spec.front_end is not None and spec.front_end.kind == "alb"):
        return
    yield Finding(
        path=_at(index),
        found=f"{spec.rollout.strategy} behind {spec.front_end.kind if spec.front_end else 'no load balancer'}",
        allowed="a rollout by shares of requests behind an alb",
        remedy="write frontEnd.kind: alb, or rollout: null for a rolling update",
    )


def strategies_say_what_they_need(settings: Settings, index: int) -> Iterator[Finding]:
    """A canary needs shares, an A/B test callers; the others take neither."""
    rollout = _rollout(settings, index)
    if rollout is None:
        return
    if bool(rollout.weights) is not (rollout.strategy == "canary"):
        yield Finding(
            path=_at(index, "weights"),
            found=", ".join(map(str, rollout.weights)) or "an empty list",
            allowed="shares exactly for a canary",
            remedy="write [5, 25, 50]" if rollout.strategy == "canary" else "write []",
        )
    if (rollout.variant is None) is (rollout.strategy == "a-b"):
        yield Finding(
            path=_at(index, "variant"),
            found="nothing" if rollout.variant is None else rollout.variant.header,
            allowed="a header exactly for an A/B test",
            remedy="write {header: x-variant, value: b}" if rollout.variant is None else "write null",
        )


def shares_rise(settings: Settings, index: int) -> Iterator[Finding]:
    """A share that falls gives users an old version back that they had left; what is left goes to the old version."""
    rollout = _rollout(settings, index)
    if rollout is None:
        return
    rising = sorted(set(rollout.weights))
    if list(rollout.weights) != rising:
        yield Finding(
            path=_at(index, "weights"),
            found=", ".join(map(str, rollout.weights)),
            allowed="shares of the new version in percent that rise; the old one has the rest of 100",
            remedy=f"write [{', '.join(map(str, rising))}]",
        )


def steps_can_be_judged(settings: Settings, index: int) -> Iterator[Finding]:
    """Nobody can say anything of a version whose metrics were not read a few times."""
    rollout, seconds = _rollout(settings, index), settings.monitoring.scrape_seconds
    if rollout is not None and rollout.step_minutes * 60 < _LOOKS * seconds:
        yield Finding(
            path=_at(index, "stepMinutes"),
            found=str(rollout.step_minutes),
            allowed=f"at least {-(-_LOOKS * seconds // 60)}: metrics are read every {seconds} s",
            remedy="raise it, or lower monitoring.scrapeSeconds",
        )


def both_versions_have_room(settings: Settings, index: int) -> Iterator[Finding]:
    """At the last share both versions have all their pods, so that the way back is one change of weights."""
    spec = _pods(settings, index)
    if spec is None or spec.rollout is None:
        return
    namespace = next((each for each in all_namespaces(settings) if each.name == spec.namespace), None)
    if namespace is None:
        return
    quota = namespace.quota
    inside = min(quota.cpu * 1000 // spec.cpu_millis, quota.memory_gib * 1024 // spec.memory_mib, quota.pods)
    most = min(inside, room(supply(settings, spec))) // 2
    if spec.autoscaling.max_pods > most:
        yield Finding(
            path=("models", index, "serving", "eks", "autoscaling", "maxPods"),
            found=str(spec.autoscaling.max_pods),
            allowed=f"at most {most}: a {spec.rollout.strategy} rollout has both versions there, and quota and nodes "
            f"have room for {2 * most} pods",
            remedy="lower it, raise the quota or the bounds of a pool, or write rollout: null",
        )


def a_release_ends_in_time(settings: Settings, index: int) -> Iterator[Finding]:
    """A release step that CodeBuild stops while it waits reports nothing, and takes nothing back."""
    spec = _pods(settings, index)
    if spec is None or spec.rollout is None or settings.rollouts.releases is None:
        return
    minutes = release_minutes(spec)
    if minutes > LONGEST_MINUTES:
        yield Finding(
            path=_at(index, "patienceMinutes"),
            found=f"a rollout of {minutes} minutes at the longest",
            allowed=f"at most {LONGEST_MINUTES}, the longest build of AWS CodeBuild",
            remedy="lower it or stepMinutes, take fewer weights, or write rollouts.releases: null and release by hand",
        )


def _pods(settings: Settings, index: int) -> EksServingSpec | None:
    """What is said of pods, whether they serve or not: a section that waits is one that the switch may point to."""
    serving = settings.models[index].serving
    return serving.eks if serving is not None else None


def _rollout(settings: Settings, index: int) -> PodRolloutSpec | None:
    spec = _pods(settings, index)
    return spec.rollout if spec is not None else None


def _at(index: int, *rest: str) -> Path:
    return ("models", index, "serving", "eks", "rollout", *rest)


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    somebody_carries_it_out,
    shares_are_dealt_out,
    strategies_say_what_they_need,
    shares_rise,
    steps_can_be_judged,
    both_versions_have_room,
    a_release_ends_in_time,
)
