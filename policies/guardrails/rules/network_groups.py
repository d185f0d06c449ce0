"""Security groups: closed by default, narrow on the way out, explained, and written in one way."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.networks import parse, reach_the_world
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    require,
)
from guardrails.view import Known, Unknown, Value

_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_DEFAULT = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
_INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_BLOCKS = ("cidrBlocks[*]", "ipv6CidrBlocks[*]")
_EMPTY_WORDS = {"", "Managed by Pulumi", "Managed by Terraform"}


def _egress(resource: Resource) -> tuple[tuple[Value, str, tuple[str, ...]], ...]:
    """Each egress rule with the name of its protocol property and the paths of its blocks."""
    if resource.token == _GROUP:
        return tuple((rule, "protocol", _BLOCKS) for rule in resource.select("egress[*]"))
    if resource.token == _EGRESS_RULE:
        return ((resource.properties, "ipProtocol", ("cidrIpv4", "cidrIpv6")),)
    if resource.token == _RULE and resource.get("type").text() == "egress":
        return ((resource.properties, "protocol", _BLOCKS),)
    return ()


def _check(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    if resource.token == _DEFAULT:
        for direction in ("ingress", "egress"):
            for rule in resource.select(f"{direction}[*]"):
                if isinstance(rule, Unknown):
                    yield Undetermined(path=rule.path)
                else:
                    yield Violation(path=rule.path, found="a rule", wanted="none in the default group")
        return
    text = resource.get("description")
    yield from require(text, lambda value: (value.text() or "") not in _EMPTY_WORDS, "what the traffic is")
    for rule, protocol, paths in _egress(resource):
        blocks = [value for path in paths for value in rule.select(path)]
        everything = rule.child(protocol)
        networks = [network for value in blocks if (network := parse(value.text() or "")) is not None]
        if everything.text() in {"-1", "all"} and reach_the_world(networks):
            yield Violation(path=rule.path, found="every protocol to the world", wanted="ports and destinations")
        elif isinstance(everything, Unknown) and reach_the_world(networks):
            yield Undetermined(path=everything.path)


NET_03 = ResourceRule(
    id="NET-03",
    name="sg-default-closed-egress-narrow",
    title="Default security groups are empty, and others say what they let out and why",
    tokens=(_GROUP, _DEFAULT, _RULE, _EGRESS_RULE, _INGRESS_RULE),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("fsbp:EC2.2", "soc2:CC6.6"),
    why="whatever forgets its group lands in the default one, and stolen data leaves by the widest way out",
    fix="adopt the default group with empty rules; write ports, destinations and a description on every other rule",
    facts=NoFacts,
    check=_check,
    traps=("one port to the world is a narrow way out", "rules without a description get the provider's words"),
)


def _check_stack(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for group in stack.of(_GROUP):
        inline = [group.given(name) for name in ("ingress", "egress")]
        written = [value for value in inline if isinstance(value, Known) and value.elements()]
        hidden = [value for value in inline if isinstance(value, Unknown)]
        sides = [stack.attached(group, token, "securityGroupId") for token in (_RULE, _EGRESS_RULE, _INGRESS_RULE)]
        apart = any(side.sure for side in sides)
        if written and apart:
            yield Violation(
                path=written[0].path,
                found="rules in the group and rules of their own",
                wanted="one of the two: each removes the other's",
                resource=group,
            )
        elif (written or hidden) and (apart or any(side.maybe for side in sides)):
            yield Undetermined(path=(written or hidden)[0].path, resource=group)


NET_03_STACK = StackRule(
    id="NET-03",
    name="sg-one-style-of-rules",
    title="A security group has its rules inside or apart, not both",
    tokens=(_GROUP,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("fsbp:EC2.2", "soc2:CC6.6"),
    why="the provider removes on each run what the other style added: traffic is open or shut by turns",
    fix="move inline rules to aws.vpc.SecurityGroupIngressRule and SecurityGroupEgressRule",
    facts=NoFacts,
    check=_check_stack,
    traps=("inline rules that the provider reads back are not written by the program",),
)
