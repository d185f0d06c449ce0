"""The VPC: traffic is recorded, and AWS is reached without the internet."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import Malformed, any_action, any_resource, statements, test
from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, Violation
from guardrails.view import Missing, Unknown, Value, all_of, any_of

_VPC = "aws:ec2/vpc:Vpc"
_LOG = "aws:ec2/flowLog:FlowLog"
_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


def _check_logs(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for vpc in stack.of(_VPC):
        sides = stack.attached(vpc, _LOG, "vpcId")
        wide = any_of(
            None if isinstance(kind, Unknown) else kind.text() in {"ALL", "REJECT"}
            for kind in (side.get("trafficType") for side in sides.sure)
        )
        if wide is None or (not wide and sides.maybe):
            yield Undetermined(path="", why="its flow log is known only after deployment", resource=vpc)
        elif not wide:
            found = "a flow log of accepted traffic only" if sides.sure else "no flow log"
            yield Violation(path="", found=found, wanted="a flow log of ALL or REJECT traffic", resource=vpc)


NET_06 = StackRule(
    id="NET-06",
    name="vpc-flow-logs",
    title="Every VPC records at least the traffic that it refuses",
    tokens=(_VPC,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EC2.6", "soc2:CC7.2"),
    why="without records nobody can say afterwards who talked to whom",
    fix="add aws.ec2.FlowLog with vpc_id and traffic_type ALL",
    facts=NoFacts,
    check=_check_logs,
    traps=("a log of ACCEPT alone misses every attempt", "a log of one subnet is not one of the VPC"),
)


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """Which services are reached privately."""

    gateway: Annotated[tuple[str, ...], "Services that need a gateway endpoint, as their service names end."] = ("s3",)
    interface: Annotated[tuple[str, ...], "Services that need an interface endpoint, as their service names end."] = (
        "ecr.api",
        "ecr.dkr",
        "sts",
        "logs",
        "sagemaker.api",
        "sagemaker.runtime",
        "kms",
    )


def _serves(endpoint: Resource, service: str, *, gateway: bool) -> bool | None:
    name, kind = endpoint.get("serviceName"), endpoint.get("vpcEndpointType")
    named = test(name, lambda text: text.partition("amazonaws.")[2].partition(".")[2] == service)
    is_gateway = isinstance(kind, Missing) or test(kind, lambda text: text == "Gateway")
    return all_of([named, is_gateway if gateway else None if is_gateway is None else not is_gateway])


def _open(policy: Value) -> bool | None:
    """Whether an endpoint's policy lets everybody do everything, which is also what no policy does."""
    listed = statements(policy)
    if isinstance(listed, Unknown):
        return None
    if isinstance(listed, Malformed):
        return False
    if isinstance(policy, Missing):
        return True
    return any_of(
        all_of(
            [
                each.effect_is("Allow"),
                any_of(test(principal, lambda text: text == "*") for principal in each.principals("AWS")),
                each.matches("Action", any_action),
                each.matches("Resource", any_resource),
                isinstance(each.element("Condition"), Missing),
            ]
        )
        for each in listed
    )


def _check_endpoints(stack: Stack, facts: EndpointFacts) -> Iterator[Finding]:
    for vpc in stack.of(_VPC):
        sides = stack.attached(vpc, _ENDPOINT, "vpcId")
        for services, gateway in ((facts.gateway, True), (facts.interface, False)):
            for service in services:
                served = any_of(_serves(side, service, gateway=gateway) for side in sides.sure)
                kind = "gateway" if gateway else "interface"
                if served is None or (not served and sides.maybe):
                    yield Undetermined(path="", why=f"its {service} endpoint is not known yet", resource=vpc)
                elif not served:
                    wanted = f"a {kind} endpoint of {service}"
                    yield Violation(path="", found="none", wanted=wanted, resource=vpc)
    for endpoint in stack.of(_ENDPOINT):
        policy = endpoint.given("policy")
        answer = _open(policy)
        if answer is None:
            yield Undetermined(path=policy.path, resource=endpoint)
        elif answer:
            wanted = "a policy that names our account or organisation"
            yield Violation(path=policy.path, found="everything for everybody", wanted=wanted, resource=endpoint)


NET_07 = StackRule(
    id="NET-07",
    name="vpc-endpoints",
    title="AWS is reached by endpoints of the VPC, and through them only our own resources",
    tokens=(_VPC, _ENDPOINT),
    severity=Severity.LOW,
    levels=Levels(dev=Level.DISABLED, prod=Level.ADVISORY),
    frameworks=("fsbp:EC2.10", "fsbp:EC2.55", "fsbp:EC2.56", "soc2:CC6.6"),
    why="traffic that stays inside cannot be sent elsewhere, costs less and outlives the NAT gateway",
    fix="add aws.ec2.VpcEndpoint per service; condition its policy on aws:PrincipalAccount or aws:ResourceAccount",
    facts=EndpointFacts,
    check=_check_endpoints,
    traps=("an endpoint without a policy has one that allows everything", "S3 by interface is not S3 by gateway"),
)
