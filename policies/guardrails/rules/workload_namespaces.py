"""Namespaces: what they refuse, and what belongs into one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from guardrails.pods import WORKLOADS, namespace_of
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
from guardrails.view import Known, Missing, Unknown, Value

_NAMESPACE = "kubernetes:core/v1:Namespace"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_NAMESPACED = (
    *WORKLOADS,
    *(f"kubernetes:core/v1:{kind}" for kind in ("ConfigMap", "Secret", "Service", "ServiceAccount")),
    *(f"kubernetes:core/v1:{kind}" for kind in ("PersistentVolumeClaim", "LimitRange", "ResourceQuota")),
    *(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "RoleBinding")),
    *(f"kubernetes:networking.k8s.io/v1:{kind}" for kind in ("Ingress", "NetworkPolicy")),
    "kubernetes:policy/v1:PodDisruptionBudget",
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
)
_PREFIX = "pod-security.kubernetes.io"
_MODES = ("enforce", "audit", "warn")
_STANDARDS = ("privileged", "baseline", "restricted")
_GIVEN = ("kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """Which namespaces hold the platform, and how far their pods may go."""

    infrastructure: Annotated[
        Mapping[str, str], "By namespace: privileged or baseline, the weakest standard that it may enforce."
    ] = field(default_factory=dict[str, str])

    def wanted(self, namespace: str | None) -> tuple[str, ...]:
        """The standards that a namespace may enforce."""
        weakest = self.infrastructure.get(namespace or "", "restricted")
        return _STANDARDS[_STANDARDS.index(weakest) :] if weakest in _STANDARDS else _STANDARDS[-1:]


def _label(namespace: Resource, name: str) -> Value:
    return namespace.get("metadata.labels").child(f"{_PREFIX}/{name}")


def _check_object(resource: Resource, facts: NamespaceFacts) -> Iterator[Finding]:
    if resource.token != _NAMESPACE:
        place = resource.get("namespace") if resource.token == _RELEASE else resource.get("metadata.namespace")
        yield from require(place, lambda value: value.text() not in {None, "default"}, "a namespace of its own")
        return
    name = resource.get("metadata.name").text()
    standards = facts.wanted(name)
    for mode in _MODES:
        yield from require(_label(resource, mode), lambda value: value.text() in standards, " or ".join(standards))
    pinned = _label(resource, "enforce-version")
    yield from require(pinned, lambda value: value.text() not in {None, "latest"}, "a version such as v1.35")


def _remedy(resource: Resource, facts: NamespaceFacts) -> Mapping[tuple[str, ...], object]:
    """The labels that are missing; one that is there, however weak, was somebody's decision."""
    if resource.token != _NAMESPACE or isinstance(resource.get("metadata.labels"), Unknown):
        return {}
    standard = facts.wanted(resource.get("metadata.name").text())[0]
    return {
        ("metadata", "labels", f"{_PREFIX}/{mode}"): standard
        for mode in _MODES
        if isinstance(_label(resource, mode), Missing)
    }


K8S_08 = ResourceRule(
    id="K8S-08",
    name="namespace-guardrails",
    title="Namespaces refuse pods that are not restricted, and nothing lives in `default`",
    tokens=(_NAMESPACE, _RELEASE, *_NAMESPACED),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.REMEDIATE, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.5.1", "cis-eks:4.5.2", "soc2:CC6.1"),
    why="the API server then refuses what any other tool, chart or person would slip in",
    fix="label the namespace pod-security.kubernetes.io/{enforce,audit,warn}: restricted and enforce-version: v1.NN",
    facts=NamespaceFacts,
    check=_check_object,
    remedy=_remedy,
    traps=(
        "a namespace that is not written is default",
        "latest is no pinned version: the next upgrade would tighten the standard by surprise",
        "the remedy adds missing labels only, and no version",
    ),
)


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """Which namespaces hold what they hold by decision of the platform alone."""

    left_out: Annotated[tuple[str, ...], "Namespaces of controllers, into which no team puts pods."] = ()


_QUOTAS = ("kubernetes:core/v1:ResourceQuota", "kubernetes:core/v1:LimitRange")


def _inside(side: Resource, namespace: Resource) -> bool | None:
    """Whether an object lives in a namespace, by name or by the dependency of its metadata."""
    place, name = namespace_of(side), namespace.get("metadata.name")
    if place.text() is not None and name.text() is not None:
        return place.text() == name.text()
    edges = (*side.dependencies.get("metadata", ()), *side.dependencies.get("metadata.namespace", ()))
    return True if namespace.urn in edges else None


def _scoped(side: Resource) -> bool:
    """Whether a quota counts some pods only, such as those of one priority class."""
    scopes = ("scopes", "scopeSelector") if side.token == _QUOTAS[0] else ()
    return any(isinstance(side.get(f"spec.{name}"), Known) for name in scopes)


def _check_quota(stack: Stack, facts: QuotaFacts) -> Iterator[Finding]:
    for namespace in stack.of(_NAMESPACE):
        if namespace.get("metadata.name").text() in {*_GIVEN, *facts.left_out}:
            continue
        for token in _QUOTAS:
            answers = [_inside(each, namespace) for each in stack.of(token) if not _scoped(each)]
            kind = token.rpartition(":")[2]
            if None in answers and True not in answers:
                yield Undetermined(path="metadata.namespace", resource=namespace)
            elif True not in answers:
                yield Violation(path="", found=f"no {kind}", wanted=f"a {kind}", resource=namespace)


K8S_08_QUOTA = StackRule(
    id="K8S-08",
    name="namespace-quota",
    title="Every namespace has a quota, and defaults for containers that state no limits",
    tokens=(_NAMESPACE,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.5.1", "soc2:A1.1"),
    why="without a quota one namespace can take what all others need",
    fix="add kubernetes.core.v1.ResourceQuota and kubernetes.core.v1.LimitRange to the namespace",
    facts=QuotaFacts,
    check=_check_quota,
    traps=(
        "the namespaces that Kubernetes makes itself are left out",
        "a quota of some scopes only bounds no namespace",
    ),
)
