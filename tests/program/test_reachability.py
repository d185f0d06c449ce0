"""SageMaker and EKS reach what they need and nothing else: in one VPC, and from one to another.

The deployments are those of the real program; of the other VPC only what its owner says in the stack file is known, and
the rest is made up here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.changes import overrides
from tests.support.optional import PARTS
from tests.support.optional import PEERING as SPEC
from tests.support.reachability import (
    ASSOCIATION,
    EGRESS,
    ENDPOINT,
    HOPS,
    INGRESS,
    INTERNET,
    NAT,
    PEERING,
    ROUTE,
    SUBNET,
    VPC,
    Host,
    Networks,
)
from tests.support.recorded import STACKS, record_deployment, stack_section

if TYPE_CHECKING:
    from collections.abc import Callable

    Question = Callable[[Networks], list[str]]

PRIVATE: Final = tuple(stack for stack in STACKS if stack_section(stack, "network")["interfaceEndpoints"])
BY_NAT: Final = tuple(stack for stack in STACKS if stack not in PRIVATE)
CALLED_BY_JOBS: Final = ("ecr.api", "ecr.dkr", "sts", "logs", "kms")
THERE: Final = "subnet-0123456789abcdef0"
SAYS: Final = {
    ROUTE: "no route",
    ASSOCIATION: "no route",
    NAT: "no route",
    INTERNET: "no route",
    ENDPOINT: "endpoint of",
    PEERING: "no active peering",
    INGRESS: "take from",
    EGRESS: "send to",
}
"""Type of what is gone → what the answer says."""


def _there() -> list[dict[str, Any]]:
    """The other VPC: a subnet with a table, and the SageMaker runtime endpoint in it."""
    runtime = {
        "vpcId": SPEC["vpcId"],
        "serviceName": "com.amazonaws.us-east-1.sagemaker.runtime",
        "vpcEndpointType": "Interface",
        "subnetIds": [THERE],
        "securityGroupIds": [SPEC["runtimeEndpointGroup"]],
    }
    states = [
        (VPC, SPEC["vpcId"], {"cidrBlock": SPEC["cidr"], "mainRouteTableId": "rtb-0123456789abcdef9"}),
        (SUBNET, THERE, {"vpcId": SPEC["vpcId"], "cidrBlock": "10.80.4.0/24"}),
        (ASSOCIATION, "rtbassoc-there", {"subnetId": THERE, "routeTableId": SPEC["routeTableIds"][0]}),
        (ENDPOINT, "vpce-there", runtime),
    ]
    return [{"urn": f"urn::there-{id_}", "type": token, "id": id_, "inputs": inputs} for token, id_, inputs in states]


@cache
def networks(stack: str) -> Networks:
    return Networks.of(record_deployment(stack)["deployment"]["resources"])


@cache
def two_vpcs() -> Networks:
    """Prod with the other VPC and every other optional part."""
    recorded = record_deployment("prod", overrides=overrides(PARTS))
    return Networks.of([*recorded["deployment"]["resources"], *_there()])


def pods(net: Networks) -> list[Host]:
    """A pod on a node of every group in each of its subnets; pods share the groups of their node."""
    templates = {item.id: item.properties for item in net.of_type("aws:ec2/launchTemplate:LaunchTemplate")}
    found = [
        net.host(subnet, templates[group.properties["launchTemplate"]["id"]]["vpcSecurityGroupIds"])
        for group in net.of_type("aws:eks/nodeGroup:NodeGroup")
        for subnet in group.properties["subnetIds"]
    ]
    assert found
    return list(dict.fromkeys(found))


def jobs(net: Networks) -> list[Host]:
    """A host of a training job in every private subnet."""
    group = net.named("aws:ec2/securityGroup:SecurityGroup", "training-jobs").id
    found = [net.host(item.id, [group]) for item in net.of_type(SUBNET) if "-private-" in item.name]
    assert len(found) > 1
    return found


def jobs_there(net: Networks) -> list[Host]:
    return [net.host(THERE, SPEC["jobGroups"])]


def calls(sources: Callable[[Networks], list[Host]], service: str, vpc: str | None = None) -> Question:
    """The question whether all of some hosts reach a service by its interface endpoint."""
    return lambda net: [hop for source in sources(net) for hop in net.to_service(source, service, vpc=vpc)]


def to_s3(net: Networks) -> list[str]:
    return [hop for job in jobs(net) for hop in net.to_gateway(job, "s3")]


def out(net: Networks) -> list[str]:
    return [hop for pod in pods(net) for hop in net.to_internet(pod, 443)]


def zoned(stack: str, *forms: str) -> set[str]:
    return {form.format(zone) for form in forms for zone in stack_section(stack, "network")["zones"]}


def needed(net: Networks, question: Question) -> set[str]:
    """What a connection does not exist without; whatever is taken away, the answer has to say it."""
    found: set[str] = set()
    for hop in net.of_type(*HOPS):
        missing = question(net.without({hop.urn}))
        if missing:
            assert all(SAYS[hop.type] in each for each in missing), (hop.name, missing)
            found.add(hop.name)
    return found


@pytest.mark.parametrize("stack", PRIVATE)
def test_a_pod_reaches_the_sagemaker_runtime_privately_and_needs_nothing_but_its_endpoint_and_two_rules(
    stack: str,
) -> None:
    question = calls(pods, "sagemaker.runtime")
    assert question(networks(stack)) == []
    rules = {"cluster-nodes-to-https", "endpoints-https"}
    assert needed(networks(stack), question) == {"endpoints-sagemaker.runtime", *rules}


@pytest.mark.parametrize("service", CALLED_BY_JOBS)
@pytest.mark.parametrize("stack", PRIVATE)
def test_a_training_job_reaches_registry_tokens_logs_and_keys_by_their_endpoints(stack: str, service: str) -> None:
    question = calls(jobs, service)
    assert question(networks(stack)) == []
    rules = {"training-jobs-to-endpoints", "endpoints-https"}
    assert needed(networks(stack), question) == {f"endpoints-{service}", *rules}


@pytest.mark.parametrize("stack", STACKS)
def test_a_training_job_reaches_s3_by_its_gateway_endpoint_from_every_zone(stack: str) -> None:
    assert to_s3(networks(stack)) == []
    tables = zoned(stack, "network-private-{}")
    assert needed(networks(stack), to_s3) == {"endpoints-s3", "training-jobs-to-s3", *tables}


@pytest.mark.parametrize("stack", BY_NAT)
def test_where_no_endpoint_is_paid_for_pods_call_aws_by_nat_and_jobs_reach_s3_alone(stack: str) -> None:
    net = networks(stack)
    assert out(net) == []
    (nat,) = net.of_type(NAT)
    public = {"network-internet", "network-public-internet", nat.name.replace("nat", "public"), nat.name}
    ways = zoned(stack, "network-private-{}", "network-private-{}-nat")
    assert needed(net, out) == {"cluster-nodes-to-https", *public, *ways}
    for job in jobs(net):
        assert [hop for hop in net.to_internet(job, 443) if "send to" in hop]
        assert all(net.to_service(job, service) for service in CALLED_BY_JOBS)


@pytest.mark.parametrize("stack", STACKS)
def test_neither_a_training_job_nor_the_internet_reaches_a_pod_on_any_port(stack: str) -> None:
    net = networks(stack)
    assert 443 in net.ports()
    for pod in pods(net):
        for port in net.ports():
            assert len(net.from_internet(pod, port)) == 3
            for job in jobs(net):
                send, take = net.between(job, pod, port)
                assert ("send to" in send, "take from" in take) == (True, True)


def test_two_rules_would_let_a_training_job_reach_pods_and_one_is_not_enough() -> None:
    net = networks("prod")
    (job, *_), (pod, *_) = jobs(net), pods(net)
    (jobs_group,), (nodes,) = job.groups, pod.groups
    port = {"ipProtocol": "tcp", "fromPort": 8080, "toPort": 8090}
    states = [
        {
            "urn": "urn::out",
            "type": EGRESS,
            "id": "1",
            "inputs": {"securityGroupId": jobs_group, "cidrIpv4": "10.48.0.0/16", **port},
        },
        {
            "urn": "urn::in",
            "type": INGRESS,
            "id": "2",
            "inputs": {"securityGroupId": nodes, "referencedSecurityGroupId": jobs_group, **port},
        },
    ]
    opened = Networks((*net.resources, *Networks.of(states).resources))
    assert opened.between(job, pod, 8085) == []
    assert len(opened.between(job, pod, 8091)) == 2
    assert len(opened.without({"urn::in"}).between(job, pod, 8085)) == 1


def test_pods_reach_a_sagemaker_runtime_endpoint_in_the_other_vpc() -> None:
    question = calls(pods, "sagemaker.runtime", SPEC["vpcId"])
    assert question(two_vpcs()) == []
    theirs = {"there-rtbassoc-there", "there-vpce-there", "peerings-jobs-rtb-0123456789abcdef0"}
    ours = zoned("prod", "network-private-{}", "peerings-jobs-{}")
    rules = {"cluster-nodes-to-https", "peerings-jobs-runtime-nodes"}
    assert needed(two_vpcs(), question) == {"peerings-jobs", *theirs, *ours, *rules}


@pytest.mark.parametrize("service", CALLED_BY_JOBS)
def test_jobs_in_the_other_vpc_reach_our_interface_endpoints(service: str) -> None:
    vpc = networks("prod").of_type(VPC)[0].id
    question = calls(jobs_there, service, vpc)
    assert question(two_vpcs()) == []
    theirs = {"there-rtbassoc-there", "peerings-jobs-rtb-0123456789abcdef0"}
    ours = {f"endpoints-{service}", *zoned("prod", "network-private-{}", "peerings-jobs-{}")}
    rules = {f"peerings-jobs-sg-0123456789abcdef1-{way}" for way in ("in", "out")}
    assert needed(two_vpcs(), question) == {"peerings-jobs", *theirs, *ours, *rules}


def test_nothing_else_of_the_other_vpc_reaches_us_and_none_of_us_reaches_its_jobs() -> None:
    net = two_vpcs()
    stranger, (job,) = net.host(THERE, [], 20), jobs_there(net)
    ours = [
        net.host(item.properties["subnetIds"][0], item.properties["securityGroupIds"])
        for item in net.of_type(ENDPOINT)
        if "securityGroupIds" in item.properties and item.id != "vpce-there"
    ]
    for port in net.ports():
        assert all(net.between(each, pod, port) for each in (stranger, job) for pod in pods(net))
        assert all(net.between(stranger, each, port) for each in ours)
        assert all(net.between(each, job, port) for each in (*pods(net), *jobs(net)))
    assert all(net.between(job, each, port) for each in ours for port in net.ports() if port != 443)


def test_a_gateway_endpoint_and_the_usual_names_stay_in_their_vpc() -> None:
    net, (job,) = two_vpcs(), jobs_there(two_vpcs())
    assert net.to_gateway(job, "s3") == [f"no gateway endpoint of s3 in {SPEC['vpcId']}"]
    assert net.to_service(job, "sts") == [f"no interface endpoint of sts in {SPEC['vpcId']}"]


@pytest.mark.parametrize(
    ("token", "name", "property_", "value", "says"),
    [
        (PEERING, "peerings-jobs", "acceptStatus", "pending-acceptance", "no active peering"),
        (PEERING, "peerings-jobs", "peerVpcId", "vpc-0123456789abcdef9", "no active peering"),
        (ROUTE, "peerings-jobs-us-east-1b", "destinationCidrBlock", "10.80.0.0/23", "no route"),
        (ROUTE, "peerings-jobs-rtb-0123456789abcdef0", "destinationCidrBlock", "10.48.0.0/18", "no route"),
        (INGRESS, "peerings-jobs-runtime-nodes", "toPort", 442, "take from"),
        (INGRESS, "peerings-jobs-runtime-nodes", "ipProtocol", "udp", "take from"),
        (EGRESS, "cluster-nodes-to-https", "cidrIpv4", "10.48.0.0/16", "send to"),
    ],
)
def test_a_hop_that_is_there_but_wrong_is_missing(
    token: str, name: str, property_: str, value: object, says: str
) -> None:
    wrong = two_vpcs().named(token, name)
    changed = Networks.of(
        [{"urn": wrong.urn, "type": token, "id": wrong.id, "inputs": {**wrong.properties, property_: value}}]
    )
    net = Networks((*two_vpcs().without({wrong.urn}).resources, *changed.resources))
    missing = calls(pods, "sagemaker.runtime", SPEC["vpcId"])(net)
    assert missing
    assert all(says in each for each in missing)


@pytest.mark.parametrize("token", ["aws:ec2/networkAcl:NetworkAcl", "aws:ec2/networkAclRule:NetworkAclRule"])
def test_what_the_evaluator_does_not_model_is_refused(token: str) -> None:
    with pytest.raises(NotImplementedError, match=token):
        Networks.of([{"urn": "urn::acl", "type": token, "id": "acl-1", "inputs": {}}])
