"""The control plane: who reaches it, who administers it, and that its parts fit one another."""

from collections.abc import Iterator
from ipaddress import collapse_addresses
from typing import Final

from settings.model import Settings
from settings.problems import Finding, join, repeated
from settings.rules.environment import Rule
from settings.rules.network import DOCKER, RFC_1918

_SERVICE_WIDEST, _SERVICE_NARROWEST = 12, 24
_WIDEST_PUBLIC = 17


def service_range_is_private(settings: Settings) -> Iterator[Finding]:
    """EKS takes service ranges of RFC 1918 only, from /12 to /24 (EKS API, KubernetesNetworkConfigRequest)."""
    cidr = settings.cluster.service_cidr
    inside = any(cidr.subnet_of(block) for block in RFC_1918)
    if not (inside and _SERVICE_WIDEST <= cidr.prefixlen <= _SERVICE_NARROWEST):
        yield Finding(
            path=("cluster", "serviceCidr"),
            found=str(cidr),
            allowed=f"/{_SERVICE_WIDEST} to /{_SERVICE_NARROWEST} inside {join(RFC_1918)}",
            remedy="write 172.20.0.0/16, unless the VPC or a connected network uses it",
        )


def service_range_is_free(settings: Settings) -> Iterator[Finding]:
    """An address that is a service's and a host's at the same time reaches only one of them."""
    cidr, vpc = settings.cluster.service_cidr, settings.network.cidr
    for taken, owner in ((vpc, f"the VPC's {vpc}"), (DOCKER, f"{DOCKER}, which Docker takes")):
        if cidr.overlaps(taken):
            yield Finding(
                path=("cluster", "serviceCidr"),
                found=str(cidr),
                allowed=f"a range that does not overlap {owner}",
                remedy="choose a range outside it, such as 172.20.0.0/16 beside a VPC in 10.0.0.0/8",
            )


def public_ranges_match_the_switch(settings: Settings) -> Iterator[Finding]:
    """A public endpoint without ranges is open to the world (the default of EKS); ranges without one are a mistake."""
    cluster = settings.cluster
    if cluster.public_endpoint and not cluster.public_endpoint_cidrs:
        yield Finding(
            path=("cluster", "publicEndpointCidrs"),
            found="an empty list",
            allowed="at least one range while publicEndpoint is true",
            remedy="name your office's or VPN's public range, or set publicEndpoint to false",
        )
    if not cluster.public_endpoint and cluster.public_endpoint_cidrs:
        yield Finding(
            path=("cluster", "publicEndpointCidrs"),
            found=join(cluster.public_endpoint_cidrs),
            allowed="an empty list while publicEndpoint is false",
            remedy="write [], or set publicEndpoint to true",
        )


def public_ranges_are_narrow(settings: Settings) -> Iterator[Finding]:
    """The API server answers a known few; ranges that together make a wide one count as that one."""
    ranges = settings.cluster.public_endpoint_cidrs
    wide = [cidr for cidr in collapse_addresses(ranges) if cidr.prefixlen < _WIDEST_PUBLIC]
    for index, cidr in enumerate(ranges):
        union = next((block for block in wide if cidr.subnet_of(block)), None)
        if union is not None:
            yield Finding(
                path=("cluster", "publicEndpointCidrs", index),
                found=str(cidr) if union == cidr else f"{cidr}, together with the others {union}",
                allowed=f"ranges of /{_WIDEST_PUBLIC} to /32, alone and together",
                remedy="name the addresses that your office or VPN really has, such as a /29",
            )


def public_ranges_are_public(settings: Settings) -> Iterator[Finding]:
    """EKS refuses private, reserved and documentation ranges here (InvalidParameterException of CreateCluster)."""
    for index, cidr in enumerate(settings.cluster.public_endpoint_cidrs):
        if cidr.prefixlen >= _WIDEST_PUBLIC and not cidr.is_global:
            yield Finding(
                path=("cluster", "publicEndpointCidrs", index),
                found=str(cidr),
                allowed="a range of the public internet",
                remedy="name the address with which your office or VPN reaches the internet",
            )


def administrators_belong_to_the_account(settings: Settings) -> Iterator[Finding]:
    """An access entry takes roles of the cluster's own account and partition."""
    account, partition = settings.environment.account_id, settings.environment.partition
    for index, arn in enumerate(settings.cluster.admin_role_arns):
        _, found_partition, _, _, found_account, role = arn.split(":", 5)
        if (found_partition, found_account) != (partition, account):
            yield Finding(
                path=("cluster", "adminRoleArns", index),
                found=arn,
                allowed=f"a role of account {account} in partition {partition}",
                remedy=f"write arn:{partition}:iam::{account}:{role}",
            )


def administrators_differ(settings: Settings) -> Iterator[Finding]:
    """A cluster has one access entry per role."""
    arns = settings.cluster.admin_role_arns
    for index, first in repeated(arns).items():
        yield Finding(
            path=("cluster", "adminRoleArns", index),
            found=f"{arns[index]} again (first in adminRoleArns[{first}])",
            allowed="each role once",
            remedy="remove it",
        )


RULES: Final[tuple[Rule, ...]] = (
    service_range_is_private,
    service_range_is_free,
    public_ranges_match_the_switch,
    public_ranges_are_narrow,
    public_ranges_are_public,
    administrators_belong_to_the_account,
    administrators_differ,
)
