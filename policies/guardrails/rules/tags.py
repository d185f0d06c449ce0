"""Tags: whose a resource is, what it is for, and what data it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, show
from guardrails.view import Missing, Unknown

TAGGABLE = tuple((files("guardrails") / "taggable.txt").read_text(encoding="utf-8").split())
"""The AWS types with `tags` and `tagsAll`, generated from the SDK by `crossguard.taggable`."""


def _data_classes() -> dict[str, tuple[str, ...]]:
    return {"DataClassification": ("public", "internal", "confidential", "restricted")}


@dataclass(frozen=True, slots=True)
class TagFacts:
    """Which tags the organisation asks for."""

    required: Annotated[tuple[str, ...], "Keys that every taggable resource has."] = (
        "Project",
        "Environment",
        "Owner",
        "CostCenter",
        "DataClassification",
    )
    environment: Annotated[str, "The value of the Environment tag; empty for any."] = ""
    values: Annotated[Mapping[str, tuple[str, ...]], "Allowed values by key; any value where a key is not named."] = (
        field(default_factory=_data_classes)
    )
    remedies: Annotated[Mapping[str, str], "Values that remediation adds for missing keys."] = field(
        default_factory=dict[str, str]
    )

    def allowed(self, key: str) -> tuple[str, ...]:
        """The values that a key may have; empty for any."""
        return (self.environment,) if key == "Environment" and self.environment else tuple(self.values.get(key, ()))


def _check(resource: Resource, facts: TagFacts) -> Iterator[Finding]:
    for key in facts.required:
        value, allowed = resource.tag(key), facts.allowed(key)
        if isinstance(value, Unknown):
            whole = resource.get("tags"), resource.get("tagsAll")
            if allowed or any(isinstance(each, Unknown) for each in whole):
                yield Undetermined(path=value.path)
        elif isinstance(value, Missing) or (allowed and value.text() not in allowed):
            wanted = " or ".join(allowed) if allowed else "a value"
            yield Violation(path=value.path, found=show(value), wanted=wanted)


def _remedy(resource: Resource, facts: TagFacts) -> Mapping[tuple[str, ...], object]:
    """Missing keys with a known remedy, in both maps, because what is remedied is not checked by the provider again."""
    if any(isinstance(resource.get(tags), Unknown) for tags in ("tags", "tagsAll")):
        return {}
    missing = [key for key in facts.required if key in facts.remedies and isinstance(resource.tag(key), Missing)]
    return {(tags, key): facts.remedies[key] for key in missing for tags in ("tags", "tagsAll")}


TAG_01 = ResourceRule(
    id="TAG-01",
    name="required-tags",
    title="Every taggable resource says whose it is and what data it holds",
    tokens=TAGGABLE,
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.REMEDIATE, prod=Level.MANDATORY),
    frameworks=("fsbp:EKS.6", "soc2:CC6.1", "gdpr:30"),
    why="costs, alarms and data subjects' requests cannot be answered for a resource that nobody owns",
    fix="set the key in default_tags of the provider, or in tags of the resource",
    facts=TagFacts,
    check=_check,
    remedy=_remedy,
    traps=(
        "the provider's default tags count, and arrive as JSON text",
        "an empty value is no value; keys that start with __ belong to the engine",
    ),
)
