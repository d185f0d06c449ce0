"""The address plan: which range every subnet of a VPC gets.

Private subnets are cut from the start of the VPC's range in the order of the zones, public ones from its end: a zone
that is added last takes the next free blocks on both sides and moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network

import ipaddress


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Subnet ranges by zone, in the order of the zones."""

    private: Mapping[str, IPv4Network]
    """Nodes, pods, SageMaker jobs and interface endpoints."""
    public: Mapping[str, IPv4Network]
    """Load balancers and NAT gateways."""


def plan_addresses(cidr: IPv4Network, zones: Sequence[str], *, private_prefix: int, public_prefix: int) -> AddressPlan:
    """Cut `cidr` into one private and one public subnet per zone.

    Args:
        cidr: Range of the VPC.
        zones: Availability zones; their order is part of the plan.
        private_prefix: Prefix length of a private subnet.
        public_prefix: Prefix length of a public subnet.

    Returns:
        Disjoint ranges inside `cidr`. Plans of `zones` and of `zones` plus later ones agree on `zones`.

    Raises:
        ValueError: if the subnets of all zones need more addresses than `cidr` has.
    """
    private_size, public_size = _size(private_prefix), _size(public_prefix)
    needed = len(zones) * (private_size + public_size)
    if needed > cidr.num_addresses:
        raise ValueError(
            f"{len(zones)} zones need {needed} addresses (/{private_prefix} and /{public_prefix} each), "
            f"{cidr} has {cidr.num_addresses}; use a shorter VPC prefix, longer subnet prefixes or fewer zones"
        )
    first, end = int(cidr.network_address), int(cidr.broadcast_address) + 1
    return AddressPlan(
        private={zone: _block(first + slot * private_size, private_prefix) for slot, zone in enumerate(zones)},
        public={zone: _block(end - (slot + 1) * public_size, public_prefix) for slot, zone in enumerate(zones)},
    )


def _size(prefix: int) -> int:
    return 1 << (ipaddress.IPV4LENGTH - prefix)


def _block(address: int, prefix: int) -> IPv4Network:
    return ipaddress.IPv4Network((address, prefix))
