"""Versions: what AWS still supports, and what cannot change by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require, show
from guardrails.view import Known, Missing, Value

_COMPONENT = "eks:index:Cluster"
_CLUSTER = "aws:eks/cluster:Cluster"
_ADDON = "aws:eks/addon:Addon"
_GROUPS = ("aws:eks/nodeGroup:NodeGroup", "eks:index:ManagedNodeGroup")
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_FUNCTION = "aws:lambda/function:Function"


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """Which versions may run."""

    kubernetes: Annotated[tuple[str, ...], "Minor versions of Kubernetes in standard support, such as 1.35."] = ()
    runtimes: Annotated[tuple[str, ...], "Runtimes of Lambda functions, such as python3.13."] = ()
    latest_images: Annotated[bool, "May Karpenter's nodes take the newest image by themselves?"] = False


def _listed(value: Value, allowed: tuple[str, ...], what: str) -> Iterator[Finding]:
    if not allowed and isinstance(value, Known):
        yield Undetermined(path=value.path, why=f"the configuration names no {what}")
    elif isinstance(value, Missing):
        yield Violation(path=value.path, found="nothing", wanted=f"one of {', '.join(allowed) or what}")
    else:
        yield from require(value, lambda each: _version(each) in allowed, f"one of {', '.join(allowed)}")


def _version(value: Value) -> str | None:
    """A minor version, which YAML without quotes reads as a number."""
    number = value.number()
    return value.text() or (None if number is None else f"{number:.2f}")


def _check_node_class(node_class: Resource, facts: VersionFacts) -> Iterator[Finding]:
    family = node_class.get("spec.amiFamily")
    if family.text() == "AL2":
        yield Violation(path=family.path, found="Amazon Linux 2", wanted="Amazon Linux 2023 or Bottlerocket")
    for name in () if facts.latest_images else node_class.select("spec.amiSelectorTerms[*].name"):
        if "*" in (name.text() or ""):
            yield Violation(path=name.path, found=show(name), wanted="one image, by its alias with a version or its id")
    for alias in node_class.select("spec.amiSelectorTerms[*].alias"):
        if not isinstance(alias, Missing) and not facts.latest_images:
            pinned = "a version, such as al2023@v20260101"
            yield from require(alias, lambda value: not (value.text() or "@latest").endswith("@latest"), pinned)
        if (alias.text() or "").startswith("al2@"):
            yield Violation(path=alias.path, found="Amazon Linux 2", wanted="Amazon Linux 2023 or Bottlerocket")


def _check(resource: Resource, facts: VersionFacts) -> Iterator[Finding]:
    token = resource.token
    if token == _CLUSTER or (token == _COMPONENT and resource.properties.items()):
        yield from _listed(resource.get("version"), facts.kubernetes, "versions of Kubernetes")
        support = resource.get("upgradePolicy.supportType")
        yield from require(support, lambda value: value.text() == "STANDARD", "STANDARD (AWS assumes EXTENDED)")
    elif token == _ADDON:
        yield from require(resource.get("addonVersion"), lambda value: value.text() is not None, "a version")
    elif token in _GROUPS:
        images = resource.get("amiType")
        supported = "an image of Amazon Linux 2023 or Bottlerocket"
        if not isinstance(images, Missing):
            yield from require(images, lambda value: not (value.text() or "").startswith("AL2_"), supported)
    elif token == _NODE_CLASS:
        yield from _check_node_class(resource, facts)
    elif token == _FUNCTION and not isinstance(resource.get("runtime"), Missing):
        yield from _listed(resource.get("runtime"), facts.runtimes, "runtimes of Lambda")


SUP_04 = ResourceRule(
    id="SUP-04",
    name="supported-versions",
    title="Kubernetes, add-ons, node images and runtimes are supported and pinned",
    tokens=(_COMPONENT, _CLUSTER, _ADDON, *_GROUPS, _NODE_CLASS, _FUNCTION),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:EKS.2", "fsbp:Lambda.2", "soc2:CC7.1"),
    why="what AWS no longer supports gets no fixes, and what is not pinned changes on a day that AWS chooses",
    fix="set a supported version, upgradePolicy STANDARD, addonVersion, an AL2023 image type, a pinned image alias",
    facts=VersionFacts,
    check=_check,
    traps=(
        "a node group without amiType gets Amazon Linux 2023",
        "AL2023_x86_64_STANDARD is not Amazon Linux 2",
        "a component that registers no inputs is judged by its children; functions from images have no runtime",
    ),
)
