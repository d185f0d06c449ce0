"""How much of the public internet a list of CIDR blocks covers."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10")
)
_WORLD_FROM = {4: 2**24, 6: 2 ** (128 - 16)}


def parse(block: str) -> Network | None:
    """The network of a CIDR block, host bits ignored; `None` when it is not one."""
    try:
        return ipaddress.ip_network(block, strict=False)
    except ValueError:
        return None


def public(networks: Iterable[Network]) -> list[Network]:
    """The networks outside private address space, adjacent and overlapping ones merged."""
    outside = [network for network in networks if not any(_within(network, private) for private in _PRIVATE)]
    return [
        *ipaddress.collapse_addresses(network for network in outside if isinstance(network, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(network for network in outside if isinstance(network, ipaddress.IPv6Network)),
    ]


def reach_the_world(networks: Iterable[Network]) -> bool:
    """Whether the blocks together cover more public addresses than one IPv4 /8 or one IPv6 /16.

    No organisation holds that much, so the list means "anyone", in one block (`0.0.0.0/0`) or in pieces (`0.0.0.0/1`,
    `128.0.0.0/1`).
    """
    covered = {4: 0, 6: 0}
    for network in public(networks):
        covered[network.version] += network.num_addresses
    return any(covered[version] > limit for version, limit in _WORLD_FROM.items())


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def within_any(inner: Network, outers: Iterable[Network]) -> bool:
    """Whether a network lies inside one of some others."""
    return any(_within(inner, outer) for outer in outers)
