"""Kubernetes RBAC: what roles grant and whom bindings name."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import test
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide
from guardrails.view import Missing, Unknown, Value, any_of

_PREFIX = "kubernetes:rbac.authorization.k8s.io/v1:"
_ROLE, _CLUSTER_ROLE = f"{_PREFIX}Role", f"{_PREFIX}ClusterRole"
_BINDING, _CLUSTER_BINDING = f"{_PREFIX}RoleBinding", f"{_PREFIX}ClusterRoleBinding"
_READ = {"get", "list", "watch"}
_WRITE = {"create", "update", "patch", "delete"}
_ESCALATION: tuple[tuple[set[str], set[str]], ...] = (
    ({"pods", "persistentvolumes"}, {"create"}),
    ({"pods/exec", "pods/attach"}, {"create", "get"}),
    ({"nodes/proxy"}, _READ | _WRITE),
    ({"serviceaccounts/token"}, {"create"}),
    ({"roles", "clusterroles"}, {"escalate", "bind"}),
    ({"users", "groups", "serviceaccounts", "userextras"}, {"impersonate"}),
    ({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"}, _WRITE),
    ({"certificatesigningrequests/approval"}, {"update", "patch"}),
    ({"signers"}, {"approve", "sign"}),
)
"""Resources and verbs that lead to more than they say (CIS EKS benchmark, section 4.1)."""
_EVERYBODY = {"system:masters", "system:authenticated", "system:unauthenticated", "system:anonymous"} | {
    "system:serviceaccounts"
}


@dataclass(frozen=True, slots=True)
class RbacFacts:
    """Roles and bindings that administer on purpose."""

    controller_urns: Annotated[
        tuple[str, ...], "Globs over URNs of roles and bindings of controllers that need such rights."
    ] = ()


def _has(rule: Value, element: str, wanted: set[str]) -> bool | None:
    return any_of(test(each, lambda text: text in wanted) for each in rule.select(f"{element}[*]"))


def _judge_rule(rule: Value, *, cluster_wide: bool) -> Iterator[Finding]:
    for element in ("verbs", "resources", "apiGroups", "nonResourceURLs"):
        for each in rule.select(f"{element}[*]"):
            if isinstance(each, Unknown):
                yield Undetermined(path=each.path)
            elif each.text() == "*" or (each.text() or "").startswith("*/"):
                yield Violation(path=each.path, found=each.text() or "", wanted="named ones")
    risks = [*_ESCALATION, *([({"secrets"}, _READ)] if cluster_wide else [])]
    for resources, verbs in risks:
        if _has(rule, "resources", resources) and _has(rule, "verbs", verbs):
            narrowed = not isinstance(rule.get("resourceNames"), Missing) and "create" not in verbs
            if not narrowed:
                found = f"{' or '.join(sorted(verbs))} on {' or '.join(sorted(resources))}"
                yield Violation(path=rule.path, found=found, wanted="rights that cannot grow")


def _check_binding(binding: Resource) -> Iterator[Finding]:
    role = binding.get("roleRef.name")
    ordinary = test(role, lambda text: text not in {"cluster-admin", "system:masters"})
    yield from decide(ordinary, role, found="cluster-admin", wanted="a role with the rights that are used")
    for subject in binding.select("subjects[*].name"):
        answer = test(subject, lambda text: text not in _EVERYBODY)
        yield from decide(answer, subject, found=subject.text() or "", wanted="named users, groups or service accounts")


def _check(resource: Resource, facts: RbacFacts) -> Iterator[Finding]:
    if any(fnmatchcase(resource.urn, glob) for glob in facts.controller_urns):
        return
    if resource.token in {_BINDING, _CLUSTER_BINDING}:
        yield from _check_binding(resource)
        return
    rules = resource.get("rules")
    if isinstance(rules, Unknown):
        yield Undetermined(path=rules.path)
        return
    for rule in rules.elements():
        yield from _judge_rule(rule, cluster_wide=resource.token == _CLUSTER_ROLE)
    if resource.token != _CLUSTER_ROLE:
        return
    for selector in resource.select("aggregationRule.clusterRoleSelectors[*]"):
        if not selector.items() and not isinstance(selector, Unknown):
            yield Violation(path=selector.path, found="a selector of every role", wanted="a label of roles of ours")


IAM_13 = ResourceRule(
    id="IAM-13",
    name="rbac-no-wildcard-or-escalation",
    title="Kubernetes roles name what they grant, and lead to nothing more",
    tokens=(_ROLE, _CLUSTER_ROLE, _BINDING, _CLUSTER_BINDING),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.1.1", "cis-eks:4.1.2", "cis-eks:4.1.3", "cis-eks:4.1.4", "cis-eks:4.1.8", "soc2:CC6.3"),
    why="a pod that may create pods, read every secret or bind roles is an administrator by another name",
    fix="list API groups, resources, resource names and verbs; bind to named subjects",
    facts=RbacFacts,
    check=_check,
    traps=(
        "secrets in one namespace are the business of a Role; a ClusterRole reads all of them",
        "resourceNames narrow get and update, not create",
        "an aggregated role holds what its selectors find; its own rules are filled in by the cluster",
        "RBAC inside charts cannot be seen here",
    ),
)
