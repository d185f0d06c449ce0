"""Tags of what is made from templates: default tags of a provider do not reach it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation
from guardrails.view import Missing, Unknown, Value

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_GROUP = "aws:autoscaling/group:Group"
_NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
_STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_DRIVERS = ("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com")


@dataclass(frozen=True, slots=True)
class PropagationFacts:
    """Which tags must reach instances and volumes."""

    keys: Annotated[tuple[str, ...], "Keys that instances and volumes carry."] = (
        "Project",
        "Environment",
        "Owner",
        "CostCenter",
        "DataClassification",
    )


def _lacking(tags: Value, keys: tuple[str, ...]) -> Iterator[Finding]:
    missing = [key for key in keys if isinstance(tags.child(key), Missing)]
    if isinstance(tags, Unknown):
        yield Undetermined(path=tags.path)
    elif missing:
        yield Violation(path=tags.path, found=f"no {', '.join(missing)}", wanted="the tags of the configuration")


def _check_template(template: Resource, keys: tuple[str, ...]) -> Iterator[Finding]:
    listed = template.select("tagSpecifications[*]")
    if any(isinstance(each, Unknown) for each in listed):
        yield Undetermined(path="tagSpecifications")
        return
    for kind in ("instance", "volume"):
        tags = [each.child("tags") for each in listed if each.child("resourceType").text() == kind]
        yield from _lacking(tags[0] if tags else Missing(f"tagSpecifications[{kind}].tags"), keys)


def _check_storage(storage: Resource, keys: tuple[str, ...]) -> Iterator[Finding]:
    parameters = storage.get("parameters")
    given = [value for key, value in parameters.items() if key.startswith("tagSpecification_")]
    named = {(value.text() or "").partition("=")[0] for value in given}
    missing = [key for key in keys if key not in named]
    if missing and (isinstance(parameters, Unknown) or any(isinstance(each, Unknown) for each in given)):
        yield Undetermined(path=parameters.path)
    elif missing:
        wanted = "tagSpecification_1: Key=value, and so on"
        yield Violation(path=parameters.path, found=f"no {', '.join(missing)}", wanted=wanted)


def _check(resource: Resource, facts: PropagationFacts) -> Iterator[Finding]:
    if resource.token == _TEMPLATE:
        yield from _check_template(resource, facts.keys)
    elif resource.token == _NODE_CLASS:
        yield from _lacking(resource.get("spec.tags"), facts.keys)
    elif resource.token == _STORAGE_CLASS:
        if resource.get("provisioner").text() in _DRIVERS:
            yield from _check_storage(resource, facts.keys)
    else:
        listed = resource.select("tags[*]")
        reaching = {each.child("key").text() for each in listed if each.child("propagateAtLaunch").flag()}
        missing = [key for key in facts.keys if key not in reaching]
        if missing and any(isinstance(each, Unknown) or isinstance(each.child("key"), Unknown) for each in listed):
            yield Undetermined(path="tags")
        elif missing:
            yield Violation(path="tags", found=f"no {', '.join(missing)}", wanted="tags with propagateAtLaunch")


TAG_02 = ResourceRule(
    id="TAG-02",
    name="tag-propagation",
    title="Instances and volumes carry the tags of what made them",
    tokens=(_TEMPLATE, _GROUP, _NODE_CLASS, _STORAGE_CLASS),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("soc2:CC6.1", "gdpr:30"),
    why="instances and volumes are most of the bill, and nobody's without tags",
    fix="add tag_specifications for instance and volume, spec.tags, propagate_at_launch, tagSpecification_N",
    facts=PropagationFacts,
    check=_check,
    traps=("default tags of the provider reach the template, not what is launched from it",),
)
