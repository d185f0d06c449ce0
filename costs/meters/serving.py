"""What serving a model by SageMaker costs: hosts by the hour, or work by the second."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final

from costs.meters.base import HOURS, Context, Finding, Gap, Use
from costs.usage import HOURS_PER_MONTH, Quantity
from settings.model import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costs.meters.base import Meter
    from costs.plan import Planned
    from costs.prices import Prices
    from settings.model import ModelSpec

ENDPOINT: Final = "aws:sagemaker/endpoint:Endpoint"
ENDPOINT_CONFIGURATION: Final = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
SCALED: Final = "aws:appautoscaling/target:Target"
SECONDS_PER_HOUR: Final = 3600
MILLISECONDS, KILOBYTES_PER_GB = 1000, 1_000_000


def endpoint(resource: Planned, context: Context) -> Iterator[Finding]:
    """A SageMaker endpoint: hosts run whether anybody asks or not, serverless variants are paid by what they do."""
    configuration = context.made_of(resource, "endpointConfigName", ENDPOINT_CONFIGURATION)
    if configuration is None:
        yield Gap(what="hosts", why="its configuration is not in the plan")
        return
    for variant in configuration.inputs["productionVariants"]:
        serverless = variant.get("serverlessConfig")
        if serverless:
            yield from _serverless(resource, serverless, context)
        else:
            yield from _hosts(resource, variant, context)


def _hosts(resource: Planned, variant: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """As many as there are; of a scaled endpoint the fewest, which may be none, and what is assumed beyond."""
    name, instance_type = variant.get("variantName", ""), variant["instanceType"]
    scaled = _scaling(resource, context)
    count = int(scaled.inputs["minCapacity"] if scaled else variant.get("initialInstanceCount", 1))
    price = f"sagemaker.{instance_type}"
    if count:
        what = f"{count} hosts {instance_type}"
        yield Use(meter=f"hosts-{name}", what=what, quantity=HOURS.times(count), price=price)
    if scaled is None:
        return
    found = context.usage.of(Quantity.ENDPOINT_HOSTS, resource.name)
    if found is None:
        yield Gap(what=f"hosts {instance_type} beyond {count}", why=f"no assumption {Quantity.ENDPOINT_HOSTS}")
        return
    key, assumption = found
    more = assumption.band.beyond(count)
    what = f"{more.expected.normalize():f} more hosts {instance_type}"
    yield Use(meter=f"more-hosts-{name}", what=what, quantity=more * HOURS, price=price, assumption=key)


def _scaling(resource: Planned, context: Context) -> Planned | None:
    """What scales the endpoint."""
    for other in context.resources.values():
        if other.type == SCALED and resource.urn in other.property_dependencies.get("resourceId", ()):
            return other
    return None


def _serverless(resource: Planned, variant: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """Work and data; provisioned requests are paid all the time, and their work costs less."""
    size = int(Decimal(str(variant["memorySizeInMb"])))
    warm = int(Decimal(str(variant.get("provisionedConcurrency") or 0)))
    if warm:
        yield Use(
            meter="warm",
            what=f"{warm} provisioned requests with {size} MB",
            quantity=HOURS.times(warm * SECONDS_PER_HOUR),
            price=f"serverless.warm.{size}",
        )
    yield from context.assume(
        Quantity.SERVERLESS_SECONDS,
        resource.name,
        meter="work",
        what=f"work with {size} MB",
        price=f"serverless.{'provisioned.' if warm else ''}{size}",
    )
    yield from context.assume(
        Quantity.SERVERLESS_DATA,
        resource.name,
        meter="data",
        what="requests and answers",
        price="serverless.data",
    )


def batches(model: ModelSpec, context: Context) -> Iterator[Finding]:
    """Hosts of a model's batch transform jobs, which are there while a job runs and are paid by that time."""
    serving = model.serving
    if serving is None or serving.target is not Target.BATCH or serving.batch is None or model.approved is None:
        return
    yield from context.assume(
        Quantity.BATCH_HOURS,
        model.name,
        meter="batch",
        what=f"batch transform on {serving.batch.instances} hosts {serving.batch.instance_type}",
        price=f"sagemaker.{serving.batch.instance_type}",
    )


def break_even(
    prices: Prices,
    region: str,
    *,
    instance_type: str,
    instances: int,
    memory_mb: int,
    milliseconds: Decimal,
    kilobytes: Decimal,
) -> int | None:
    """Return the requests a month from which instances cost no more than a serverless endpoint.

    Args:
        prices: The price table.
        region: AWS region.
        instance_type: Type of the instances, such as `ml.m5.large`.
        instances: How many there are, whatever the load.
        memory_mb: Memory of the serverless endpoint.
        milliseconds: Time that it takes for a request.
        kilobytes: Size of a request and its answer together.

    Returns:
        The number, rounded up; None where a price is missing.
    """
    hour = prices.of(region, f"sagemaker.{instance_type}")
    second = prices.of(region, f"serverless.{memory_mb}")
    gigabyte = prices.of(region, "serverless.data")
    if hour is None or second is None or gigabyte is None:
        return None
    always = hour.amount.expected * HOURS_PER_MONTH * instances
    request = second.amount.expected * milliseconds / MILLISECONDS
    request += gigabyte.amount.expected * kilobytes / KILOBYTES_PER_GB
    return int((always / request).to_integral_value(ROUND_CEILING))


METERS: Final[dict[str, Meter]] = {"aws:sagemaker/endpoint:Endpoint": endpoint}
"""Type token → meter."""
