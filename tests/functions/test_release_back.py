"""The wait for what served before: what ends it, what does not, and what the registry is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from release import __main__ as command
from release import record as records
from release.api import ModelWorkload, Server
from release.progress import Progress, takes_steps
from release.recall import Registry, recall
from release.record import NotBackError, OvertakenError, Record, ReleaseError
from release.step import WAKE_SECONDS
from rollout.plan import Phase, State
from tests.functions.test_recall import LIMITS, PACKAGES, SageMaker, look
from tests.functions.test_release_faults import BACK, OUT
from tests.functions.test_release_step import PLAN, Cluster, version


class Rollout(Cluster):
    """A cluster whose controller goes back by steps that never end, unless it is told to skip them."""

    def __init__(self, *answers: Exception | None, failure: str = "") -> None:
        super().__init__(turns=1)
        self.answers, self.failure = list(answers), failure
        self.skips, self.told = False, list[str]()

    def progress(self) -> Progress:
        found, back = super().progress(), records.read(self.deployment)
        steps = back is not None and back.state.phase is Phase.ROLLED_BACK and not self.skips
        return replace(found, done=False, failure=self.failure) if steps else found

    def skip_steps(self, record: Record) -> None:
        super().skip_steps(record)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.skips = True

    def back(self) -> Record:
        self.release().roll_out(version(2))
        return replace(self.release(), tell=self.told.append).roll_back()


def test_a_way_back_skips_the_steps_of_a_rollout() -> None:
    cluster = Rollout()
    assert cluster.back().serving == version(1)
    assert cluster.now < PLAN.ready_seconds


def test_a_rollout_that_changes_while_it_is_told_is_told_again() -> None:
    cluster = Rollout(OvertakenError(), OvertakenError())
    cluster.back()
    assert cluster.skips


def test_who_may_not_skip_steps_waits_for_them_and_says_why_once() -> None:
    cluster = Rollout(*(ReleaseError("403 may not patch") for _ in range(1000)))
    with pytest.raises(NotBackError, match="1 is not back: 403 may not patch, after 600 s"):
        cluster.back()
    assert cluster.told[1:] == ["1 is not back yet: 403 may not patch"]


def test_a_controller_that_has_given_up_is_told_of_and_may_go_on() -> None:
    cluster = Rollout(OvertakenError(), failure="RolloutAborted: predictions")
    cluster.answers += [ReleaseError("403"), None]
    cluster.back()
    assert cluster.skips
    stuck = Rollout(*(OvertakenError() for _ in range(1000)))
    with pytest.raises(NotBackError, match="its pods are not there, after 600 s"):
        stuck.back()


def test_a_way_back_ends_when_another_release_begins() -> None:
    cluster = Rollout(*(OvertakenError() for _ in range(1000)))
    cluster.release().roll_out(version(2))

    def overtake(seconds: float) -> None:
        cluster.now += seconds
        state = State(Phase.STARTING, 0, cluster.now)
        record = Record(wanted=version(3), previous=version(1), begun=0, state=state)
        cluster.apply(record, cluster.read())

    with pytest.raises(NotBackError, match="the Deployment is now 3's"):
        replace(cluster.release(), sleep=overtake).roll_back()
    assert not cluster.skips, "the other release has to be judged"


TAKEN_BACK = Record(
    wanted=version(2), previous=version(1), begun=0, state=State(Phase.ROLLED_BACK, 0, 60.0, "errors: 5 %")
)


@pytest.mark.parametrize("arguments", [OUT, BACK], ids=lambda each: each[0])
def test_the_registry_hears_of_a_way_back_that_does_not_end(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(*_: object) -> Record:
        raise NotBackError(TAKEN_BACK, "no room")

    sagemaker = SageMaker()

    def client(*_: object) -> SageMaker:
        return sagemaker

    monkeypatch.setattr(command, "server", client)
    monkeypatch.setattr(command, "_client", client)
    monkeypatch.setattr(command, "run", stuck)
    assert command.main(arguments) == 1
    assert capsys.readouterr().out == "1 is not back: no room\n"
    assert sagemaker.packages[f"{PACKAGES}2"]["ModelApprovalStatus"] == "Rejected"
    assert sagemaker.said("2").startswith(f"not-back sha256:{2:064x} at 1970-01-01T00:01:00")
    assert sagemaker.said("2").endswith("1 is not back: no room")
    assert "CustomerMetadataProperties" not in sagemaker.packages[f"{PACKAGES}1"], "nobody knows that it serves"


def test_a_recall_that_did_not_end_goes_on_at_the_next_look() -> None:
    cluster, sagemaker = Rollout(*(OvertakenError() for _ in range(1000))), SageMaker()
    client: Any = sagemaker
    registry = Registry.at(client, PACKAGES, "here")
    cluster.release().roll_out(version(2))
    since = cluster.now
    cluster.now += 60
    found = [look(since), look(cluster.now)]
    with pytest.raises(NotBackError) as stuck:
        recall(cluster.release(), registry, found, LIMITS)
    command.report_return(client, PACKAGES, "here", stuck.value.record, str(stuck.value))
    cluster.answers.clear()
    back = recall(cluster.release(), registry, found, LIMITS)
    assert back is not None
    assert cluster.skips


AWAY = {
    "observedGeneration": "2",
    "workloadObservedGeneration": "7",
    "stableRS": "old",
    "currentPodHash": "new",
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"abort": True, "phase": "Degraded"}, True),
        ({"promoteFull": True}, False),
        ({"stableRS": "new"}, False),
        ({"workloadObservedGeneration": "6"}, False),
        ({"observedGeneration": "1"}, False),
    ],
)
def test_a_rollout_takes_steps_until_it_is_there_or_told_not_to(status: dict[str, Any], *, expected: bool) -> None:
    rollout = {"metadata": {"generation": 2}, "status": {**AWAY, **status}}
    assert takes_steps(rollout, {"metadata": {"generation": 7}}) is expected


class Asleep(Cluster):
    """A cluster whose controller sees nothing of a change until it is woken."""

    answers: ReleaseError | None = None

    def progress(self) -> Progress:
        return replace(super().progress(), done=self.wakes > 0)

    def wake(self) -> None:
        if self.answers is not None:
            raise self.answers
        super().wake()


def test_a_controller_that_has_lost_sight_of_a_release_is_woken_forth_and_back() -> None:
    cluster = Asleep()
    assert cluster.release().roll_out(version(2)).state.phase is Phase.PROMOTED
    cluster.wakes, begun = 0, cluster.now
    assert cluster.release().roll_back().serving == version(1)
    assert cluster.now - begun <= 2 * WAKE_SECONDS


@pytest.mark.parametrize("answer", [OvertakenError(), ReleaseError("403 may not patch")])
def test_who_may_not_wake_a_controller_waits_for_as_long_as_without(answer: ReleaseError) -> None:
    cluster = Asleep()
    cluster.answers = answer
    with pytest.raises(NotBackError, match="1 is not back"):
        cluster.release().roll_out(version(2))
    assert cluster.now >= PLAN.ready_seconds


SETTLED: dict[str, Any] = {"phase": "Healthy", "stableRS": "a", "currentPodHash": "a"}


WORDS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({"phase": "Progressing"}, [{"promoteFull": False}]),
    ({"phase": "Progressing", "promoteFull": False}, [{}]),
    ({"phase": "Progressing", "promoteFull": True}, []),
    ({**SETTLED, "workloadObservedGeneration": "13"}, [{"promoteFull": False}]),
    ({**SETTLED, "workloadObservedGeneration": "14"}, []),
]


@pytest.mark.parametrize(("status", "told"), WORDS)
def test_a_rollout_under_way_is_woken_by_a_word_that_says_nothing(status: dict[str, Any], told: list[Any]) -> None:
    names = {"name": "m", "namespace": "ns", "resourceVersion": "7", "generation": 3}
    status = {"observedGeneration": "3", **status}
    held: dict[str, dict[str, Any]] = {
        "deployments": {"metadata": {"generation": 14}},
        "rollouts": {"apiVersion": "v", "kind": "Rollout", "metadata": names, "status": status},
    }
    server = mock.Mock(spec=Server)

    def answer(method: str, path: str, *_: object) -> dict[str, Any]:
        return held[path.split("/")[-2]] if method == "GET" else {}

    server.call.side_effect = answer
    ModelWorkload(server=server, namespace="ns", name="m", container="server").wake()
    changes = [call.args for call in server.call.call_args_list if call.args[0] != "GET"]
    assert [document["status"] for _, _, document, _ in changes] == told
    for method, path, document, _ in changes:
        assert (method, path.endswith("/rollouts/m/status")) == ("PATCH", True)
        assert document["metadata"]["resourceVersion"] == "7"
