"""The address plan of a VPC."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.address_plan import plan_addresses

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c", "eu-west-1d"]


def vpc_at(prefix: int, index: int) -> IPv4Network:
    return IPv4Network((int(IPv4Network("10.0.0.0/8").network_address) + (index << 16), prefix))


vpcs = st.builds(vpc_at, st.integers(16, 20), st.integers(0, 255))
zones = st.integers(1, len(ZONES)).map(lambda count: ZONES[:count])
private = st.integers(18, 26)
public = st.integers(20, 28)


def fits(vpc: IPv4Network, count: int, private_prefix: int, public_prefix: int) -> bool:
    return count * (2 ** (32 - private_prefix) + 2 ** (32 - public_prefix)) <= vpc.num_addresses


@given(vpcs, zones, private, public)
def test_subnets_are_disjoint_inside_the_vpc_and_of_the_asked_size(
    vpc: IPv4Network, names: list[str], private_prefix: int, public_prefix: int
) -> None:
    assume(fits(vpc, len(names), private_prefix, public_prefix))
    plan = plan_addresses(vpc, names, private_prefix=private_prefix, public_prefix=public_prefix)
    subnets = [*plan.private.values(), *plan.public.values()]
    assert len(subnets) == 2 * len(names)
    assert all(subnet.subnet_of(vpc) for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert {subnet.prefixlen for subnet in plan.private.values()} == {private_prefix}
    assert {subnet.prefixlen for subnet in plan.public.values()} == {public_prefix}


@given(vpcs, private, public, st.integers(1, len(ZONES) - 1))
def test_a_zone_that_is_added_last_moves_no_subnet(
    vpc: IPv4Network, private_prefix: int, public_prefix: int, count: int
) -> None:
    assume(fits(vpc, count + 1, private_prefix, public_prefix))
    before, after = (
        plan_addresses(vpc, ZONES[:n], private_prefix=private_prefix, public_prefix=public_prefix)
        for n in (count, count + 1)
    )
    assert {zone: after.private[zone] for zone in ZONES[:count]} == before.private
    assert {zone: after.public[zone] for zone in ZONES[:count]} == before.public


@given(vpcs, zones, private, public)
def test_a_plan_that_needs_more_than_the_vpc_has_is_refused_with_both_numbers(
    vpc: IPv4Network, names: list[str], private_prefix: int, public_prefix: int
) -> None:
    assume(not fits(vpc, len(names), private_prefix, public_prefix))
    with pytest.raises(ValueError, match=rf"need \d+ addresses .* has {vpc.num_addresses}; .* fewer zones$"):
        plan_addresses(vpc, names, private_prefix=private_prefix, public_prefix=public_prefix)


def test_the_whole_vpc_can_be_used() -> None:
    vpc = IPv4Network("10.0.0.0/16")
    plan = plan_addresses(vpc, ZONES, private_prefix=19, public_prefix=19)
    assert sum(net.num_addresses for net in (*plan.private.values(), *plan.public.values())) == vpc.num_addresses
