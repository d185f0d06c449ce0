"""When a promoted version is taken back for what became of its answers, and that nothing else takes it back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release import registry as told
from release.recall import Registry, looks, recall
from release.record import Version
from rollout.recall import Limits, Look, Service, decide
from rollout.verdicts import Verdict
from tests.functions.test_release_step import Cluster, version

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = Limits(minimum_labels=100, looks=2, trial_seconds=1000, window_seconds=500)
SERVICE = Service(version="2", since=0, previous="1", previous_approved=True, last_recall=None)
PACKAGES = "arn:aws:sagemaker:eu-central-1:111122223333:model-package/flight-delay/"


def look(at: float, *, worse: bool = True, labels: int = 100, of: str = "2") -> Look:
    return Look(version=of, at=at, labels=labels, worse=worse)


BAD = (look(1), look(2))
LOOKS = st.lists(
    st.builds(
        Look,
        version=st.sampled_from(["1", "2", "3"]),
        at=st.floats(0, 1000),
        labels=st.integers(0, 300),
        worse=st.booleans(),
    ),
    max_size=8,
)


def test_what_is_worse_look_after_look_goes_back() -> None:
    found = decide(SERVICE, BAD, LIMITS, 10)
    assert found.back
    assert "2 looks with 200 labels" in found.reason


@pytest.mark.parametrize(
    ("service", "found", "now", "why"),
    [
        (replace(SERVICE, previous=""), BAD, 10, "no version is known"),
        (replace(SERVICE, previous_approved=False), BAD, 10, "not approved any more"),
        (SERVICE, BAD, 1001, "a training answers"),
        (replace(SERVICE, last_recall=-400), BAD, 10, "a person has to look"),
        (SERVICE, (), 10, "0 of 2 looks"),
        (SERVICE, (look(1), look(2, labels=99)), 10, "1 of 2 looks"),
        (SERVICE, (look(1), look(2, of="1")), 10, "1 of 2 looks"),
        (SERVICE, (look(1), look(2), look(3, worse=False)), 10, "not worse in each"),
    ],
)
def test_it_stays_where_one_thing_is_missing(service: Service, found: Sequence[Look], now: float, why: str) -> None:
    decision = decide(service, found, LIMITS, now)
    assert not decision.back
    assert why in decision.reason


@given(LOOKS, st.randoms())
def test_the_order_of_reports_says_nothing(found: list[Look], random: Any) -> None:
    shuffled = [*{each.at: each for each in found}.values()]
    first = decide(SERVICE, shuffled, LIMITS, 10)
    random.shuffle(shuffled)
    assert decide(SERVICE, shuffled, LIMITS, 10) == first


@given(LOOKS)
def test_other_versions_and_looks_with_too_little_truth_change_nothing(found: list[Look]) -> None:
    counted = [each for each in found if each.version == "2" and each.labels >= LIMITS.minimum_labels]
    assert decide(SERVICE, found, LIMITS, 10) == decide(SERVICE, counted, LIMITS, 10)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(1, 400)), max_size=25))
def test_over_any_history_one_window_sees_one_way_back_and_never_to_what_was_taken_back(
    history: list[tuple[bool, bool, float]],
) -> None:
    """Each turn promotes the next version or looks at the one in service, and time passes."""
    now, newest, recalls = 0.0, 1, list[float]()
    serving, previous, since, withdrawn, seen = "1", "", 0.0, set[str](), list[Look]()
    for promotes, worse, passed in history:
        now += passed
        if promotes:
            newest += 1
            serving, previous, since = str(newest), serving, now
            continue
        seen.append(look(now, worse=worse, of=serving))
        service = Service(
            version=serving,
            since=since,
            previous=previous,
            previous_approved=previous not in withdrawn,
            last_recall=recalls[-1] if recalls else None,
        )
        if decide(service, seen, LIMITS, now).back:
            assert previous not in withdrawn
            assert now - since <= LIMITS.trial_seconds
            assert not recalls or now - recalls[-1] >= LIMITS.window_seconds
            recalls.append(now)
            withdrawn.add(serving)
            serving, previous, since = previous, "", now


def test_limits_that_take_back_for_nothing_are_refused() -> None:
    for changes in ({"looks": 0}, {"minimum_labels": 0}):
        with pytest.raises(ValueError, match="at least one look"):
            replace(LIMITS, **changes)


class SageMaker:
    """Keeps what is said of two versions."""

    def __init__(self) -> None:
        self.packages: dict[str, dict[str, Any]] = {
            PACKAGES + name: {"ModelPackageArn": PACKAGES + name, "ModelApprovalStatus": "Approved"} for name in "12"
        }

    def list_model_packages(self, **_request: object) -> dict[str, Any]:
        return {"ModelPackageSummaryList": list(self.packages.values())}

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803 - as the API spells it
        return self.packages[ModelPackageName]

    def update_model_package(self, *, ModelPackageArn: str, **changes: Any) -> None:  # noqa: N803 - as the API spells it
        self.packages[ModelPackageArn] |= changes

    def said(self, name: str) -> str:
        return self.packages[PACKAGES + name]["CustomerMetadataProperties"]["release-here"]


def test_a_version_that_truth_finds_worse_goes_and_the_registry_says_which_one_serves_since_when() -> None:
    cluster, sagemaker = Cluster(), SageMaker()
    known = Registry.at(sagemaker, PACKAGES, "here")  # pyright: ignore[reportArgumentType] - the calls that are made
    cluster.release().roll_out(version(2))
    promoted = cluster.now
    assert recall(cluster.release(), known, [look(promoted)], LIMITS) is None
    assert cluster.image() == version(2).image

    cluster.now += 60
    found = [look(promoted), look(promoted + 60)]
    back = recall(cluster.release(), known, found, LIMITS)
    assert back is not None
    assert cluster.image() == version(1).image
    # The step is killed before it tells the registry, and asked again.
    again = recall(cluster.release(), known, found, LIMITS)
    assert again == back
    told.report_return(sagemaker, PACKAGES, "here", again)  # pyright: ignore[reportArgumentType] - the calls that are made
    assert sagemaker.packages[PACKAGES + "2"]["ModelApprovalStatus"] == "Rejected"
    assert sagemaker.packages[PACKAGES + "1"]["ModelApprovalStatus"] == "Approved"
    assert sagemaker.said("2").startswith(f"rolled-back sha256:{2:064x} at 1970-01-01T00:0")
    assert "worse than its evaluation in 2 looks" in sagemaker.said("2")
    assert sagemaker.said("1").endswith("again in place of 2")

    assert recall(cluster.release(), known, found, LIMITS) is None
    assert known.last_recall() == int(back.state.since)
    assert cluster.release().roll_out(Version(image=version(2).image, name="2")) == back, "it does not come back"


REFRESHED = Version(image=version(12).image, name="2")
"""Version 2 on a newer base."""


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_version_whose_newer_base_is_taken_back_serves_on_and_stays_approved(*, by_hand: bool) -> None:
    cluster, sagemaker = Cluster(), SageMaker()
    client: Any = sagemaker
    known = Registry.at(client, PACKAGES, "here")
    told.report(client, PACKAGES + "2", "here", cluster.release().roll_out(version(2)))
    back = cluster.release(Verdict.GOOD if by_hand else Verdict.BAD).roll_out(REFRESHED)
    if by_hand:
        back = cluster.release().roll_back()
        told.report_return(client, PACKAGES, "here", back)
    else:
        told.report(client, PACKAGES + "2", "here", back)

    assert (cluster.image(), back.previous) == (version(2).image, version(2))
    assert sagemaker.packages[PACKAGES + "2"]["ModelApprovalStatus"] == "Approved"
    assert sagemaker.said("2").startswith(f"promoted sha256:{2:064x} at ")
    assert "again in place of sha256:000000000000: " in sagemaker.said("2")
    assert known.last_recall() is None
    assert recall(cluster.release(), known, [look(0), look(1)], LIMITS) is None
    assert cluster.image() == version(2).image


def test_a_version_on_a_newer_base_does_not_go_back_to_itself_for_what_became_of_its_answers() -> None:
    cluster, client = Cluster(), SageMaker()
    cluster.release().roll_out(version(2))
    cluster.release().roll_out(REFRESHED)
    found = [look(cluster.now + 1), look(cluster.now + 2)]
    known = Registry.at(client, PACKAGES, "here")  # pyright: ignore[reportArgumentType] - the calls that are made
    assert recall(cluster.release(), known, found, LIMITS) is None
    assert cluster.image() == REFRESHED.image


class Bucket:
    """One page of reports."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def get_paginator(self, _name: str) -> Bucket:
        return self

    def paginate(self, **_request: object) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key, "LastModified": key} for key in self.objects]}]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - as the API spells it
        assert Bucket == "models"
        return {"Body": _Body(self.objects[Key])}


class _Body:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


def test_looks_are_the_drift_jobs_reports_and_nothing_else_below_the_prefix() -> None:
    report = {
        "version": "2",
        "window": {"start": "1970-01-01T00:00:10+00:00"},
        "labels": 150,
        "raised": {"quality": True},
    }
    objects = {
        "m/drift/a/drift.json": json.dumps(report).encode(),
        "m/drift/a/statistics.json": b"{}",
        "m/drift/b/drift.json": b"{",
        "m/drift/c/drift.json": b"{}",
    }
    assert looks(Bucket(objects), "models", "m/drift/") == [look(10, labels=150)]  # pyright: ignore[reportArgumentType] - the calls that are made
