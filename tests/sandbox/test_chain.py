"""The longest chain of an update: which edges count, how long it takes, what may slip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.chain import Step, report, schedule, steps

if TYPE_CHECKING:
    from sandbox.wire import Json

PREFIX = "urn:pulumi:test::slipway::"
VPC, CLUSTER, GROUP = "aws:ec2/vpc:Vpc", "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
ADDON, RELEASE = "aws:eks/addon:Addon", "kubernetes:helm.sh/v3:Release"


def urn(kind: str, name: str) -> str:
    return f"{PREFIX}{kind}::{name}"


def resource(kind: str, name: str, *, data: tuple[str, ...] = (), waits: tuple[str, ...] = ()) -> dict[str, Json]:
    return {
        "urn": urn(kind, name),
        "type": kind,
        "custom": True,
        "dependencies": [*data, *waits],
        "propertyDependencies": {"input": [*data]},
    }


def test_an_order_that_nobody_imposes_makes_the_chain_longer_and_one_that_aws_imposes_does_not() -> None:
    cluster = resource(CLUSTER, "c")
    cni = resource(ADDON, "cni", data=(urn(CLUSTER, "c"),))
    group = resource(GROUP, "g", data=(urn(CLUSTER, "c"),), waits=(urn(ADDON, "cni"),))
    needed = steps([cluster, cni, group])
    assert schedule(needed).seconds == schedule(needed, imposed_only=True).seconds == 540 + 30 + 120

    unneeded = steps([cluster, cni, group, resource(VPC, "v", waits=(urn(GROUP, "g"),))])
    assert schedule(unneeded).seconds == 691
    assert schedule(unneeded, imposed_only=True).seconds == 690


def test_a_remote_component_is_finished_with_its_children() -> None:
    component: dict[str, Json] = {"urn": urn("eks:index:Cluster", "k"), "type": "eks:index:Cluster", "custom": False}
    child: dict[str, Json] = {**resource(CLUSTER, "c"), "parent": component["urn"]}
    addon = resource(ADDON, "dns", data=(urn("eks:index:Cluster", "k"),))
    planned = schedule(steps([component, child, addon]))
    assert planned.ends[urn(ADDON, "dns")] == 540 + 30
    assert [each.rpartition("::")[2] for each in planned.chain] == ["c", "k", "dns"]


def test_a_provider_is_waited_for_and_only_a_release_waits_for_pods() -> None:
    provider = {**resource("pulumi:providers:kubernetes", "p", data=(urn(CLUSTER, "c"),))}
    release = {**resource(RELEASE, "r"), "provider": f"{urn('pulumi:providers:kubernetes', 'p')}::1234"}
    planned = steps([resource(CLUSTER, "c"), provider, release])
    assert planned[urn(RELEASE, "r")].imposed == {urn("pulumi:providers:kubernetes", "p")}
    assert schedule(planned).seconds == 540 + 45


def test_the_report_shows_the_chain_and_what_stands_beside_it() -> None:
    planned = steps([resource(CLUSTER, "c"), resource(ADDON, "slow", data=(urn(CLUSTER, "c"),)), resource(GROUP, "g")])
    text = report(planned, schedule(planned), schedule(planned, imposed_only=True))
    assert "longest chain 570 s; the part that AWS imposes 570 s (0.0% more)" in text
    assert "    540    540  aws:eks/cluster:Cluster::c" in text
    assert "    450    120  aws:eks/nodeGroup:NodeGroup::g" in text


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Step]:
    size = draw(st.integers(1, 8))
    drawn: dict[str, Step] = {}
    for index in range(size):
        earlier = [str(number) for number in range(index)]
        waits = frozenset(draw(st.sets(st.sampled_from(earlier)))) if earlier else frozenset[str]()
        imposed = frozenset(name for name in waits if draw(st.booleans()))
        drawn[str(index)] = Step(str(index), float(draw(st.integers(0, 9))), waits, imposed)
    return drawn


@given(graphs())
def test_a_step_ends_after_all_it_waits_for_and_the_chain_is_as_long_as_the_update(graph: dict[str, Step]) -> None:
    ours, theirs = schedule(graph), schedule(graph, imposed_only=True)
    for name, step in graph.items():
        assert all(ours.ends[name] >= ours.ends[earlier] + step.seconds for earlier in step.waits_for)
        assert ours.slack[name] >= 0
    assert ours.seconds == pytest.approx(sum(graph[name].seconds for name in ours.chain))
    assert all(ours.slack[name] == pytest.approx(0) for name in ours.chain)
    assert theirs.seconds <= ours.seconds
