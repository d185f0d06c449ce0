"""IAM: AWS managed policies, by what a role is for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from guardrails.documents import Malformed, statements
from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, StackRule, Undetermined, Violation, decide
from guardrails.view import Known, Unknown, Value

_ROLE = "aws:iam/role:Role"
_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
_EXCLUSIVE = "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive"
_ATTACHMENTS = {
    _ATTACHMENT: "policyArn",
    _EXCLUSIVE: "policyArns[*]",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
}
_MANAGED = re.compile(r"arn:[^:]+:iam::aws:policy/(?:.*/)?(?P<name>[^/]+)")
_PURPOSES = {"ec2": "node", "eks": "cluster", "eks-fargate-pods": "fargate", "lambda": "function"}
_POD = "pod"
_SAFE: Mapping[str, tuple[str, ...]] = {
    "node": (
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonSSMManagedInstanceCore",
    ),
    "cluster": ("AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController"),
    "fargate": ("AmazonEKSFargatePodExecutionRolePolicy",),
    "function": ("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole", "AWSXRayDaemonWriteAccess"),
    "pod": ("AmazonEKS_CNI_Policy", "AmazonEBSCSIDriverPolicy", "AmazonEFSCSIDriverPolicy"),
}


@dataclass(frozen=True, slots=True)
class ManagedFacts:
    """Which AWS managed policies a role may carry."""

    allowed: Annotated[
        Mapping[str, tuple[str, ...]],
        "Names of AWS managed policies by purpose: node, cluster, fargate, function, pod (IRSA, Pod Identity), other.",
    ] = field(default_factory=lambda: dict(_SAFE))


def _purpose(role: Resource) -> str | None:
    """What a role is for, by whom it trusts; unknown when the trust policy is."""
    listed = statements(role.get("assumeRolePolicy"))
    if isinstance(listed, Unknown):
        return None
    for statement in () if isinstance(listed, Malformed) else listed:
        services = [value.text() or "" for value in statement.principals("Service")]
        if statement.principals("Federated") or any(text.startswith("pods.eks.") for text in services):
            return _POD
        for text in services:
            if purpose := _PURPOSES.get(text.partition(".")[0]):
                return purpose
    return "other"


def _judge(arn: Value, purposes: tuple[str, ...], facts: ManagedFacts, at: Resource | None = None) -> Iterator[Finding]:
    """One attached policy: AWS's own must be on the list of one of some purposes."""
    managed = _MANAGED.fullmatch(arn.text() or "")
    allowed = {name for purpose in purposes for name in facts.allowed.get(purpose, ())}
    answer = None if isinstance(arn, Unknown) else managed is None or managed["name"] in allowed
    wanted = f"a policy of our own, or one of: {', '.join(sorted(allowed)) or 'none'}"
    yield from decide(answer, arn, found=arn.text() or "", wanted=wanted, at=at)


def _check(resource: Resource, facts: ManagedFacts) -> Iterator[Finding]:
    if resource.token == _ROLE:
        purpose = _purpose(resource)
        purposes = tuple(facts.allowed) if purpose is None else (purpose,)
        for arn in resource.select("managedPolicyArns[*]"):
            yield from _judge(arn, purposes, facts)
        return
    for arn in resource.select(_ATTACHMENTS[resource.token]):
        yield from _judge(arn, tuple(facts.allowed), facts)


IAM_11 = ResourceRule(
    id="IAM-11",
    name="iam-managed-policy-allowlist",
    title="AWS managed policies come from a short list",
    tokens=(_ROLE, *_ATTACHMENTS),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.1.3", "soc2:CC6.3"),
    why="AWS writes its policies for every customer at once, mostly on every resource, and widens them later",
    fix="write a policy with the actions and ARNs that are used, and attach that",
    facts=ManagedFacts,
    check=_check,
    traps=(
        "a policy of our own may be called like one of AWS",
        "what a separate attachment's role is for, the stack tells",
    ),
)


def _attached(stack: Stack, role: Resource) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
    """The separate and the exclusive attachments of a role."""
    separate = stack.attached(role, _ATTACHMENT, "role")
    return separate.sure, stack.attached(role, _EXCLUSIVE, "roleName").sure


def _check_stack(stack: Stack, facts: ManagedFacts) -> Iterator[Finding]:
    for role in stack.of(_ROLE):
        separate, exclusive = _attached(stack, role)
        purpose = _purpose(role)
        policies = [arn for side in separate for arn in side.select("policyArn")]
        policies += [arn for side in exclusive for arn in side.select("policyArns[*]")]
        if purpose is None and policies:
            yield Undetermined(path="assumeRolePolicy", resource=role)
        for arn in policies if purpose is not None else ():
            yield from _judge(arn, (purpose or "other",), facts, at=role)


IAM_11_STACK = StackRule(
    id="IAM-11",
    name="iam-managed-policies-by-purpose",
    title="A role carries the AWS managed policies of its purpose",
    tokens=(_ROLE,),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.1.3", "soc2:CC6.3"),
    why="what the CNI or a driver needs, on the node's role, is at the hands of every process on the node",
    fix="give AmazonEKS_CNI_Policy and drivers' policies to the service account's role, not to the node's",
    facts=ManagedFacts,
    check=_check_stack,
    traps=("AmazonEKS_CNI_Policy is right on the role of aws-node and wrong on the node's",),
)


def _check_ways(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for role in stack.of(_ROLE):
        separate, exclusive = _attached(stack, role)
        own = role.given("managedPolicyArns")
        if separate and (exclusive or (isinstance(own, Known) and own.elements())):
            wanted = "one of the two: the list removes what is attached apart"
            found = "an exclusive list beside separate attachments"
            yield Violation(path=own.path, found=found, wanted=wanted, resource=role)
        elif separate and isinstance(own, Unknown):
            yield Undetermined(path=own.path, resource=role)


IAM_11_WAYS = StackRule(
    id="IAM-11",
    name="iam-one-way-of-attaching",
    title="A role's managed policies are attached in one way",
    tokens=(_ROLE,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("soc2:CC6.3",),
    why="each run of the exclusive list removes what was attached apart: the role can do its work by turns",
    fix="use aws.iam.RolePolicyAttachment alone, or RolePolicyAttachmentsExclusive alone",
    facts=NoFacts,
    check=_check_ways,
    traps=("managedPolicyArns that the provider reads back are not written by the program",),
)
