"""Named scenarios: published figures, reproduced from stated inputs by the same function that prices a plan.

`python -m costs.scenario online-shop` prints one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from costs.data import Amount, Record, read
from costs.estimate import Estimate, Place, bill
from costs.imagined import imagined, nodes
from costs.meters.serving import ENDPOINT_CONFIGURATION
from costs.prices import price_table
from costs.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costs.band import Band
    from costs.plan import Planned
    from costs.prices import Prices

FOLDER: Final = Path(__file__).with_name("scenarios")

_SERVICES: Final = 7
"""Interface endpoints that prod has."""


class Input(Record):
    """A stated input."""

    value: str
    """A number or a name."""
    why: str
    """Where it comes from."""


class Scenario(Usage):
    """Published figures and the inputs that reproduce them."""

    title: str
    """What happens."""
    provenance: str
    """Who published the figures, and how they were come by."""
    region: str
    """AWS region."""
    before: Amount
    """US dollars a month before, as published."""
    after: Amount
    """US dollars a month after, as published."""
    inputs: dict[str, Input]
    """The inputs, by name."""

    def number(self, name: str) -> Decimal:
        """Return an input that is a number."""
        return Decimal(self.inputs[name].value)


@dataclass(frozen=True, slots=True)
class Step:
    """One lever, pulled after those before it."""

    lever: str
    """What changes."""
    estimate: Estimate
    """What a month then costs."""


def scenario(name: str) -> Scenario:
    """Return a scenario of this package.

    Raises:
        FileNotFoundError: There is none of that name.
    """
    return Scenario.model_validate(read(FOLDER / f"{name}.yaml"))


def steps(given: Scenario, prices: Prices) -> tuple[Step, ...]:
    """Return the state before and the state after each lever, in the order in which they are pulled."""
    hosts = given.number("hosts")
    busy = hosts * given.number("utilisationBefore") / given.number("utilisationAfter")
    nodes = busy.to_integral_value(ROUND_CEILING) + given.number("spareNodes")
    spot = (nodes * given.number("spotShare")).to_integral_value(ROUND_FLOOR)
    states: tuple[tuple[str, Sequence[Planned]], ...] = (
        ("SageMaker endpoints", _endpoints(given)),
        ("the same machines as nodes of a cluster", [*_platform(given), *_pool(given, "on-demand", int(hosts))]),
        ("fewer machines, better used", [*_platform(given), *_pool(given, "on-demand", int(nodes))]),
        (
            "spot capacity where nobody waits",
            [*_platform(given), *_pool(given, "on-demand", int(nodes - spot)), *_pool(given, "spot", int(spot))],
        ),
    )
    place = Place(environment="scenario", region=given.region, cost_center="scenario")
    return tuple(Step(lever, bill(plan, place, given, prices, on=prices.read)) for lever, plan in states)


def _endpoints(given: Scenario) -> list[Planned]:
    variant = {"variantName": "all", "instanceType": given.inputs["hostType"].value}
    configuration = imagined(
        ENDPOINT_CONFIGURATION,
        "endpoint",
        {"productionVariants": [variant | {"initialInstanceCount": int(given.number("hosts"))}]},
    )
    return [
        configuration,
        imagined("aws:sagemaker/endpoint:Endpoint", "endpoint", {}, endpointConfigName=configuration),
    ]


def _platform(given: Scenario) -> Iterator[Planned]:
    """Yield what a cluster needs before the first node of a workload."""
    zones = range(int(given.number("zones")))
    yield imagined("eks:index:Cluster", "cluster", {"version": "1.35", "upgradePolicy": {"supportType": "STANDARD"}})
    yield from nodes("system", "m6i.large", 50, int(given.number("systemNodes")), "ON_DEMAND")
    for zone in zones:
        yield imagined("aws:ec2/natGateway:NatGateway", f"nat-{zone}", {})
        yield imagined("aws:ec2/eip:Eip", f"nat-{zone}", {})
    subnets = [f"subnet-{zone}" for zone in zones]
    for service in range(_SERVICES):
        inputs = {"vpcEndpointType": "Interface", "subnetIds": subnets}
        yield imagined("aws:ec2/vpcEndpoint:VpcEndpoint", f"service-{service}", inputs)
    yield imagined("aws:lb/loadBalancer:LoadBalancer", "balancer", {"loadBalancerType": "application"})
    yield imagined("aws:cloudwatch/logGroup:LogGroup", "logs", {})
    yield imagined("aws:kms/key:Key", "key", {})


def _pool(given: Scenario, capacity: str, count: int) -> list[Planned]:
    kind = {"on-demand": "ON_DEMAND", "spot": "SPOT"}[capacity]
    return nodes(capacity, given.inputs["nodeType"].value, int(given.number("nodeDisk")), count, kind)


def report(given: Scenario, found: Sequence[Step]) -> str:
    """Return a scenario for people: each state, what its lever saves and its share, and the inputs."""
    saved = found[0].estimate.monthly.expected - found[-1].estimate.monthly.expected
    rows = [f"{given.title}\n{given.provenance}\n"]
    previous = found[0].estimate.monthly.expected
    for step in found:
        monthly = step.estimate.monthly
        less = previous - monthly.expected
        share = f"  saves {less:>10,.2f}, {less / saved:.0%} of all" if step is not found[0] else ""
        rows.append(f"  {step.lever:<42} {monthly.expected:>10,.2f}{share}{_between(monthly)}")
        previous = monthly.expected
    rows.append(f"  {'published':<42} {given.before:>10,.2f} to {given.after:,.2f}\n")
    rows += [f"  {name:<18} {item.value:<13} {item.why}" for name, item in given.inputs.items()]
    return "\n".join(rows)


def _between(monthly: Band) -> str:
    return "" if monthly.is_exact else f"  ({monthly.low:,.2f} to {monthly.high:,.2f})"


def main(arguments: Sequence[str]) -> int:
    """Print a scenario and return the exit code."""
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m costs.scenario", description="Reproduce published costs.")
    parser.add_argument("name", choices=known)
    given = scenario(parser.parse_args(arguments).name)
    sys.stdout.write(f"{report(given, steps(given, price_table()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
