"""What reaches what in VPCs, hop by hop, computed from the resources of a deployment.

Rules (VPC user guide, "Route priority" and "Security group rules"; VPC peering guide, "Limitations"): the longest
prefix of the subnet's table decides where a packet goes, and a subnet without a table of its own has the VPC's main
one; both ends' groups have to allow a connection, answers to it need no rule but a way back; a peering carries only
what goes from the one VPC to the other. Network ACLs are not modelled: without resources of their own they allow all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

VPC: Final = "aws:ec2/vpc:Vpc"
SUBNET: Final = "aws:ec2/subnet:Subnet"
ROUTE: Final = "aws:ec2/route:Route"
ASSOCIATION: Final = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
NAT: Final = "aws:ec2/natGateway:NatGateway"
INTERNET: Final = "aws:ec2/internetGateway:InternetGateway"
PEERING: Final = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
INGRESS: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
HOPS: Final = (ROUTE, ASSOCIATION, ENDPOINT, NAT, INTERNET, PEERING, INGRESS, EGRESS)
"""Types of which each resource may be what a connection needs."""
_NOT_MODELLED: Final = (
    "ec2/networkAcl",
    "ec2/defaultNetworkAcl",
    "ec2/vpcIpv4CidrBlockAssociation",
    "ec2transitgateway/",
)
_TARGETS: Final = ("gatewayId", "natGatewayId", "vpcPeeringConnectionId")
_LOCAL: Final = "local"
_ANYBODY: Final = IPv4Address("198.51.100.7")
"""An address of TEST-NET-2 (RFC 5737), for somebody on the internet."""

HTTPS: Final = 443

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a deployment, with its inputs and what was computed."""

    urn: str
    type: str
    id: str
    properties: Properties

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A network interface."""

    subnet: str
    address: IPv4Address
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Peer:
    """The other end of a connection, as rules of security groups name it."""

    address: IPv4Address | None = None
    groups: frozenset[str] = frozenset()
    prefix_list: str | None = None

    def named_by(self, rule: Properties) -> bool:
        if "cidrIpv4" in rule:
            return self.address is not None and self.address in IPv4Network(rule["cidrIpv4"])
        if "prefixListId" in rule:
            return rule["prefixListId"] == self.prefix_list
        return rule["referencedSecurityGroupId"] in self.groups

    def __str__(self) -> str:
        return self.prefix_list or f"{self.address} ({', '.join(sorted(self.groups)) or 'no group'})"


@dataclass(frozen=True)
class Networks:
    """VPCs with what connects, guards and serves them."""

    resources: tuple[Resource, ...]

    @classmethod
    def of(cls, states: Sequence[Mapping[str, Any]]) -> Networks:
        """Read the resources of a state file.

        Raises:
            NotImplementedError: one of them takes part in routing or filtering and is not modelled.
        """
        unknown = [each["type"] for each in states if each["type"].split(":")[1].startswith(_NOT_MODELLED)]
        if unknown:
            raise NotImplementedError(f"not modelled: {', '.join(unknown)}")
        found = [each for each in states if each.get("id")]
        return cls(
            tuple(
                Resource(each["urn"], each["type"], each["id"], {**each.get("inputs", {}), **each.get("outputs", {})})
                for each in found
            )
        )

    def without(self, urns: Collection[str]) -> Networks:
        """The same without some resources, to which others may still refer."""
        return Networks(tuple(item for item in self.resources if item.urn not in urns))

    def of_type(self, *tokens: str) -> list[Resource]:
        return [item for token in tokens for item in self._by_type.get(token, [])]

    def named(self, token: str, name: str) -> Resource:
        """The resource of a type with a logical name.

        Raises:
            LookupError: if there is none.
        """
        found = next((item for item in self.of_type(token) if item.name == name), None)
        if found is None:
            raise LookupError(f"no {token} {name}")
        return found

    def host(self, subnet: str, groups: Collection[str], number: int = 10) -> Host:
        """An interface with an address of a subnet."""
        block = IPv4Network(self._by_id[subnet].properties["cidrBlock"])
        return Host(subnet=subnet, address=block[number], groups=frozenset(groups))

    def vpc(self, subnet: str) -> str:
        return self._by_id[subnet].properties["vpcId"]

    def between(self, source: Host, target: Host, port: int) -> list[str]:
        """What is missing for a TCP connection; empty where nothing is."""
        return [
            *self._way(source, target, "to"),
            *self._way(target, source, "back to"),
            *self._allowed(EGRESS, source, port, _Peer(target.address, target.groups)),
            *self._allowed(INGRESS, target, port, _Peer(source.address, source.groups)),
        ]

    def to_service(self, source: Host, service: str, *, vpc: str | None = None) -> list[str]:
        """What is missing for HTTPS to an AWS service by an interface endpoint, of whose addresses any may be taken.

        Args:
            source: Who calls.
            service: The service's own name, such as `sagemaker.runtime`.
            vpc: Where the endpoint is, when it is called by a name of its own; None for the service's usual name, which
                leads to an endpoint of the caller's VPC alone.
        """
        place = vpc or self.vpc(source.subnet)
        endpoint = self._endpoint(place, service, "Interface")
        if endpoint is None:
            return [f"no interface endpoint of {service} in {place}"]
        missing = [] if vpc else self._usual_name(endpoint, service, place)
        groups = endpoint.properties["securityGroupIds"]
        for subnet in endpoint.properties["subnetIds"]:
            missing += self.between(source, self.host(subnet, groups, 11), HTTPS)
        return list(dict.fromkeys(missing))

    def to_gateway(self, source: Host, service: str) -> list[str]:
        """What is missing for HTTPS to an AWS service by a gateway endpoint of the caller's VPC."""
        place = self.vpc(source.subnet)
        endpoint = self._endpoint(place, service, "Gateway")
        if endpoint is None:
            return [f"no gateway endpoint of {service} in {place}"]
        table = self._table(source.subnet)
        routed = table in endpoint.properties["routeTableIds"]
        missing = [] if routed else [f"no route in {table} of {source.subnet} to the gateway endpoint of {service}"]
        return missing + self._allowed(EGRESS, source, HTTPS, _Peer(prefix_list=endpoint.properties["prefixListId"]))

    def from_internet(self, target: Host, port: int) -> list[str]:
        """What is missing for a connection from the internet to an interface itself."""
        public = self._by_id[target.subnet].properties.get("mapPublicIpOnLaunch", False)
        return [
            *([] if public else [f"no public address in {target.subnet}"]),
            *self._gateway(target.subnet),
            *self._allowed(INGRESS, target, port, _Peer(_ANYBODY)),
        ]

    def to_internet(self, source: Host, port: int) -> list[str]:
        """What is missing for a connection of an interface without a public address to the internet."""
        hop = self._next_hop(source.subnet, _ANYBODY)
        gateway = self._by_id.get(hop) if hop is not None and hop.startswith("nat-") else None
        way = (
            [f"no route in {self._table(source.subnet)} of {source.subnet} to a NAT gateway"]
            if gateway is None
            else self._gateway(gateway.properties["subnetId"])
        )
        return way + self._allowed(EGRESS, source, port, _Peer(_ANYBODY))

    def ports(self) -> list[int]:
        """A port of every range that some rule names, and one that none does."""
        return sorted({rule.properties.get("fromPort", 1) for rule in self.of_type(INGRESS, EGRESS)})

    @cached_property
    def _by_id(self) -> dict[str, Resource]:
        return {item.id: item for item in self.resources if item.type.startswith("aws:ec2/")}

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for item in self.resources:
            found.setdefault(item.type, []).append(item)
        return found

    def _endpoint(self, vpc: str, service: str, kind: str) -> Resource | None:
        for item in self.of_type(ENDPOINT):
            own = item.properties["serviceName"].endswith(f".{service}") and item.properties["vpcId"] == vpc
            if own and item.properties["vpcEndpointType"] == kind:
                return item
        return None

    def _usual_name(self, endpoint: Resource, service: str, vpc: str) -> list[str]:
        resolver = self._by_id[vpc].properties
        private = endpoint.properties.get("privateDnsEnabled")
        named = private and resolver.get("enableDnsSupport") and resolver.get("enableDnsHostnames")
        return [] if named else [f"no private name of {service} in {vpc}"]

    def _table(self, subnet: str) -> str:
        own = (item.properties for item in self.of_type(ASSOCIATION) if item.properties.get("subnetId") == subnet)
        main = self._by_id[self.vpc(subnet)].properties["mainRouteTableId"]
        return next((each["routeTableId"] for each in own), main)

    def _next_hop(self, subnet: str, address: IPv4Address) -> str | None:
        """Where a packet from a subnet goes: `local`, the id of a gateway or of a peering, or nowhere."""
        table = self._table(subnet)
        ways = {IPv4Network(self._by_id[self.vpc(subnet)].properties["cidrBlock"]): _LOCAL}
        for route in self.of_type(ROUTE):
            if route.properties["routeTableId"] == table:
                block = IPv4Network(route.properties["destinationCidrBlock"])
                ways[block] = next(route.properties[name] for name in _TARGETS if route.properties.get(name))
        matching = [block for block in ways if address in block]
        return ways[max(matching, key=lambda block: block.prefixlen)] if matching else None

    def _gateway(self, subnet: str) -> list[str]:
        hop = self._next_hop(subnet, _ANYBODY)
        there = hop is not None and hop.startswith("igw-") and hop in self._by_id
        return [] if there else [f"no route in {self._table(subnet)} of {subnet} to an internet gateway"]

    def _way(self, source: Host, target: Host, direction: str) -> list[str]:
        hop, here, there = (
            self._next_hop(source.subnet, target.address),
            self.vpc(source.subnet),
            self.vpc(target.subnet),
        )
        if hop == _LOCAL and here == there:
            return []
        table = self._table(source.subnet)
        if hop is None or not hop.startswith("pcx-"):
            return [f"no route in {table} of {source.subnet} {direction} {target.address}"]
        peering = self._by_id.get(hop)
        ends = {peering.properties["vpcId"], peering.properties["peerVpcId"]} if peering else set[str]()
        if peering is None or peering.properties.get("acceptStatus") != "active" or ends != {here, there}:
            return [f"no active peering {hop} between {here} and {there}"]
        return []

    def _allowed(self, direction: str, host: Host, port: int, peer: _Peer) -> list[str]:
        """Nothing where a rule of one of the host's groups allows a connection in a direction, else what is missing."""
        rules = [
            each.properties for each in self.of_type(direction) if each.properties["securityGroupId"] in host.groups
        ]
        if any(_opens(rule, port) and peer.named_by(rule) for rule in rules):
            return []
        verb = "send to" if direction == EGRESS else "take from"
        return [f"no rule lets {', '.join(sorted(host.groups))} {verb} {peer} on tcp/{port}"]


def _opens(rule: Properties, port: int) -> bool:
    if rule["ipProtocol"] == "-1":
        return True
    return rule["ipProtocol"] == "tcp" and rule["fromPort"] <= port <= rule["toPort"]
