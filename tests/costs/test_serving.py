"""What serving costs: nothing where nobody asks and nothing stands ready, and which of two ways costs less."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from costs.band import Band
from costs.estimate import Estimate, Place, bill
from costs.meters.base import Context, Use
from costs.meters.serving import batches, break_even
from costs.prices import price_table
from costs.units import endpoints
from costs.usage import Quantity
from settings.model import ModelSpec
from tests.support.planned import made_up, usage_for_all
from tests.support.recorded import ROOT
from tests.support.targets import SERVED, model_of

if TYPE_CHECKING:
    from costs.plan import Planned
    from costs.usage import Usage

TODAY = date(2026, 11, 22)
PLACE = Place(environment="test", region="us-east-1", cost_center="research")
HOURS = 730
NOBODY = usage_for_all(("0", "0", "0"))


def endpoint(least: int | None = None, **variant: Any) -> list[Planned]:
    """An endpoint with one variant, scaled from `least` hosts on."""
    inputs = {"productionVariants": [{"variantName": "main", **variant}]}
    configuration = made_up("aws:sagemaker/endpointConfiguration:EndpointConfiguration", "c", inputs)
    served = made_up("aws:sagemaker/endpoint:Endpoint", "e", {}, endpointConfigName=configuration)
    if least is None:
        return [configuration, served]
    scaled = made_up("aws:appautoscaling/target:Target", "t", {"minCapacity": least}, resourceId=served)
    return [configuration, served, scaled]


def hosts(least: int | None = None, count: int = 2) -> list[Planned]:
    return endpoint(least, instanceType="ml.m5.large", initialInstanceCount=count)


def serverless(**more: Any) -> list[Planned]:
    return endpoint(serverlessConfig={"memorySizeInMb": 2048, "maxConcurrency": 5, **more})


def billed(resources: list[Planned], usage: Usage) -> Estimate:
    return bill(resources, PLACE, usage, price_table(), on=TODAY)


@pytest.mark.parametrize("resources", [serverless(), hosts(least=0, count=1)])
def test_without_requests_neither_a_serverless_endpoint_nor_an_empty_queue_costs_anything(
    resources: list[Planned],
) -> None:
    found = billed(resources, NOBODY)
    assert found.monthly == Band.exactly("0")
    assert found.not_priced == ()


@pytest.mark.parametrize("least", [None, 2])
def test_instances_that_stand_ready_are_paid_by_the_hour_whether_anybody_asks_or_not(least: int | None) -> None:
    assert billed(hosts(least), NOBODY).monthly == Band.exactly(Decimal("0.115") * 2 * HOURS)


def test_a_scaled_endpoint_is_paid_for_the_fewest_and_for_what_is_assumed_beyond() -> None:
    found = billed(hosts(least=1), usage_for_all(("1", "2", "3")))
    hour = Decimal("0.115") * HOURS
    assert found.monthly == Band(hour, hour * 2, hour * 3)
    assert billed(hosts(least=1), usage_for_all(without=frozenset({Quantity.ENDPOINT_HOSTS}))).not_priced


def test_an_endpoint_is_summed_up_by_its_name_with_hosts_and_requests() -> None:
    (name, hosting), *others = endpoints(billed(hosts(), NOBODY)).items()
    assert (name, others) == ("e", [])
    assert hosting == Band.exactly(Decimal("0.115") * 2 * HOURS)
    found = billed(serverless(), usage_for_all())
    assert endpoints(found)["e"] == found.monthly


def test_serverless_work_is_paid_by_the_second_and_by_what_passes_through() -> None:
    found = billed(serverless(), usage_for_all(("500000", "500000", "500000")))
    assert {line.meter: line.monthly.expected for line in found.lines} == {
        "work": Decimal("20.00"),
        "data": Decimal("8000.00"),
    }


def test_provisioned_requests_are_paid_all_the_time_and_their_work_costs_less() -> None:
    found = billed(serverless(provisionedConcurrency=2), NOBODY)
    assert found.monthly == Band.exactly("122.46")
    work = billed(serverless(provisionedConcurrency=2), usage_for_all(("500000", "500000", "500000")))
    assert {line.meter: line.monthly.expected for line in work.lines}["work"] == Decimal("5.00")


def test_a_size_without_a_price_is_reported_and_not_taken_from_another() -> None:
    (gap,) = billed(serverless(memorySizeInMb=4096), usage_for_all()).not_priced
    assert "serverless.4096" in gap.why


def test_batches_are_paid_by_the_time_of_their_hosts_and_only_where_they_serve() -> None:
    context = Context(usage=usage_for_all(), on=TODAY)

    def counted(name: str) -> list[Any]:
        model = ModelSpec.model_validate_json(json.dumps(model_of(name, SERVED[name])))
        return list(batches(model, context))

    (use,) = counted("nightly")
    assert isinstance(use, Use)
    assert (use.price, use.quantity.expected) == ("sagemaker.ml.m5.xlarge", Decimal(2))
    assert counted("at-once") == []


def wins_from(instances: int = 1, milliseconds: str = "100", kilobytes: str = "2", memory_mb: int = 2048) -> int | None:
    return break_even(
        price_table(),
        "us-east-1",
        instance_type="ml.m5.large",
        instances=instances,
        memory_mb=memory_mb,
        milliseconds=Decimal(milliseconds),
        kilobytes=Decimal(kilobytes),
    )


def test_instances_win_from_the_request_on_at_which_both_cost_the_same() -> None:
    request = Decimal("0.00004") * Decimal("0.1") + Decimal("0.016") * 2 / 1_000_000
    always = Decimal("0.115") * HOURS
    number = wins_from()
    assert number is not None
    assert (number - 1) * request < always <= number * request


def test_more_instances_win_later_and_longer_or_larger_requests_earlier() -> None:
    ordered = [
        wins_from(instances=2),
        wins_from(),
        wins_from(milliseconds="200"),
        wins_from(milliseconds="200", kilobytes="9"),
    ]
    assert [number or 0 for number in ordered] == sorted((number or 0 for number in ordered), reverse=True)
    assert len(set(ordered)) == len(ordered)


def test_without_a_price_there_is_no_break_even() -> None:
    assert wins_from(memory_mb=1024) is None


@pytest.mark.parametrize(("instances", "milliseconds"), [(1, "10"), (1, "100"), (2, "10"), (2, "100")])
def test_the_page_on_costs_names_the_break_even_of_the_price_table(instances: int, milliseconds: str) -> None:
    number = wins_from(instances, milliseconds)
    assert f"| {instances} | {milliseconds} ms | {number:,} |" in (ROOT / "docs/costs.md").read_text(encoding="utf-8")
