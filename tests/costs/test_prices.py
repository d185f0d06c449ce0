from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from costs.data import read
from costs.prices import FILE, Prices, price_table
from settings.instances import EC2_TYPES, TRAINING_TYPES
from tests.settings.stacks import STACKS, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

REGIONS = ("us-east-1", "us-west-2", "eu-central-1")


def broken(change: Callable[[dict[str, Any]], None]) -> str:
    content = cast("dict[str, Any]", read(FILE))
    change(content)
    with pytest.raises(ValidationError) as caught:
        Prices.model_validate(content)
    return str(caught.value)


def test_every_source_was_read_on_a_day_that_has_been_and_published_before() -> None:
    sources = price_table().sources
    assert len(sources) >= 5
    tomorrow = datetime.now(tz=UTC).date() + timedelta(days=1)
    for source in sources.values():
        assert (source.published or source.read) <= source.read <= tomorrow


def test_every_source_is_used() -> None:
    table = price_table()
    used = {group.source for group in table.prices} | {discount.source for discount in table.discounts.values()}
    assert used == table.sources.keys()


def test_a_price_without_a_source_is_refused() -> None:
    def forget(content: dict[str, Any]) -> None:
        del content["sources"]["karpenter"]

    assert "no such source: karpenter" in broken(forget)


def test_two_prices_of_one_thing_in_one_region_are_refused() -> None:
    def repeat(content: dict[str, Any]) -> None:
        content["prices"].append(content["prices"][0])

    assert "has two prices in us-east-1" in broken(repeat)


def test_a_negative_price_is_refused() -> None:
    def lower(content: dict[str, Any]) -> None:
        content["prices"][0]["amounts"]["ec2.m6i.large"] = "-0.096"

    assert "greater than or equal to 0" in broken(lower)


def test_a_number_that_lost_its_decimal_places_is_refused() -> None:
    def blur(content: dict[str, Any]) -> None:
        content["prices"][0]["amounts"]["ec2.m6i.large"] = 0.096

    assert "leaves numbers as text" in broken(blur)


def test_machine_prices_are_of_machines_that_exist() -> None:
    keys = price_table().names()
    ec2 = {key.removeprefix("ec2.") for key in keys if key.startswith("ec2.")}
    hosts = {key.removeprefix("sagemaker.") for key in keys if key.startswith("sagemaker.")}
    assert len(ec2) > 80
    assert ec2 <= EC2_TYPES
    assert hosts
    assert hosts <= TRAINING_TYPES


@pytest.mark.parametrize("region", REGIONS)
def test_a_control_plane_costs_73_dollars_a_month_and_six_times_that_in_extended_support(region: str) -> None:
    standard = price_table().of(region, "eks.cluster.standard")
    extended = price_table().of(region, "eks.cluster.extended")
    assert standard is not None
    assert extended is not None
    assert standard.amount.expected * 730 == Decimal("73.00")
    assert extended.amount.expected == standard.amount.expected * 6


def test_spot_capacity_never_costs_more_than_on_demand() -> None:
    table = price_table()
    discounts = [key for key in table.discounts if key.startswith("ec2.")]
    assert len(discounts) == 2
    for key in table.names():
        for discount in discounts:
            full, spot = table.of("us-east-1", key), table.of("us-east-1", key, discount)
            if full is not None and spot is not None:
                assert spot.amount.low <= spot.amount.expected <= spot.amount.high <= full.amount.expected


def test_what_spot_saves_stays_below_what_the_source_promises() -> None:
    # The paper says up to 80 % in its table, and up to 90 % in its text.
    discounts = price_table().discounts
    assert max(discounts["ec2.spot.cpu"].most, discounts["ec2.spot.gpu"].most) <= Decimal("0.80")
    assert discounts["sagemaker.spot"].most <= Decimal("0.90")


def test_every_machine_that_a_stack_file_names_first_has_a_price_in_its_region() -> None:
    named: set[str] = set()
    for stack in STACKS:
        content = decoded(stack)
        region = content["slipway:environment"]["region"]
        pools = content["slipway:karpenter"]["pools"]
        machines = {pool["instanceTypes"][0] for pool in content["slipway:nodePools"]}
        machines |= {f"{pool['instanceFamilies'][0]}.{pool['instanceSizes'][0]}" for pool in pools}
        hosts = {model["training"]["instanceType"] for model in content["slipway:models"]}
        keys = {f"ec2.{machine}" for machine in machines} | {f"sagemaker.{host}" for host in hosts}
        assert [key for key in sorted(keys) if price_table().of(region, key) is None] == []
        named |= keys
    assert len(named) >= 4


def test_a_price_that_the_table_has_not_is_none_and_not_zero() -> None:
    assert price_table().of("eu-central-1", "vpc.nat") is None
    assert price_table().of("us-east-1", "ec2.p5.48xlarge") is None
