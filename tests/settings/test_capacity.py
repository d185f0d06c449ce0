"""What a node leaves for workloads: as the image reserves it, as Karpenter publishes it, as our own values ask."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.accelerators_objects import device_plugin_values, exporter_values, neuron_values
from components.labels import Labels
from components.monitoring_objects import stack_values
from settings.capacity import (
    DAEMONS,
    EVICTION_MIB,
    allocatable,
    for_workloads,
    memory_mib,
    processors,
    reserved_cpu_millis,
    reserved_mib,
)
from settings.instances import EC2_TYPES, family
from settings.model import PoolRole
from tests.settings.stacks import changed, problems, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES: Final = sorted(EC2_TYPES)
KNOWN: Final = [name for name in TYPES if memory_mib(name) is not None]
KARPENTERS_OVERHEAD: Final = 0.075
"""Part of the memory that Karpenter takes for lost before a node is up (`vmMemoryOverheadPercent`)."""


@pytest.mark.parametrize(
    ("name", "cpu_millis", "mib", "pods"),
    [
        ("t3.medium", 1930, 3246, 17),
        ("m5.large", 1930, 6903, 29),
        ("g6.xlarge", 3920, 14_162, 58),
        ("m6i.4xlarge", 15_890, 57_691, 234),
        ("c6i.32xlarge", 127_610, 234_021, 737),
    ],
)
def test_the_formula_gives_what_karpenter_publishes_for_the_pods_that_it_counts(
    name: str, cpu_millis: int, mib: int, pods: int
) -> None:
    room, memory = allocatable(name), memory_mib(name)
    assert room is not None
    assert memory is not None
    assert room.cpu_millis == cpu_millis
    assert int(memory * (1 - KARPENTERS_OVERHEAD)) - reserved_mib(pods) - EVICTION_MIB == mib
    assert room.memory_mib >= mib


@pytest.mark.parametrize(("count", "millis"), [(1, 60), (2, 70), (4, 80), (8, 90), (96, 310)])
def test_of_processors_the_first_cost_most(count: int, millis: int) -> None:
    assert reserved_cpu_millis(count) == millis


@pytest.mark.parametrize(("name", "pods"), [("m6i.4xlarge", 110), ("m6i.8xlarge", 250)])
def test_large_nodes_admit_more_pods(name: str, pods: int) -> None:
    room = allocatable(name)
    assert room is not None
    assert room.pods == pods


@given(st.sampled_from(KNOWN), st.sampled_from(PoolRole))
def test_what_is_left_is_never_negative_and_never_more_than_the_node(name: str, role: PoolRole) -> None:
    room, memory = for_workloads(name, role), memory_mib(name)
    assert room is not None
    assert memory is not None
    assert 0 <= room.cpu_millis < processors(name) * 1000
    assert 0 <= room.memory_mib < memory
    assert 0 < room.pods <= 250


@given(st.sampled_from(sorted({family(name) for name in KNOWN})), st.sampled_from(PoolRole))
def test_a_larger_size_of_a_family_leaves_no_less(kind: str, role: PoolRole) -> None:
    sizes = sorted((name for name in KNOWN if family(name) == kind), key=lambda name: memory_mib(name) or 0)
    rooms = [room for room in (for_workloads(name, role) for name in sizes) if room]
    assert len(rooms) == len(sizes)
    for small, large in pairwise(rooms):
        assert small.cpu_millis <= large.cpu_millis
        assert small.memory_mib <= large.memory_mib
        assert small.pods <= large.pods


@pytest.mark.parametrize("name", ["r9g.large", "trn2.3xlarge", "m6i.huge", "x9.large"])
def test_nothing_is_said_of_types_whose_size_is_not_known(name: str) -> None:
    assert allocatable(name) is None
    assert for_workloads(name, PoolRole.CPU) is None


def test_unknown_sizes_are_few() -> None:
    assert {name.partition(".")[0] for name in set(TYPES) - set(KNOWN)} == {
        *("p3", "p6e-gb200", "r9g", "r9gd", "t8i", "trn2"),
    }


def test_the_table_has_the_requests_of_our_own_values() -> None:
    settings = settings_of(changed({"accelerators.exporterMemoryMib": 128}))
    plugin = device_plugin_values(settings.accelerators)
    stack = stack_values(Labels(settings.environment), settings.monitoring, storage_class="gp3")
    ours: Mapping[str, Mapping[str, Any]] = {
        "prometheus-node-exporter": stack["prometheus-node-exporter"],
        "nvidia-device-plugin": plugin,
        "gpu-feature-discovery": plugin,
        "node-feature-discovery-worker": plugin["nfd"]["worker"],
        "dcgm-exporter": exporter_values(settings.accelerators, scraped=True),
        "neuron-device-plugin": neuron_values()["devicePlugin"],
    }
    table = {daemon.name: (f"{daemon.cpu_millis}m", f"{daemon.memory_mib}Mi") for daemon in DAEMONS}
    asked = {name: values["resources"]["requests"] for name, values in ours.items()}
    assert {name: (each["cpu"], each["memory"]) for name, each in asked.items()} == {name: table[name] for name in ours}


def test_a_pool_of_unknown_size_is_given_the_benefit_of_the_doubt() -> None:
    large = {"teams.0.namespaces.0.limits.maxCpuMillis": 100_000}
    unknown = {"karpenter.pools.0.instanceFamilies": ["r9g"], "karpenter.pools.0.architecture": "arm64"}
    assert [line for line in problems(changed(large)) if "largest node" in line]
    assert not [line for line in problems(changed({**large, **unknown})) if "largest node" in line]


def test_nodes_of_the_system_pool_are_no_room_for_teams() -> None:
    edits = {"nodePools.0.instanceTypes": ["m6i.16xlarge"], "teams.0.namespaces.0.limits.maxCpuMillis": 20_000}
    assert [line for line in problems(changed(edits)) if "at most 15750" in line]


def test_every_daemon_names_its_source_and_day() -> None:
    assert len({daemon.name for daemon in DAEMONS}) == len(DAEMONS)
    assert all("2026-" in daemon.source and daemon.roles for daemon in DAEMONS)
