"""The switch: prod's model with every target described, and what of it is there when `target` points to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.changes import record_changed
from tests.support.optional import CERTIFICATE
from tests.support.recorded import STACK_TYPE
from tests.support.targets import approved, serving, trained

if TYPE_CHECKING:
    from tests.support.recorded import Recorded, Resource

UNWATCHED: Final[dict[str, object]] = {"models.0.drift": None, "models.0.retraining.drift": False}
ASKED: Final[dict[str, dict[str, object]]] = {
    "eks": {},
    "real-time": {},
    "serverless": {**UNWATCHED, "environment.protectData": False},
    "asynchronous": UNWATCHED,
    "batch": UNWATCHED,
}
"""What the rules ask beside another target."""
OTHERS: Final = [target for target in ASKED if target != "eks"]
COMPONENTS: Final = {
    "eks": {"serving", "releasing", "rollouts", "metrics", "drift", "retraining"},
    "real-time": {"inference", "registry", "drift", "retraining"},
    "serverless": {"inference"},
    "asynchronous": {"inference", "registry"},
    "batch": {"batches", "registry"},
}
"""Whose resources a target brings, by the first word of their names."""
RIGHTS: Final = {
    "eks": set[str](),
    "real-time": {"watch-alarms", "write-results"},
    "serverless": set[str](),
    "asynchronous": {"watch-alarms", "write-results", "publish-answers"},
    "batch": {"run-batches", "write-results"},
}
"""What the role of the served models may do for a target."""


def pods(**more: Any) -> dict[str, Any]:
    """Pods of prod's model that are scaled by requests as well."""
    kept = trained()["serving"]["eks"]
    scaled = {**kept["autoscaling"], "requests": {"metric": "per-second", "perPod": 1000}}
    return {**kept, "autoscaling": scaled, **more}


def switched(target: str, **more: Any) -> Recorded:
    """Prod with an approved version and the switch at `target`; adapter and certificate are there for any target."""
    return record_changed(
        {
            "models.0.approved": approved(3),
            "loadBalancing.certificateArns": [CERTIFICATE],
            "monitoring.adapter": {"replicas": 2, "cpuMillis": 50, "memoryMib": 128},
            **ASKED[target],
            "models.0.serving": serving(target, **{"eks": pods(), **more}),
        }
    )


def names(recorded: Recorded) -> set[tuple[str, str]]:
    return {(item.type, item.name) for item in recorded.resources}


def unserved() -> Recorded:
    adapter = {"replicas": 2, "cpuMillis": 50, "memoryMib": 128}
    changes = {"models.0.approved": approved(3), "monitoring.adapter": adapter, "models.0.serving": None}
    return record_changed({**changes, **UNWATCHED})


def registered(recorded: Recorded) -> list[Resource]:
    """All but the stack itself, whose outputs have a digest of the settings."""
    return [item for item in recorded.resources if item.type != STACK_TYPE]


@pytest.mark.parametrize("target", ASKED)
def test_a_target_brings_its_own_resources_and_those_of_no_other(target: str) -> None:
    before, there = names(unserved()), names(switched(target))
    assert before - there == set()
    own = {name for _, name in there - before}
    assert {name.partition("-")[0] for name in own} == COMPONENTS[target]
    rights = {name.removeprefix("registry-model-") for name in own if name.startswith("registry-")}
    assert rights == RIGHTS[target]


@pytest.mark.parametrize("target", OTHERS)
def test_pods_that_are_only_described_change_nothing(target: str) -> None:
    assert registered(switched(target)) == registered(switched(target, eks=None))


def test_a_network_load_balancer_that_is_only_described_gives_its_controller_no_rights() -> None:
    waiting = pods(frontEnd={"kind": "nlb", "host": None, "paths": []}, rollout=None)
    assert registered(switched("real-time", eks=waiting)) == registered(switched("real-time", eks=None))


@pytest.mark.parametrize("target", OTHERS)
def test_an_announced_image_starts_no_release_of_pods_that_are_not_there(target: str) -> None:
    release = ("aws:cloudwatch/eventRule:EventRule", "releasing-flight-delay")
    assert release in names(switched("eks"))
    assert [name for _, name in names(switched(target)) if name.startswith("releasing-")] == []
