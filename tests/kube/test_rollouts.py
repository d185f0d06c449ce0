"""Argo Rollouts itself carries out what the program declares, on a real control plane with simulated nodes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from components.serving_pods import HASH_LABEL
from release.record import NotBackError
from rollout.plan import Phase
from tests.kube.rolled import (
    DEPLOYMENT,
    GOOD,
    MODEL,
    PODS,
    ROLLOUT,
    SECONDS,
    program_objects,
    rolling_out,
)
from tests.kube.serving import PROGRAM
from tests.support.rolled_out import ROLLOUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from tests.kube.control_plane import Cluster
    from tests.kube.rolled import Rolled

pytestmark = pytest.mark.kube

BACK_SECONDS = 30.0
"""Figure 25: from the order to go back until the version before serves everybody."""


@pytest.fixture(scope="module")
def rolled(
    open_cluster: Callable[[], AbstractContextManager[Cluster]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rolled]:
    with rolling_out(open_cluster, tmp_path_factory.mktemp("argo")) as running:
        yield running


@pytest.fixture(autouse=True)
def good(rolled: Rolled) -> None:
    rolled.prometheus.answers.clear()
    rolled.prometheus.answers.update(GOOD)


def test_the_rollout_takes_the_pods_over_and_the_deployment_ends_with_none(rolled: Rolled) -> None:
    rolled.until(lambda: rolled.held("Deployment", DEPLOYMENT)["spec"]["replicas"] == 0, "it has no pods")
    rolled.until(lambda: rolled.versions() == {"7": PODS}, "as many pods as the autoscaler wants")
    assert rolled.weight() == 0


def test_a_good_version_gets_each_share_and_then_everything(rolled: Rolled) -> None:
    rolled.release(8)
    shares = rolled.ended(failure=False)
    assert [share for share in shares if 0 < share < 100] == [5, 50]
    rolled.until(lambda: rolled.versions() == {"8": PODS}, "only the new version is there")
    assert rolled.selected() == "8"


@pytest.mark.parametrize(
    "answers",
    [{"errors": 50.0}, {"p95": 50.0}, {"predictions": 0.4}, {"restarts": 1.0}],
    ids=lambda answers: next(iter(answers)),
)
def test_a_version_that_one_test_is_sure_is_bad_gets_no_more_than_its_first_share(
    rolled: Rolled, answers: dict[str, float]
) -> None:
    before = rolled.selected()
    rolled.prometheus.answers.update(answers)
    rolled.release(90 + sum(map(ord, next(iter(answers)))) % 100)
    rolled.expect_back(before)


def test_a_version_of_which_nothing_is_seen_is_taken_back(rolled: Rolled) -> None:
    before = rolled.selected()
    rolled.prometheus.answers.clear()
    rolled.release(300)
    rolled.expect_back(before)


@contextmanager
def watched(rolled: Rolled) -> Generator[tuple[set[int], list[int]]]:
    """Shares of the new version that the load balancer was told meanwhile, and how many ready pods the Service had."""
    shares: set[int] = set()
    served: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            shares.add(rolled.weight())
            served.append(len(rolled.behind()))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield shares, served
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("model", ROLLOUTS)
def test_a_promoted_version_goes_back_in_half_a_minute_without_a_step_or_a_judgement(
    rolled: Rolled, model: str
) -> None:
    rolled = rolled.of(model)
    before, worse = rolled.image(), rolled.version(400)
    assert rolled.step("roll-out", "--image", worse, "--version", "400").state.phase is Phase.PROMOTED
    assert rolled.images() == {worse}
    rolled.until(lambda: len(rolled.versions()) == 1, "the version before has no pods")
    # What the version before predicts is not what the one in service does: a judgement would keep the worse one.
    rolled.prometheus.answers["predictions"] = 0.4
    begun = time.monotonic()
    with watched(rolled) as (shares, served):
        rolled.step("roll-back")
    assert time.monotonic() - begun <= BACK_SECONDS
    assert rolled.images() == {before}
    assert shares == {0}, "no pod has more requests than its part, however few there are yet"
    assert min(served) >= PODS
    assert rolled.selected() == rolled.selected(f"{model}-canary")
    rolled.until(lambda: len(rolled.versions()) == 1, "the worse version has no pods")


def test_a_way_back_that_does_not_end_says_so_and_goes_on_when_it_is_asked_again(rolled: Rolled) -> None:
    before, worse = rolled.image(), rolled.version(500)
    rolled.step("roll-out", "--image", worse, "--version", "500")
    rolled.until(lambda: len(rolled.versions()) == 1, "the version before has no pods")
    rolled.cordon(closed=True)
    with pytest.raises(NotBackError, match="is not back") as stuck:
        rolled.step("roll-back", "--back-seconds", "8")
    assert (stuck.value.record.wanted.image, stuck.value.record.serving.image) == (worse, before)
    assert rolled.images() == {worse}
    rolled.cordon(closed=False)
    rolled.step("roll-back")
    assert rolled.images() == {before}


def test_blue_green_flips_and_goes_back_by_one_field_of_the_ingress(rolled: Rolled) -> None:
    rolled = rolled.of("at-once")
    field = "Ingress/at-once alb.ingress.kubernetes.io/actions.at-once"
    rolled.release(20)
    rolled.ended(failure=False)
    rolled.until(lambda: rolled.versions() == {"20": PODS}, "the version before has no pods")
    # No verdict yet, then a bad one.
    rolled.prometheus.answers["sample"] = 0.0
    rolled.release(21)
    assert rolled.step_to(100) == {field}
    assert rolled.versions() == {"20": PODS, "21": PODS}, "both are there in full"
    rolled.prometheus.answers["errors"] = 50.0
    # The controller lets the other Service select the old pods, too, once nobody is to be sent there.
    other = "Service/at-once-canary selector rollouts-pod-template-hash"
    assert {field} <= rolled.step_to(0) <= {field, other}
    rolled.ended(failure=True)
    rolled.expect_served("20")


def test_an_a_b_test_shows_its_callers_the_new_version_and_ends_with_it_or_the_old_one_for_all(rolled: Rolled) -> None:
    rolled = rolled.of("by-header")
    callers, before = "by-header-canary", rolled.selected()
    rolled.release(30)
    rolled.until(lambda: rolled.selected(callers) == "30", "its callers see it")
    assert (rolled.selected(), rolled.weight()) == (before, 0), "nobody else does"
    rolled.ended(failure=False)
    rolled.until(lambda: rolled.selected() == rolled.selected(callers) == "30", "everybody does")

    rolled.prometheus.answers["sample"] = 0.0
    rolled.release(31)
    rolled.until(lambda: rolled.selected(callers) == "31", "its callers see the bad one")
    rolled.prometheus.answers["errors"] = 50.0
    assert rolled.ended(failure=True) == [0], "nobody else ever does"
    rolled.until(lambda: rolled.selected(callers) == "30", "nor do they any more")
    rolled.expect_served("30")


def test_the_next_update_of_the_program_conflicts_with_nobody_and_leaves_weights_and_versions_alone(
    rolled: Rolled,
) -> None:
    before = (rolled.weight(), rolled.selected(), rolled.selected(f"{MODEL}-canary"))
    for item in program_objects(rolled.prometheus):
        # Of these the provider takes what it ignores from the live object, see `test_release.py`.
        if item["kind"] not in ("Deployment", "Service"):
            rolled.cluster.api.apply(item, manager=PROGRAM, force=False)
    assert (rolled.weight(), rolled.selected(), rolled.selected(f"{MODEL}-canary")) == before
    assert before[1] == before[2]
    assert rolled.progress().done


def test_back_to_rolling_the_deployment_serves_before_the_rollout_goes(rolled: Rolled) -> None:
    """As docs/rollouts.md tells a person to; the next update then changes the Service without a conflict."""
    api, cluster = rolled.cluster.api, rolled.cluster
    declared = next(
        item
        for item in program_objects(rolled.prometheus)
        if item["kind"] == "Service" and item["metadata"]["name"] == MODEL
    )
    cluster.daemons.stop("rollouts-controller")
    api.merge(rolled.held("Deployment", DEPLOYMENT), {"spec": {"replicas": PODS}})
    cluster.until(
        lambda: rolled.held("Deployment", DEPLOYMENT)["status"].get("availableReplicas") == PODS, "it has pods", SECONDS
    )
    fewest: list[int] = []

    def serving() -> int:
        """Pods behind the Service; the fewest ever are kept."""
        fewest.append(len(rolled.behind()))
        return fewest[-1]

    api.merge(rolled.held("Service", "v1"), {"spec": {"selector": {HASH_LABEL: None}}})
    cluster.until(lambda: serving() == sum(rolled.versions().values()) > PODS, "it leads to the pods of both", SECONDS)
    api.apply(declared, manager=PROGRAM, force=False)
    api.delete(rolled.held("Rollout", ROLLOUT))
    cluster.until(lambda: serving() == PODS == sum(rolled.versions().values()), "the Deployment's are left", SECONDS)
    assert min(fewest) >= PODS
