"""The release step on a cluster that answers as told; `tests/kube/test_release.py` asks a real one."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release import record as records
from release.progress import Progress, of_deployment, of_rollout
from release.record import OutdatedError, OvertakenError, Record, ReleaseError, Version
from release.step import Release
from rollout.judgement import Judgement
from rollout.plan import Phase, Plan, State
from rollout.verdicts import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PLAN = Plan(weights=(100,), step_seconds=60, patience_seconds=300, ready_seconds=600)


def version(number: int) -> Version:
    return Version(image=f"registry/model@sha256:{number:064x}", name=str(number))


class KilledError(Exception):
    """The release step ends here."""


class Cluster:
    """A Deployment whose pods become ready some turns after they are changed, unless their version never does."""

    def __init__(self, *broken: int, turns: int = 3) -> None:
        self.deployment: dict[str, Any] = {
            "metadata": {"name": "m", "namespace": "ns", "resourceVersion": "0"},
            "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "server"}]}}},
        }
        self._set(version(1))
        self.broken, self.turns = broken, turns
        self.applied: list[Record] = []
        self.others: list[Callable[[], object]] = []
        """What others do between a look and the change that follows it, once each."""
        self.now, self.left, self.calls, self.killed_at = 0.0, 0, 0, -1
        self.wakes = 0

    def _set(self, wanted: Version) -> None:
        template = self.deployment["spec"]["template"]
        template["spec"]["containers"][0]["image"] = wanted.image
        template["metadata"]["labels"] = {records.VERSION: wanted.name}

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.killed_at:
            raise KilledError

    def read(self) -> Mapping[str, Any]:
        self._call()
        return copy.deepcopy(self.deployment)

    def progress(self) -> Progress:
        self._call()
        self.left -= 1
        running = records.running(self.deployment, "server")
        return Progress(done=self.left < 0 and running not in [version(number) for number in self.broken])

    def apply(self, record: Record, seen: Mapping[str, Any]) -> None:
        self._call()
        while self.others:
            self.others.pop()()
        if seen["metadata"]["resourceVersion"] != self.deployment["metadata"]["resourceVersion"]:
            raise OvertakenError
        if records.running(self.deployment, "server") != record.serving:
            self.left = self.turns
        self._set(record.serving)
        annotations, changes = {records.RECORD: record.text()}, str(len(self.applied) + 1)
        self.deployment["metadata"] |= {"annotations": annotations, "resourceVersion": changes}
        self.applied.append(record)

    def skip_steps(self, record: Record) -> None:
        """A Deployment takes none."""
        self._call()
        assert record.state.phase is Phase.ROLLED_BACK

    def wake(self) -> None:
        self._call()
        self.wakes += 1

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def release(self, verdict: Verdict | None = Verdict.GOOD) -> Release:
        judgement = None if verdict is None else Judgement((Finding("errors", verdict, "5 %"),))
        return Release(
            workload=self,
            container="server",
            plan=PLAN,
            back_seconds=PLAN.ready_seconds,
            judge=lambda _: judgement,
            clock=lambda: self.now,
            sleep=self.sleep,
            tell=lambda _: None,
        )

    def image(self) -> str:
        found = records.running(self.deployment, "server")
        assert found is not None
        return found.image


@pytest.mark.parametrize(
    ("broken", "verdict", "phase", "reason"),
    [
        (0, Verdict.GOOD, Phase.PROMOTED, ""),
        (2, Verdict.GOOD, Phase.ROLLED_BACK, "not ready after 600 s"),
        (0, Verdict.BAD, Phase.ROLLED_BACK, "errors: 5 %"),
        (0, Verdict.OPEN, Phase.ROLLED_BACK, "undecided after 300 s: errors: 5 %"),
        (0, None, Phase.ROLLED_BACK, "undecided after 300 s: nothing was seen"),
    ],
)
def test_a_version_serves_if_it_is_ready_and_judged_good_and_the_previous_one_otherwise(
    broken: int, verdict: Verdict | None, phase: Phase, reason: str
) -> None:
    cluster = Cluster(broken)
    ended = cluster.release(verdict).roll_out(version(2))

    assert (ended.state.phase, ended.state.reason) == (phase, reason)
    assert cluster.image() == version(2 if phase is Phase.PROMOTED else 1).image
    assert records.read(cluster.deployment) == ended


def test_a_release_that_has_ended_is_not_done_again_whether_it_went_well_or_not() -> None:
    for verdict in (Verdict.GOOD, Verdict.BAD):
        cluster = Cluster()
        ended = cluster.release(verdict).roll_out(version(2))
        before = len(cluster.applied)

        assert cluster.release(Verdict.GOOD).roll_out(version(2)) == ended
        assert len(cluster.applied) == before


def test_what_was_taken_back_is_released_once_more_by_somebody_who_says_so_and_by_nobody_else() -> None:
    cluster, told = Cluster(), list[str]()
    back = cluster.release(Verdict.OPEN).roll_out(version(2))
    assert replace(cluster.release(), tell=told.append).roll_out(version(2)) == back
    assert "2 was taken back and stays so (undecided after 300 s: errors: 5 %)" in told[0]
    assert "--again" in told[0]

    cluster.now += 1
    ended = cluster.release().roll_out(version(2), again=True)
    assert (ended.state.phase, ended.previous, cluster.image()) == (Phase.PROMOTED, version(1), version(2).image)
    assert ended.begun > back.begun
    before = len(cluster.applied)
    assert cluster.release().roll_out(version(2), again=True) == ended, "it serves"
    assert len(cluster.applied) == before


def test_a_second_try_that_fails_goes_back_to_what_serves() -> None:
    cluster = Cluster()
    cluster.release(Verdict.BAD).roll_out(version(2))
    ended = cluster.release(Verdict.BAD).roll_out(version(2), again=True)
    assert (ended.state.phase, ended.previous, cluster.image()) == (Phase.ROLLED_BACK, version(1), version(1).image)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([Verdict.GOOD, Verdict.BAD]), st.sampled_from([0, 2]))
def test_a_release_that_is_killed_anywhere_ends_as_one_that_is_not(
    first: int, second: int, verdict: Verdict, broken: int
) -> None:
    def end(kills: Iterator[int]) -> tuple[Phase, str, Version | None]:
        cluster = Cluster(broken)
        while True:
            cluster.killed_at = cluster.calls + next(kills)
            try:
                ended = cluster.release(verdict).roll_out(version(2))
            except KilledError:
                continue
            return ended.state.phase, cluster.image(), ended.previous

    never = iter(lambda: 10**6, 0)
    assert end(iter([first, second, 10**6])) == end(never)


@pytest.mark.parametrize(("number", "left_alone"), [(1, True), (2, False), (3, False)])
def test_an_event_that_comes_late_takes_no_newer_version_out_of_service(number: int, *, left_alone: bool) -> None:
    cluster = Cluster()
    cluster.release().roll_out(version(2))
    if left_alone:
        with pytest.raises(OutdatedError, match="a newer version than 1 runs"):
            cluster.release().roll_out(version(number), newer_only=True)
        assert cluster.image() == version(2).image
        cluster.release().roll_out(version(number))
    else:
        cluster.release().roll_out(version(number), newer_only=True)
    assert cluster.image() == version(number).image


def test_what_already_runs_is_taken_as_it_is() -> None:
    cluster = Cluster()
    ended = cluster.release(Verdict.BAD).roll_out(version(1))

    assert (ended.state.phase, ended.previous) == (Phase.PROMOTED, None)


def test_the_way_back_is_one_call_and_a_second_one_changes_nothing() -> None:
    cluster = Cluster()
    cluster.release().roll_out(version(2))
    back = cluster.release().roll_back()
    before = len(cluster.applied)

    assert cluster.image() == version(1).image
    assert back.state.reason == "asked for"
    assert cluster.release().roll_back() == back
    assert len(cluster.applied) == before


def test_there_is_no_way_back_from_the_first_version() -> None:
    with pytest.raises(ReleaseError, match="no version is known"):
        Cluster().release().roll_back()


def begun(cluster: Cluster, number: int) -> Record:
    """A release under way whose step does not run any more."""

    def die(_: float) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        replace(cluster.release(), sleep=die).roll_out(version(number))
    found = records.read(cluster.deployment)
    assert found is not None
    return found


def test_a_release_ends_when_another_one_begins() -> None:
    cluster = Cluster(turns=5)

    def overtake(seconds: float) -> None:
        cluster.now += seconds
        begun(cluster, 3)

    with pytest.raises(ReleaseError, match="now 3"):
        replace(cluster.release(), sleep=overtake).roll_out(version(2))
    assert cluster.image() == version(3).image


@pytest.mark.parametrize("others", [(2,), (2, 3), (2, 3, 4)])
def test_what_fails_goes_back_to_what_served_before_all_releases_that_have_not_ended(others: tuple[int, ...]) -> None:
    cluster = Cluster(*others, 9)
    for number in others:
        assert begun(cluster, number).previous == version(1)
    ended = cluster.release().roll_out(version(9))

    assert (ended.state.phase, ended.previous) == (Phase.ROLLED_BACK, version(1))
    assert cluster.image() == version(1).image


def test_what_served_before_may_be_asked_for_while_another_release_is_under_way() -> None:
    cluster = Cluster(2)
    begun(cluster, 2)
    ended = cluster.release(Verdict.OPEN).roll_out(version(1))

    assert (ended.state.phase, ended.previous, cluster.image()) == (Phase.PROMOTED, None, version(1).image)
    assert cluster.left < 0, "its pods were waited for"


@pytest.mark.parametrize("numbers", [(2, 3), (3, 2)])
def test_of_two_releases_at_the_same_moment_the_newer_version_has_the_deployment(numbers: tuple[int, int]) -> None:
    cluster = Cluster()
    first, second = (version(number) for number in numbers)
    cluster.others.append(lambda: cluster.release().roll_out(second, newer_only=True))
    with contextlib.suppress(OutdatedError):
        cluster.release().roll_out(first, newer_only=True)
    assert cluster.image() == version(3).image


def test_a_step_follows_what_somebody_else_made_of_its_release() -> None:
    cluster = Cluster()
    begun(cluster, 2)

    def take_back(_: float) -> None:
        cluster.release().roll_back()

    ended = replace(cluster.release(None), sleep=take_back).roll_out(version(2))

    assert (ended.state.phase, ended.state.reason) == (Phase.ROLLED_BACK, "asked for")
    assert cluster.image() == version(1).image


def test_a_deployment_that_others_change_without_end_is_left_with_a_reason() -> None:
    cluster = Cluster()

    def change(_: float = 0) -> None:
        cluster.others.append(lambda: cluster.deployment["metadata"].update(resourceVersion=object()))

    change()
    with pytest.raises(ReleaseError, match="start this again"):
        replace(cluster.release(), sleep=change).roll_out(version(2))
    assert cluster.image() == version(1).image


@pytest.mark.parametrize("image", ["registry/model:latest", "registry/model:1.2", "model@sha256:abc", ""])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(ReleaseError, match="by digest"):
        Version(image=image, name="1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"wanted": 1}', '{"state": {"phase": "lost"}}'])
def test_a_record_that_nobody_can_read_is_as_none(text: str) -> None:
    assert records.read({"metadata": {"annotations": {records.RECORD: text}}}) is None


def test_sidecars_of_the_models_image_change_with_it_and_no_others() -> None:
    beside = [
        {"name": "shipper", "image": version(1).image},
        {"name": "proxy", "image": f"registry/envoy@sha256:{1:064x}"},
    ]
    deployment = Cluster().deployment
    deployment["spec"]["template"]["spec"]["initContainers"] = beside
    record = Record(wanted=version(2), previous=version(1), begun=0, state=State(Phase.STARTING, 0, 1.0))
    pod = records.document(record, deployment, "server")["spec"]["template"]["spec"]
    assert pod["initContainers"] == [{"name": "shipper", "image": version(2).image}]
    assert records.followers({"spec": {"template": {"spec": {"containers": []}}}}, version(2).image) == []


def test_the_step_owns_image_label_and_record_and_nothing_else() -> None:
    record = Record(wanted=version(2), previous=version(1), begun=0, state=State(Phase.ROLLED_BACK, 0, 1.0, "bad"))
    found = records.document(record, Cluster().deployment, "server")

    assert found["metadata"].keys() == {"name", "namespace", "labels", "annotations", "resourceVersion"}
    assert found["spec"] == {
        "template": {
            "metadata": {"labels": {records.VERSION: "1"}},
            "spec": {"containers": [{"name": "server", "image": version(1).image}]},
        }
    }


def _deployment(**status: Any) -> dict[str, Any]:
    whole = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2} | status
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": whole}


TIMED_OUT = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, Progress(done=True)),
        ({"observedGeneration": 1}, Progress(done=False)),
        ({"replicas": 3}, Progress(done=False)),
        ({"updatedReplicas": 1}, Progress(done=False)),
        ({"availableReplicas": 1}, Progress(done=False)),
        ({"conditions": TIMED_OUT}, Progress(done=False, failure="too late")),
        ({"conditions": TIMED_OUT, "observedGeneration": 1}, Progress(done=False)),
    ],
)
def test_a_deployment_is_done_when_all_pods_are_new_and_none_is_old(status: dict[str, Any], found: Progress) -> None:
    assert of_deployment(_deployment(**status)) == found


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, Progress(done=True)),
        ({"observedGeneration": "1"}, Progress(done=False)),
        ({"workloadObservedGeneration": "6"}, Progress(done=False)),
        ({"phase": "Paused"}, Progress(done=False)),
        ({"stableRS": "old"}, Progress(done=False)),
        ({"abort": True, "message": "metric errors failed"}, Progress(done=False, failure="metric errors failed")),
        ({"phase": "Degraded"}, Progress(done=False, failure="the rollout was aborted")),
    ],
)
def test_a_rollout_is_done_only_when_the_version_that_was_asked_for_has_everything(
    status: dict[str, Any], found: Progress
) -> None:
    seen = {"observedGeneration": "2", "workloadObservedGeneration": "7", "phase": "Healthy"}
    rollout = {
        "metadata": {"generation": 2},
        "status": {**seen, "stableRS": "new", "currentPodHash": "new", **status},
    }
    assert of_rollout(rollout, {"metadata": {"generation": 7}}) == found
