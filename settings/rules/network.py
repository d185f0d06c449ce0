"""The address plan: what a VPC, its subnets and its endpoints have to be so that EKS and SageMaker work in it."""

from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Final

from settings.model import Settings
from settings.places import GATEWAY_ENDPOINTS, INTERFACE_ENDPOINTS, REGIONS
from settings.problems import Finding, join, repeated, show
from settings.rules.environment import Rule

RFC_1918: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""Private address blocks (RFC 1918, section 3)."""

SHARED: Final = IPv4Network("100.64.0.0/10")
"""Shared address space (RFC 6598), which a VPC may use and nothing on the internet does."""

DOCKER: Final = IPv4Network("172.17.0.0/16")
"""Docker's default bridge; the VPC guide asks to keep it out of a VPC, because services such as SageMaker use it."""

_WIDEST, _NARROWEST, _LONGEST_PRIVATE = 16, 20, 26


def vpc_is_private(settings: Settings) -> Iterator[Finding]:
    """A public range in a VPC hides the internet hosts that own it."""
    cidr = settings.network.cidr
    blocks = (*RFC_1918, SHARED)
    if not any(cidr.subnet_of(block) for block in blocks):
        yield Finding(
            path=("network", "cidr"),
            found=str(cidr),
            allowed=f"a range inside {join(blocks)}",
            remedy="choose a private range that no connected network uses, such as 10.64.0.0/16",
        )


def vpc_has_a_sensible_size(settings: Settings) -> Iterator[Finding]:
    """A VPC is at most a /16; below a /20 the pods of a few nodes use it up."""
    cidr = settings.network.cidr
    if not _WIDEST <= cidr.prefixlen <= _NARROWEST:
        nearest = max(_WIDEST, min(_NARROWEST, cidr.prefixlen))
        yield Finding(
            path=("network", "cidr"),
            found=str(cidr),
            allowed=f"a prefix length from /{_WIDEST} to /{_NARROWEST}",
            remedy=f"write {IPv4Network((cidr.network_address, nearest), strict=False)}",
        )


def vpc_keeps_clear_of_docker(settings: Settings) -> Iterator[Finding]:
    """Containers on SageMaker hosts could not reach VPC addresses that Docker takes for its own."""
    cidr = settings.network.cidr
    if cidr.overlaps(DOCKER):
        yield Finding(
            path=("network", "cidr"),
            found=str(cidr),
            allowed=f"a range that does not overlap {DOCKER}, which Docker and SageMaker use themselves",
            remedy="choose another private range, such as 10.64.0.0/16",
        )


def subnets_fit(settings: Settings) -> Iterator[Finding]:
    """One private and one public subnet per zone have to fit into the VPC.

    Blocks that are powers of two and aligned to their size fit exactly when the sum of their sizes does.
    """
    network = settings.network
    private, public = (1 << (32 - prefix) for prefix in (network.private_prefix, network.public_prefix))
    zones, room = len(network.zones), network.cidr.num_addresses
    needed = zones * (private + public)
    if needed <= room:
        return
    prefixes = range(network.private_prefix + 1, _LONGEST_PRIVATE + 1)
    longer = next((prefix for prefix in prefixes if zones * ((1 << (32 - prefix)) + public) <= room), None)
    yield Finding(
        path=("network", "privatePrefix"),
        found=f"{zones} zones of /{network.private_prefix} and /{network.public_prefix}: {needed:,} addresses",
        allowed=f"at most the {room:,} of {network.cidr}",
        remedy=f"raise privatePrefix to {longer}, widen cidr or name fewer zones"
        if longer
        else "raise publicPrefix, widen cidr or name fewer zones",
    )


def zones_belong_to_region(settings: Settings) -> Iterator[Finding]:
    """A zone's name is its region's name and a letter."""
    region = settings.environment.region
    if not any(region in regions for regions in REGIONS.values()):
        return
    for index, zone in enumerate(settings.network.zones):
        if zone[:-1] != region:
            yield Finding(
                path=("network", "zones", index),
                found=zone,
                allowed=f"a zone of {region}",
                remedy=f"write {region}{zone[-1]}",
            )


def zones_differ(settings: Settings) -> Iterator[Finding]:
    """Two subnets in one zone are lost together."""
    zones = settings.network.zones
    for index, first in repeated(zones).items():
        yield Finding(
            path=("network", "zones", index),
            found=f"{zones[index]} again (first in zones[{first}])",
            allowed="each zone once",
            remedy="name another zone, or remove it",
        )


def endpoints_are_known(settings: Settings) -> Iterator[Finding]:
    """A misspelt service is an error of EC2 only after the VPC exists."""
    for index, service in enumerate(settings.network.interface_endpoints):
        if service in INTERFACE_ENDPOINTS:
            continue
        near = get_close_matches(service, sorted(INTERFACE_ENDPOINTS), n=1)
        family = sorted(name for name in INTERFACE_ENDPOINTS if name.startswith(f"{service}."))
        yield Finding(
            path=("network", "interfaceEndpoints", index),
            found=show(service),
            allowed=", ".join(sorted(INTERFACE_ENDPOINTS)),
            remedy="remove it: its gateway endpoint is free and always there"
            if service in GATEWAY_ENDPOINTS
            else f"write {join(family or near)}"
            if family or near
            else "write one of them",
        )


def endpoints_differ(settings: Settings) -> Iterator[Finding]:
    """Private DNS allows one endpoint per service and VPC."""
    services = settings.network.interface_endpoints
    for index, first in repeated(services).items():
        yield Finding(
            path=("network", "interfaceEndpoints", index),
            found=f"{show(services[index])} again (first in interfaceEndpoints[{first}])",
            allowed="each service once",
            remedy="remove it",
        )


RULES: Final[tuple[Rule, ...]] = (
    vpc_is_private,
    vpc_has_a_sensible_size,
    vpc_keeps_clear_of_docker,
    subnets_fit,
    zones_belong_to_region,
    zones_differ,
    endpoints_are_known,
    endpoints_differ,
)
