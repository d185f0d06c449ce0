"""EKS: who administers the cluster."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import test
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, decide, require
from guardrails.view import Value, all_of

_COMPONENT = "eks:index:Cluster"
_CLUSTER = "aws:eks/cluster:Cluster"
_ENTRY = "aws:eks/accessEntry:AccessEntry"
_ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """How people get into clusters."""

    authentication_modes: Annotated[tuple[str, ...], "Accepted authentication modes of clusters."] = ("API",)
    creator_admin: Annotated[bool, "May whoever creates a cluster administer it?"] = False
    admin_policies: Annotated[tuple[str, ...], "Names of access policies that only administrators get."] = (
        "AmazonEKSClusterAdminPolicy",
    )
    admin_principals: Annotated[tuple[str, ...], "Globs over ARNs of the administrators."] = ()


def _check_cluster(cluster: Resource, facts: AccessFacts) -> Iterator[Finding]:
    if cluster.token == _COMPONENT:
        if cluster.properties.items():
            mode = cluster.get("authenticationMode")
            yield from require(mode, lambda value: value.text() in facts.authentication_modes, "API")
            yield from _check_entries(cluster, facts)
        return
    access = cluster.get("accessConfig")
    mode, creator = access.get("authenticationMode"), access.get("bootstrapClusterCreatorAdminPermissions")
    yield from require(mode, lambda value: value.text() in facts.authentication_modes, "API")
    if not facts.creator_admin:
        yield from require(creator, lambda value: value.flag() is False, "false (AWS assumes true)")


def _check_entries(component: Resource, facts: AccessFacts) -> Iterator[Finding]:
    """Who gets into the cluster by the inputs of the component."""
    mappings = [*component.select("roleMappings[*]"), *component.select("userMappings[*]")]
    for entry in dict(component.get("accessEntries").items()).values():
        yield from _ordinary(entry.select("kubernetesGroups[*]"))
        for association in dict(entry.child("accessPolicies").items()).values():
            yield from _administers(association.child("policyArn"), entry.child("principalArn"), facts)
    yield from _ordinary(group for mapping in mappings for group in mapping.select("groups[*]"))


def _ordinary(groups: Iterable[Value]) -> Iterator[Finding]:
    for group in groups:
        answer = test(group, lambda text: text != _MASTERS)
        yield from decide(answer, group, found=_MASTERS, wanted="a group that a role binding names")


def _administers(policy: Value, principal: Value, facts: AccessFacts) -> Iterator[Finding]:
    """Administration goes to listed principals only."""
    admin = test(policy, lambda arn: arn.rpartition("/")[2] in facts.admin_policies)
    stranger = test(principal, lambda arn: not any(fnmatchcase(arn, glob) for glob in facts.admin_principals))
    both = all_of([admin, stranger])
    found = f"{(policy.text() or '').rpartition('/')[2]} for {principal.text()}"
    wanted = "a principal that the configuration lists as administrator, or a narrower policy"
    yield from decide(None if both is None else not both, principal, found=found, wanted=wanted)


def _check(resource: Resource, facts: AccessFacts) -> Iterator[Finding]:
    if resource.token in {_COMPONENT, _CLUSTER}:
        yield from _check_cluster(resource, facts)
    elif resource.token == _ENTRY:
        yield from _ordinary(resource.select("kubernetesGroups[*]"))
    else:
        yield from _administers(resource.get("policyArn"), resource.get("principalArn"), facts)


IAM_12 = ResourceRule(
    id="IAM-12",
    name="eks-access-least-privilege",
    title="Access entries decide who uses a cluster, and listed principals alone administer it",
    tokens=(_COMPONENT, _CLUSTER, _ENTRY, _ASSOCIATION),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.1.1", "cis-eks:4.1.7", "cis-eks:5.5.1", "soc2:CC6.2"),
    why="an administrator whom nobody listed, the creator above all, is found by nobody and removed by nobody",
    fix="set access_config with mode API and no administration for the creator; list administrators in configuration",
    facts=AccessFacts,
    check=_check,
    traps=(
        "the creator is an administrator unless the cluster says otherwise",
        "the pulumi-eks component makes its creator an administrator; a transform has to take that back",
        "system:masters cannot be revoked by removing a binding",
    ),
)
