"""NAT gateways, addresses, endpoints, load balancers and traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from costs.meters.base import HOURS, Context, Finding, Gap, Use, always, monthly
from costs.usage import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costs.band import Band
    from costs.meters.base import Meter
    from costs.plan import Planned

ENVIRONMENT: Final = "environment"
"""Name of what is assumed of the environment as a whole."""


def nat_gateway(resource: Planned, context: Context) -> Iterator[Finding]:
    """A NAT gateway and what goes through it."""
    yield always("gateway", "NAT gateway", "vpc.nat")
    yield from context.assume(
        Quantity.NAT_DATA, resource.name, meter="data", what="data through NAT", price="vpc.nat.data"
    )


def address(_resource: Planned, _context: Context) -> Iterator[Finding]:
    """A public IPv4 address, paid since February 2024 also while it is in use."""
    yield always("address", "public IPv4 address", "vpc.address")


def vpc_endpoint(resource: Planned, context: Context) -> Iterator[Finding]:
    """An interface endpoint, paid per zone that it stands in; gateway endpoints cost nothing."""
    kind = resource.inputs.get("vpcEndpointType", "Gateway")
    if kind == "Gateway":
        return
    if kind != "Interface":
        yield Gap(what=f"{kind} endpoint", why="no price for this kind of endpoint")
        return
    zones = len(resource.inputs.get("subnetIds") or ())
    yield Use(meter="endpoint", what=f"endpoint in {zones} zones", quantity=HOURS.times(zones), price="vpc.endpoint")
    yield from context.assume(
        Quantity.ENDPOINT_DATA, resource.name, meter="data", what="data through the endpoint", price="vpc.endpoint.data"
    )


def load_balancer(resource: Planned, context: Context) -> Iterator[Finding]:
    """A load balancer and its load."""
    kind = resource.inputs.get("loadBalancerType", "application")
    if kind not in ("application", "network"):
        yield Gap(what=f"{kind} load balancer", why="no price for this kind of load balancer")
        return
    yield always("balancer", f"{kind} load balancer", f"elb.{kind}")
    yield from _load(resource.name, kind, context)


def web_acl(resource: Planned, context: Context) -> Iterator[Finding]:
    """A web ACL and what it judges; its rules are left out."""
    yield monthly("acl", "web ACL", "wafv2.acl")
    yield Gap(what="rules of the web ACL", why="their number and groups are not counted")
    yield from context.assume(
        Quantity.WEB_REQUESTS, resource.name, meter="requests", what="requests judged", price="wafv2.request"
    )


def zone(_resource: Planned, _context: Context) -> Iterator[Finding]:
    """A hosted zone; queries are left out."""
    yield monthly("zone", "hosted zone", "route53.zone")
    yield Gap(what="DNS queries", why="no price for queries")


def unplanned(context: Context) -> Iterator[Finding]:
    """What the environment's network costs beside its resources: traffic, and load balancers that controllers make."""
    yield from context.assume(
        Quantity.INTERNET_DATA,
        ENVIRONMENT,
        meter="internet",
        what="data to the internet",
        price="transfer.internet",
    )
    yield from context.assume(
        Quantity.ZONE_DATA, ENVIRONMENT, meter="zones", what="data between zones", price="transfer.zones"
    )
    found = context.usage.of(Quantity.LOAD_BALANCERS, ENVIRONMENT)
    if found is None:
        yield Gap(what="load balancers of controllers", why=f"no assumption {Quantity.LOAD_BALANCERS}")
        return
    key, count = found
    yield Use(
        meter="balancers",
        what="application load balancers that controllers make",
        quantity=count.band * HOURS,
        price="elb.application",
        assumption=key,
    )
    if count.high:
        yield from _load("controllers", "application", context, count.band)


def _load(name: str, kind: str, context: Context, balancers: Band | None = None) -> Iterator[Finding]:
    yield from context.assume(
        Quantity.BALANCER_LOAD,
        name,
        meter="load",
        what="load balancer capacity units",
        price=f"elb.{kind}.lcu",
        per=HOURS if balancers is None else HOURS * balancers,
    )


METERS: Final[dict[str, Meter]] = {
    "aws:ec2/natGateway:NatGateway": nat_gateway,
    "aws:ec2/eip:Eip": address,
    "aws:ec2/vpcEndpoint:VpcEndpoint": vpc_endpoint,
    "aws:lb/loadBalancer:LoadBalancer": load_balancer,
    "aws:wafv2/webAcl:WebAcl": web_acl,
    "aws:route53/zone:Zone": zone,
}
"""Type token → meter."""
