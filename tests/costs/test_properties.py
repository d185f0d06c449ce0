from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from costs.band import NOTHING, Band
from costs.estimate import Estimate, Place, bill
from costs.prices import price_table
from tests.support.planned import made_up, nodes, usage_for_all

if TYPE_CHECKING:
    from costs.plan import Planned

PLACE = Place(environment="test", region="us-east-1", cost_center="research")
TYPES = ("m6i.large", "m6i.xlarge", "g6.xlarge", "g5.xlarge", "m5.xlarge")
SINGLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("aws:ec2/natGateway:NatGateway", {}),
    ("aws:ec2/eip:Eip", {}),
    ("aws:s3/bucket:Bucket", {}),
    ("aws:kms/key:Key", {"tags": {"CostCenter": "production"}}),
    ("aws:sqs/queue:Queue", {}),
    ("aws:cloudwatch/logGroup:LogGroup", {}),
    ("aws:rds/cluster:Cluster", {}),
    ("aws:iam/role:Role", {}),
)

Group = tuple["Planned", ...]
counts = st.integers(min_value=0, max_value=40)
disks = st.integers(min_value=20, max_value=500)
amounts = st.decimals(min_value=0, max_value=1000, places=3, allow_nan=False)


def _node_group(name: int, kind: str, count: int, spot: bool, disk: int) -> Group:
    return nodes(f"pool-{name}", kind, count, spot=spot, disk=disk)


def _single(name: int, choice: int) -> Group:
    token, inputs = SINGLE[choice]
    return (made_up(token, f"one-{name}", inputs),)


names = st.integers(min_value=0)
groups = st.one_of(
    st.builds(_node_group, names, st.sampled_from(TYPES), counts, st.booleans(), disks),
    st.builds(_single, names, st.integers(min_value=0, max_value=len(SINGLE) - 1)),
)
plans = st.lists(groups, max_size=6)


def billed(plan: list[Group], numbers: tuple[str, str, str] = ("1", "2", "3")) -> Estimate:
    resources = [resource for group in plan for resource in group]
    return bill(resources, PLACE, usage_for_all(numbers), price_table(), on=date(2026, 11, 22))


def numbered(plan: list[Group], prefix: str) -> list[Group]:
    """The same plan with names of its own, so that two plans share no resource."""
    return [tuple(_renamed(resource, f"{prefix}{index}") for resource in group) for index, group in enumerate(plan)]


def _renamed(resource: Planned, name: str) -> Planned:
    made_of = {
        key: [f"{urn.rpartition('::')[0]}::{name}" for urn in urns]
        for key, urns in resource.property_dependencies.items()
    }
    return type(resource)(
        urn=f"{resource.urn.rpartition('::')[0]}::{name}",
        type=resource.type,
        name=name,
        inputs=resource.inputs,
        property_dependencies=made_of,
    )


def test_nothing_costs_nothing() -> None:
    found = billed([])
    assert found.monthly == NOTHING
    assert found.not_priced == ()


@given(plans, plans)
def test_two_plans_together_cost_what_they_cost_apart(one: list[Group], other: list[Group]) -> None:
    first, second = numbered(one, "a"), numbered(other, "b")
    together, left, right = billed([*first, *second]), billed(first), billed(second)
    assert Counter(together.lines) == Counter([*left.lines, *right.lines])
    assert Counter(together.not_priced) == Counter([*left.not_priced, *right.not_priced])
    assert together.monthly == left.monthly + right.monthly


@given(st.sampled_from(TYPES), counts, counts, st.tuples(disks, disks), st.booleans())
def test_more_or_larger_nodes_never_cost_less(
    kind: str, count: int, more: int, sizes: tuple[int, int], spot: bool
) -> None:
    small = billed([nodes("pool", kind, count, spot=spot, disk=min(sizes))]).monthly
    large = billed([nodes("pool", kind, count + more, spot=spot, disk=max(sizes))]).monthly
    assert (small.low, small.expected, small.high) <= (large.low, large.expected, large.high)
    assert large.expected > small.expected or not more


@given(st.sampled_from(TYPES), counts, disks)
def test_spot_nodes_never_cost_more_than_the_same_on_demand(kind: str, count: int, disk: int) -> None:
    spot = billed([nodes("pool", kind, count, spot=True, disk=disk)]).monthly
    full = billed([nodes("pool", kind, count, disk=disk)]).monthly
    assert spot.low <= spot.expected <= spot.high <= full.expected
    assert full.is_exact


@given(plans, st.tuples(amounts, amounts, amounts), amounts)
def test_more_use_never_costs_less(plan: list[Group], numbers: tuple[Decimal, ...], more: Decimal) -> None:
    plan = numbered(plan, "a")
    low, expected, high = sorted(numbers)
    less = billed(plan, (str(low), str(expected), str(high)))
    greater = billed(plan, (str(low + more), str(expected + more), str(high + more)))
    assert less.monthly.expected <= greater.monthly.expected
    assert less.monthly.high <= greater.monthly.high


@given(plans)
def test_every_line_is_in_cents_and_every_sum_adds_up(plan: list[Group]) -> None:
    found = billed(numbered(plan, "a"))
    assert all(line.monthly == line.monthly.in_cents() for line in found.lines)
    whole = Band.exactly(0)
    for line in found.lines:
        whole += line.monthly
    assert whole == found.monthly == found.fixed + found.usage


@given(amounts)
def test_all_nodes_on_spot_save_exactly_the_discount(discount: Decimal) -> None:
    share = (discount / 1000).quantize(Decimal("0.001"))
    table = price_table()
    every = table.discounts["ec2.spot.cpu"].model_copy(update={"least": share, "expected": share, "most": share})
    prices = table.model_copy(update={"discounts": {**table.discounts, "ec2.spot.cpu": every}})
    resources = nodes("pool", "m6i.xlarge", 100, spot=True)
    found = bill(resources, PLACE, usage_for_all(), prices, on=date(2026, 11, 22))
    machines = next(line for line in found.lines if line.meter == "nodes")
    full = Decimal("0.192") * 730 * 100
    assert machines.monthly == Band.exactly(full * (1 - share)).in_cents()
