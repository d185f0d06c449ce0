"""VPC, subnets, gateways, security groups, endpoints, launch templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import EC2, GROUP, PEERING, ROUTE_TABLE, SUBNET, VPC
from sandbox.providers.kinds import Birth, Kind, arn, hex_id, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Json, Properties


def _next_version(outputs: Properties) -> Properties:
    version = outputs.get("latestVersion")
    return {"latestVersion": version + 1 if isinstance(version, int) else 1}


def _vpc(birth: Birth, _id: str) -> Properties:
    return {
        "defaultSecurityGroupId": f"sg-0{birth.hex(16, 'sg')}",
        "defaultNetworkAclId": f"acl-0{birth.hex(16, 'acl')}",
        "defaultRouteTableId": f"rtb-0{birth.hex(16, 'rtb')}",
        "mainRouteTableId": f"rtb-0{birth.hex(16, 'rtb')}",
        "dhcpOptionsId": f"dopt-0{birth.hex(16, 'dopt')}",
        "ownerId": birth.place.account_id,
    }


def _address(birth: Birth) -> str:
    """An address of TEST-NET-3 (RFC 5737)."""
    return f"203.0.113.{int(birth.hex(4, 'ip'), 16) % 254 + 1}"


def _eip(birth: Birth, id_: str) -> Properties:
    return {"allocationId": id_, "publicIp": _address(birth)}


def _nat(birth: Birth, _id: str) -> Properties:
    return {"networkInterfaceId": f"eni-0{birth.hex(16, 'eni')}", "publicIp": _address(birth)}


def _endpoint(birth: Birth, id_: str) -> Properties:
    service = birth.text("serviceName")
    entry: Json = {"dnsName": f"{id_}.{service.rsplit('.', 1)[-1]}.{birth.place.region}.vpce.amazonaws.com"}
    interface = birth.text("vpcEndpointType") == "Interface"
    return {
        "state": "available",
        "ownerId": birth.place.account_id,
        "dnsEntries": [entry] if interface else [],
        "prefixListId": None if interface else f"pl-{birth.hex(8, 'pl')}",
    }


def _peering(birth: Birth, _id: str) -> Properties:
    """An accepted request is active, one that nobody accepted waits (VPC peering guide, "Connection lifecycle")."""
    accepted = birth.inputs.get("autoAccept") is True
    return {"acceptStatus": "active" if accepted else "pending-acceptance", "peerOwnerId": birth.place.account_id}


KINDS: Final[dict[str, Kind]] = {
    VPC: Kind(
        identify=hex_id("vpc"),
        compute=together(arn(EC2 + "vpc/{id}"), _vpc),
        immutable=frozenset({"cidrBlock", "ipv4IpamPoolId"}),
        api=("ec2", "CreateVpc", ""),
    ),
    SUBNET: Kind(
        identify=hex_id("subnet"),
        compute=arn(EC2 + "subnet/{id}"),
        immutable=frozenset({"vpcId", "cidrBlock", "availabilityZone"}),
        needs={"vpcId": VPC},
    ),
    "aws:ec2/internetGateway:InternetGateway": Kind(
        identify=hex_id("igw"), compute=arn(EC2 + "internet-gateway/{id}"), needs={"vpcId": VPC}
    ),
    "aws:ec2/eip:Eip": Kind(
        identify=hex_id("eipalloc"),
        compute=together(arn(EC2 + "elastic-ip/{id}"), _eip),
        immutable=frozenset({"domain"}),
        api=("ec2", "AllocateAddress", ""),
    ),
    "aws:ec2/natGateway:NatGateway": Kind(
        identify=hex_id("nat"),
        compute=_nat,
        immutable=frozenset({"allocationId", "subnetId", "connectivityType"}),
        needs={"subnetId": SUBNET, "allocationId": "aws:ec2/eip:Eip"},
        api=("ec2", "CreateNatGateway", ""),
        seconds=105,
    ),
    ROUTE_TABLE: Kind(
        identify=hex_id("rtb"),
        compute=arn(EC2 + "route-table/{id}"),
        immutable=frozenset({"vpcId"}),
        needs={"vpcId": VPC},
    ),
    "aws:ec2/route:Route": Kind(
        identify=lambda birth: f"r-{birth.text('routeTableId')}{birth.hex(10)}",
        immutable=frozenset({"routeTableId", "destinationCidrBlock"}),
        needs={
            "routeTableId": ROUTE_TABLE,
            "natGatewayId": "aws:ec2/natGateway:NatGateway",
            "gatewayId": "aws:ec2/internetGateway:InternetGateway",
            "vpcPeeringConnectionId": PEERING,
        },
        # Half of the routes of a peering stand in tables of the other VPC.
        elsewhere={"routeTableId": "vpcPeeringConnectionId"},
    ),
    PEERING: Kind(
        identify=hex_id("pcx"),
        compute=_peering,
        immutable=frozenset({"vpcId", "peerVpcId", "peerOwnerId", "peerRegion"}),
        needs={"vpcId": VPC},
        api=("ec2", "CreateVpcPeeringConnection", ""),
        seconds=5,
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Kind(
        identify=hex_id("rtbassoc"),
        immutable=frozenset({"subnetId", "gatewayId"}),
        needs={"routeTableId": ROUTE_TABLE, "subnetId": SUBNET},
    ),
    GROUP: Kind(
        identify=hex_id("sg"),
        compute=arn(EC2 + "security-group/{id}"),
        immutable=frozenset({"name", "namePrefix", "description", "vpcId"}),
        autoname="name",
        needs={"vpcId": VPC},
        api=("ec2", "CreateSecurityGroup", ""),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(
        identify=hex_id("sg"),
        compute=arn(EC2 + "security-group/{id}"),
        immutable=frozenset({"vpcId"}),
        needs={"vpcId": VPC},
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": Kind(
        identify=lambda birth: f"sgrule-{int(birth.hex(8), 16)}",
        immutable=frozenset(
            {
                "type",
                "fromPort",
                "toPort",
                "protocol",
                "cidrBlocks",
                "ipv6CidrBlocks",
                "prefixListIds",
                "self",
                "securityGroupId",
                "sourceSecurityGroupId",
            }
        ),
        needs={"securityGroupId": GROUP},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Kind(
        identify=hex_id("sgr"),
        compute=arn(EC2 + "security-group-rule/{id}"),
        immutable=frozenset({"securityGroupId"}),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Kind(
        identify=hex_id("sgr"),
        compute=arn(EC2 + "security-group-rule/{id}"),
        immutable=frozenset({"securityGroupId"}),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind(
        identify=hex_id("vpce"),
        compute=together(arn(EC2 + "vpc-endpoint/{id}"), _endpoint),
        immutable=frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
        needs={"vpcId": VPC},
        api=("ec2", "CreateVpcEndpoint", ""),
        seconds=60,
    ),
    "aws:ec2/flowLog:FlowLog": Kind(
        identify=hex_id("fl"),
        compute=arn(EC2 + "vpc-flow-log/{id}"),
        immutable=frozenset(
            {
                "vpcId",
                "subnetId",
                "eniId",
                "trafficType",
                "logDestination",
                "logDestinationType",
                "iamRoleArn",
                "logFormat",
                "maxAggregationInterval",
                "destinationOptions",
            }
        ),
        needs={"vpcId": VPC},
        api=("ec2", "CreateFlowLogs", ""),
    ),
    "aws:ec2/placementGroup:PlacementGroup": Kind(
        identify=joined("name"),
        compute=together(
            arn(EC2 + "placement-group/{id}"), lambda birth, _id: {"placementGroupId": f"pg-0{birth.hex(16, 'pg')}"}
        ),
        immutable=frozenset({"name", "strategy", "partitionCount", "spreadLevel"}),
        autoname="name",
        api=("ec2", "CreatePlacementGroup", ""),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Kind(
        identify=hex_id("lt"),
        compute=together(
            arn(EC2 + "launch-template/{id}"), lambda _birth, _id: {"latestVersion": 1, "defaultVersion": 1}
        ),
        revise=_next_version,
        immutable=frozenset({"name", "namePrefix"}),
        autoname="name",
        api=("ec2", "CreateLaunchTemplate", "LaunchTemplateData"),
    ),
}
