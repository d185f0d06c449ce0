"""Connections to other VPCs: ranges that differ, each thing once, and a purpose."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, Path, join, repeated
from settings.rules.environment import Rule
from settings.rules.network import DOCKER, RFC_1918, SHARED

_WIDEST, _NARROWEST = 16, 28
"""Prefix lengths of a VPC (VPC user guide, "VPC CIDR blocks")."""


def peered_ranges_are_those_of_a_vpc(settings: Settings) -> Iterator[Finding]:
    """A route to a wider or a public range takes traffic away from whoever owns it."""
    blocks = (*RFC_1918, SHARED)
    for index, peering in enumerate(settings.network.peerings):
        cidr = peering.cidr
        if not (_WIDEST <= cidr.prefixlen <= _NARROWEST and any(cidr.subnet_of(block) for block in blocks)):
            yield Finding(
                path=_at(index, "cidr"),
                found=str(cidr),
                allowed=f"/{_WIDEST} to /{_NARROWEST} inside {join(blocks)}",
                remedy="write the private range of the other VPC",
            )


def peered_ranges_are_free(settings: Settings) -> Iterator[Finding]:
    """AWS peers no VPCs that overlap, and an address with two owners reaches only one of them."""
    network = settings.network
    taken = {
        f"the VPC's own {network.cidr}": network.cidr,
        f"the service addresses {settings.cluster.service_cidr}": settings.cluster.service_cidr,
        f"{DOCKER}, which Docker and SageMaker use themselves": DOCKER,
    }
    for index, peering in enumerate(network.peerings):
        for owner, block in taken.items():
            if peering.cidr.overlaps(block):
                yield Finding(
                    path=_at(index, "cidr"),
                    found=str(peering.cidr),
                    allowed=f"a range that does not overlap {owner}",
                    remedy="name another VPC: this range is the environment's own"
                    if peering.cidr == network.cidr
                    else "give one of the two another range",
                )
        taken[f"{peering.cidr} of {peering.name}"] = peering.cidr


def peerings_differ(settings: Settings) -> Iterator[Finding]:
    """AWS has one connection between two VPCs, one route to a range in a table, and each rule of a group once."""
    stated: dict[str, dict[Path, str]] = defaultdict(dict)
    for index, peering in enumerate(settings.network.peerings):
        stated["name"][_at(index, "name")] = peering.name
        stated["VPC"][_at(index, "vpcId")] = peering.vpc_id
        stated["route table"] |= {_at(index, "routeTableIds", n): id_ for n, id_ in enumerate(peering.route_table_ids)}
        stated["group"] |= {_at(index, "jobGroups", n): id_ for n, id_ in enumerate(peering.job_groups)}
    for thing, places in stated.items():
        paths, values = list(places), list(places.values())
        for later, first in repeated(values).items():
            owner = paths[first][2]
            yield Finding(
                path=paths[later],
                found=f"{values[later]} again (first in peerings[{owner}])",
                allowed=f"each {thing} once",
                remedy="name another one, or remove it",
            )


def peerings_let_something_through(settings: Settings) -> Iterator[Finding]:
    """A connection that nothing may use is only a way that somebody could open."""
    for index, peering in enumerate(settings.network.peerings):
        if peering.runtime_endpoint_group is None and not peering.job_groups:
            yield Finding(
                path=_at(index),
                found="runtimeEndpointGroup: null and jobGroups: []",
                allowed="at least one of the two",
                remedy="name the group of the runtime endpoint or of the jobs there, or remove the peering",
            )


def jobs_there_find_endpoints_here(settings: Settings) -> Iterator[Finding]:
    """What crosses for jobs are calls of our interface endpoints; a gateway endpoint answers its own VPC only."""
    for index, peering in enumerate(settings.network.peerings):
        if peering.job_groups and not settings.network.interface_endpoints:
            yield Finding(
                path=_at(index, "jobGroups"),
                found=join(peering.job_groups),
                allowed="[] while slipway:network.interfaceEndpoints is empty",
                remedy="write [], or name the services that the jobs call in interfaceEndpoints",
            )


def _at(index: int, *field: str | int) -> Path:
    return ("network", "peerings", index, *field)


RULES: Final[tuple[Rule, ...]] = (
    peered_ranges_are_those_of_a_vpc,
    peered_ranges_are_free,
    peerings_differ,
    peerings_let_something_through,
    jobs_there_find_endpoints_here,
)
