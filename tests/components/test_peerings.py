"""Connections to other VPCs as they are registered; `tests/program/test_reachability.py` has what they let through."""

from __future__ import annotations

import pytest

from sandbox.chain import schedule, steps
from tests.support.changes import overrides, record_changed
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.optional import EVERYTHING, PARTS, PEERING
from tests.support.recorded import STACKS, Recorded, record_deployment, record_program

CONNECTION = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
COMPONENT = "slipway:peerings:Peerings"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture
def on() -> Recorded:
    """Prod with another VPC, and with every other optional part."""
    return record_changed(EVERYTHING)


@pytest.mark.parametrize("stack", STACKS)
def test_no_environment_is_connected_by_itself(stack: str) -> None:
    recorded = record_program(stack)
    (component,) = recorded.of_type(COMPONENT)
    assert [item.urn for item in recorded.resources if item.parent == component.urn] == []


def test_a_connection_is_active_at_once_and_resolves_names_both_ways(on: Recorded) -> None:
    connection = on.one(CONNECTION)
    resolves = {"allowRemoteVpcDnsResolution": True}
    asked = {key: connection.inputs[key] for key in ("autoAccept", "requester", "accepter", "peerVpcId")}
    assert asked == {"autoAccept": True, "requester": resolves, "accepter": resolves, "peerVpcId": PEERING["vpcId"]}
    assert connection.tags["Name"] == "slipway-prod-jobs"


def test_routes_and_rules_wait_for_the_connection_and_nothing_else_does(on: Recorded) -> None:
    connection, component = on.one(CONNECTION), on.one(COMPONENT)
    after = {item.urn for item in on.resources if item.urn != connection.urn and on.depends_path(item, connection)}
    assert after == {item.urn for item in on.resources if item.parent == component.urn} - {connection.urn}
    assert connection.dependencies == [on.one("aws:ec2/vpc:Vpc").urn]


def test_a_connection_makes_no_update_longer() -> None:
    resources = record_deployment("prod", overrides=overrides(PARTS))["deployment"]["resources"]
    others = [item for item in resources if COMPONENT not in item["urn"]]
    assert len(others) < len(resources)
    with_it, without = (schedule(steps(each)).seconds for each in (resources, others))
    assert with_it == without > 600


def test_pods_on_fargate_call_the_endpoint_there_like_pods_on_nodes(on: Recorded) -> None:
    rules = [rule for rule in on.of_type(INGRESS) if rule.inputs["securityGroupId"] == PEERING["runtimeEndpointGroup"]]
    callers = {rule.name: rule.property_dependencies["referencedSecurityGroupId"] for rule in rules}
    groups = {
        name: on.one("aws:ec2/securityGroup:SecurityGroup", name).urn for name in ("cluster-nodes", "fargate-group")
    }
    assert callers == {
        "peerings-jobs-runtime-nodes": [groups["cluster-nodes"]],
        "peerings-jobs-runtime-fargate": [groups["fargate-group"]],
    }


def test_network_policies_let_pods_that_call_aws_go_there_by_https_and_change_in_nothing_else(on: Recorded) -> None:
    pod, there = End(namespace="ml-inference", address="10.48.33.20"), End(address="10.80.4.11")
    permitted = {
        name: [
            port
            for port in (22, 80, 443, 8080)
            if Policies([item.inputs for item in recorded.of_type(NETWORK_POLICY)]).permit(pod, there, port)
        ]
        for name, recorded in {"alone": record_program("prod"), "connected": on}.items()
    }
    assert permitted == {"alone": [], "connected": [443]}
    before = {item.urn: item.inputs for item in record_program("prod").of_type(NETWORK_POLICY)}
    changed = {item.name for item in on.of_type(NETWORK_POLICY) if before.get(item.urn, item.inputs) != item.inputs}
    assert changed == {"tenancy-ml-inference-allow-aws", "tenancy-ml-training-allow-aws"}
