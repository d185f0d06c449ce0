"""Network and endpoints as they are registered."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from itertools import combinations

import pytest

from tests.support.recorded import STACKS, Recorded, record_program, stack_section


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_zone_has_one_private_and_one_public_subnet_that_overlap_no_other(stack: str) -> None:
    settings = stack_section(stack, "network")
    subnets = record_program(stack).of_type("aws:ec2/subnet:Subnet")
    by_side = {
        side: {item.inputs["availabilityZone"] for item in subnets if f"-{side}-" in item.name}
        for side in ("private", "public")
    }
    assert by_side == {"private": set(settings["zones"]), "public": set(settings["zones"])}
    ranges = [IPv4Network(item.inputs["cidrBlock"]) for item in subnets]
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    assert all(one.subnet_of(IPv4Network(settings["cidr"])) for one in ranges)


def test_no_subnet_gives_out_public_addresses(stack: str) -> None:
    assert {item.inputs["mapPublicIpOnLaunch"] for item in record_program(stack).of_type("aws:ec2/subnet:Subnet")} == {
        False
    }


def test_load_balancers_and_karpenter_find_their_subnets_by_tag(stack: str) -> None:
    recorded = record_program(stack)
    cluster = recorded.exports["clusterName"]
    for subnet in recorded.of_type("aws:ec2/subnet:Subnet"):
        private = "-private-" in subnet.name
        assert subnet.tags.get("kubernetes.io/role/internal-elb") == ("1" if private else None)
        assert subnet.tags.get("kubernetes.io/role/elb") == (None if private else "1")
        assert subnet.tags.get("karpenter.sh/discovery") == (cluster if private else None)


def prod_with_gateways(choice: str) -> Recorded:
    """Prod, which has one per zone, with another choice."""
    network = {"natGateways": choice}
    return record_program("prod", overrides="{}" if choice == "per-zone" else json.dumps({"network": network}))


@pytest.mark.parametrize(("gateways", "count"), [("single", 1), ("per-zone", 3)])
def test_private_subnets_leave_by_one_gateway_or_by_that_of_their_zone(gateways: str, count: int) -> None:
    recorded = prod_with_gateways(gateways)
    nats = recorded.of_type("aws:ec2/natGateway:NatGateway")
    assert len(nats) == count
    routes = [route for route in recorded.of_type("aws:ec2/route:Route") if "-private-" in route.name]
    assert len(routes) == 3
    used = {route.name: set(route.property_dependencies["natGatewayId"]) for route in routes}
    for zone in stack_section("prod", "network")["zones"]:
        own = [nat.urn for nat in nats if nat.name.endswith(zone)] or [nats[0].urn]
        assert used[f"network-private-{zone}-nat"] == set(own)


def test_changing_the_gateways_moves_no_subnet_and_no_route_table() -> None:
    kept = ("aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable", "aws:ec2/route:Route")
    single, per_zone = prod_with_gateways("single"), prod_with_gateways("per-zone")
    for token in kept:
        assert {item.urn for item in single.of_type(token)} == {item.urn for item in per_zone.of_type(token)}


def test_the_default_security_group_is_adopted_and_empty(stack: str) -> None:
    group = record_program(stack).one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert (group.inputs["ingress"], group.inputs["egress"]) == ([], [])


def test_all_traffic_is_logged_to_an_encrypted_group_that_ends(stack: str) -> None:
    recorded = record_program(stack)
    log = recorded.one("aws:ec2/flowLog:FlowLog")
    group = recorded.one("aws:cloudwatch/logGroup:LogGroup", "network-flow-logs")
    assert log.inputs["trafficType"] == "ALL"
    assert log.property_dependencies["logDestination"] == [group.urn]
    assert group.inputs["kmsKeyId"] == recorded.exports["keyArn"]
    assert group.inputs["retentionInDays"] == stack_section(stack, "network")["flowLogRetentionDays"]


def test_s3_is_reached_from_every_private_subnet_without_a_gateway_to_pay_for(stack: str) -> None:
    recorded = record_program(stack)
    endpoint = recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "endpoints-s3")
    tables = {item.urn for item in recorded.of_type("aws:ec2/routeTable:RouteTable") if "-private-" in item.name}
    assert endpoint.inputs["vpcEndpointType"] == "Gateway"
    assert set(endpoint.property_dependencies["routeTableIds"]) == tables


def test_every_configured_service_has_an_endpoint_with_private_dns_behind_one_group(stack: str) -> None:
    recorded = record_program(stack)
    region = recorded.exports["region"]
    interfaces = [
        item
        for item in recorded.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")
        if item.inputs["vpcEndpointType"] == "Interface"
    ]
    services = stack_section(stack, "network")["interfaceEndpoints"]
    assert [item.inputs["serviceName"] for item in interfaces] == sorted(
        f"com.amazonaws.{region}.{s}" for s in services
    )
    assert all(item.inputs["privateDnsEnabled"] for item in interfaces)
    group = recorded.one("aws:ec2/securityGroup:SecurityGroup", "endpoints-group")
    assert all(item.property_dependencies["securityGroupIds"] == [group.urn] for item in interfaces)


def test_only_principals_of_the_account_pass_an_endpoint_but_for_image_layers_and_token_exchange(stack: str) -> None:
    recorded = record_program(stack)
    account = stack_section(stack, "environment")["accountId"]
    others: dict[str, tuple[str, str]] = {}
    for endpoint in recorded.of_type("aws:ec2/vpcEndpoint:VpcEndpoint"):
        own, *rest = endpoint.policy()["Statement"]
        assert own["Condition"]["StringEquals"]["aws:PrincipalAccount"] == account
        for each in rest:
            assert endpoint.name not in others
            others[endpoint.name] = each["Action"], each["Resource"]
    layers = f"arn:aws:s3:::prod-{recorded.exports['region']}-starport-layer-bucket/*"
    tokens = "sts" in stack_section(stack, "network")["interfaceEndpoints"]
    exchange = {"endpoints-sts": ("sts:AssumeRoleWithWebIdentity", f"arn:aws:iam::{account}:role/*")}
    assert others == {"endpoints-s3": ("s3:GetObject", layers), **(exchange if tokens else {})}
    s3 = recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "endpoints-s3").policy()["Statement"][0]
    assert s3["Condition"]["StringEquals"]["aws:ResourceAccount"] == account


def test_nothing_is_open_to_the_world_and_security_groups_hold_no_rules_themselves(stack: str) -> None:
    recorded = record_program(stack)
    groups = recorded.of_type("aws:ec2/securityGroup:SecurityGroup")
    assert all("ingress" not in group.inputs and "egress" not in group.inputs for group in groups)
    entrances = recorded.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    sources = {rule.inputs["cidrIpv4"] for rule in entrances if "cidrIpv4" in rule.inputs}
    assert sources == {stack_section(stack, "network")["cidr"]}


def test_what_may_leave_to_the_world_is_https_from_nodes_builds_and_notebooks_that_may(stack: str) -> None:
    rules = record_program(stack).of_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    world = [rule for rule in rules if rule.inputs.get("cidrIpv4") == "0.0.0.0/0"]
    studio = stack_section(stack, "studio")["domain"]
    expected = {"cluster-nodes-to-https", "packaging-builds-out", "releasing-builds-out"}
    if studio is not None and studio["internet"]:
        expected.add("studio-to-outside")
    assert {rule.name for rule in world} == expected
    assert {rule.inputs[port] for rule in world for port in ("fromPort", "toPort")} == {443}
    assert len(rules) > len(world)
