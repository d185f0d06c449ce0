"""What pods carry, which nodes they fill, and how long a burst waits: properties and prod's own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings.scale_up import CEILING_SECONDS, GOAL_SECONDS, has_headroom, seconds, slowest_start, steps
from settings.serving_capacity import Nodes, nodes_for, pods_for, room, supply
from tests.settings.stacks import changed, decoded, settings_of

if TYPE_CHECKING:
    from settings.model import EksServingSpec, Settings


def spec_of(settings: Settings) -> EksServingSpec:
    serving = settings.models[0].serving
    assert serving is not None
    assert serving.eks is not None
    return serving.eks


def spec(**edits: object) -> EksServingSpec:
    edited = changed({f"models.0.serving.eks.{path}": value for path, value in edits.items()})
    return spec_of(settings_of(edited))


@given(load=st.integers(1, 10**7), reserve=st.integers(0, 400), each=st.integers(1, 10**5))
def test_so_many_pods_carry_load_and_reserve_and_one_fewer_does_not(load: int, reserve: int, each: int) -> None:
    given_spec = spec()
    pod = given_spec.pod.model_copy(update={"requests_per_second": each})
    pods = pods_for(load, given_spec.model_copy(update={"pod": pod, "reserve_percent": reserve}))
    wanted = load * (100 + reserve)
    assert pods * each * 100 >= wanted > (pods - 1) * each * 100


POOLS = st.lists(st.builds(Nodes, pool=st.just("p"), count=st.integers(0, 50), pods=st.integers(0, 20)), max_size=4)


@given(pods=st.integers(0, 2000), pools=POOLS)
def test_pods_find_nodes_exactly_while_there_is_room(pods: int, pools: list[Nodes]) -> None:
    named = [replace(pool, pool=str(place)) for place, pool in enumerate(pools)]
    nodes = nodes_for(pods, named)
    assert (nodes is None) is (pods > room(pools))
    if nodes is not None:
        assert all(nodes.get(pool.pool, 0) <= pool.count for pool in named)
        assert sum(nodes.get(pool.pool, 0) * pool.pods for pool in named) >= pods
        assert (sum(nodes.values()) == 0) is (pods == 0)


def test_prod_carries_its_target_on_the_managed_nodes_alone() -> None:
    settings = settings_of(decoded())
    pools = {pool.pool: pool for pool in supply(settings, spec_of(settings))}
    assert pools.keys() == {"cpu", "burst-cpu"}
    assert pods_for(3500, spec_of(settings)) == 4
    assert nodes_for(10, [pools["cpu"]]) == {"cpu": 2}


def test_pods_that_bear_interruptions_find_other_nodes() -> None:
    settings = settings_of(changed({"models.0.serving.eks.capacity": "spot"}))
    assert {pool.pool for pool in supply(settings, spec_of(settings))} == {"cpu-spot", "batch-cpu"}


def test_a_pod_that_fits_no_node_has_no_room() -> None:
    settings = settings_of(changed({"models.0.serving.eks.pod.cpuMillis": 4000}))
    assert room(supply(settings, spec_of(settings))) == 0


def test_a_burst_is_answered_within_the_ceiling_and_with_headroom_within_the_goal() -> None:
    settings = settings_of(decoded())
    assert has_headroom(settings, spec_of(settings))
    assert seconds(steps(spec_of(settings), headroom=False)) <= CEILING_SECONDS
    assert seconds(steps(spec_of(settings), headroom=True)) <= GOAL_SECONDS


@pytest.mark.parametrize("start", [1, 13])
def test_the_slowest_start_does_not_depend_on_the_present_one(start: int) -> None:
    slow = spec(**{"pod.startSeconds": start})
    assert slowest_start(slow) == 13
    assert seconds(steps(slow, headroom=False)) == pytest.approx(47 + start)


def test_a_placeholder_smaller_than_a_pod_is_no_headroom() -> None:
    settings = settings_of(changed({"karpenter.headroom.pools.0.cpuMillis": 499}))
    assert not has_headroom(settings, spec_of(settings))
