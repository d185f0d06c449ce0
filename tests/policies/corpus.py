"""The cases in `cases/*.yaml`: what each rule must say about which resources.

`!unknown` stands for a value that only the deployment will tell. A case of a resource rule has `type`, `properties` and
perhaps `provider`; one of a stack rule has `resources`, whose `dependencies` and `parent` name others of the case.

Instead of `properties`, a workload has `pod` (the pod's spec, to which `paths` are then relative; `/` stands for the
workload itself) and perhaps `metadata`. Cases with a `pod` and no `type` take turns over the kinds that make pods.

A pipeline of SageMaker has `definition` instead, which becomes the JSON text of its `pipelineDefinition`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from guardrails.evaluation import Verdict, judge_resource, judge_stack
from guardrails.jobs import PIPELINE
from guardrails.packconfig import settings_of
from guardrails.pods import POD, TEMPLATES
from guardrails.registry import all_rules
from guardrails.resources import Resource, Stack
from guardrails.rule import AnyRule, ResourceRule
from guardrails.view import UNKNOWN, Missing, value_of

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One expectation."""

    rule: AnyRule
    title: str
    resources: tuple[Resource, ...]
    facts: Mapping[str, Any]
    verdict: str
    paths: tuple[str, ...]
    urns: tuple[str, ...]
    """URNs of the findings, when the case states them."""

    def judge(self) -> Verdict:
        """What the rule says."""
        settings = settings_of(self.rule, self.facts)
        if isinstance(self.rule, ResourceRule):
            return judge_resource(self.rule, self.resources[0], settings)
        return judge_stack(self.rule, Stack(self.resources), settings)


class _Loader(yaml.SafeLoader):
    """YAML with `!unknown`."""


def _unknown(_loader: yaml.SafeLoader, _node: yaml.Node) -> str:
    return UNKNOWN


_Loader.add_constructor("!unknown", _unknown)


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:prod::slipway::{token}::{name}"


@cache
def cases() -> tuple[Case, ...]:
    """Every case of every rule."""
    rules = {rule.name: rule for rule in all_rules()}
    found: list[Case] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        with path.open(encoding="utf-8") as stream:
            content = yaml.load(stream, _Loader)  # noqa: S506 - a safe loader with one more tag
        rule = rules[content["rule"]]
        turn = count()
        for raw in content["resource" if isinstance(rule, ResourceRule) else "stack"]:
            if "pod" in raw and "type" not in raw:
                raw["type"] = _MANAGED[next(turn) % len(_MANAGED)]
            if "definition" in raw:
                raw |= {"type": PIPELINE, "properties": {"pipelineDefinition": json.dumps(raw["definition"])}}
            found.append(_case(rule, raw))
    return tuple(found)


_MANAGED = sorted(set(TEMPLATES) - {POD})


def _workload(raw: dict[str, Any]) -> dict[str, Any]:
    """Properties of a workload of some kind around a pod's spec."""
    steps = [step for step in f"{TEMPLATES[raw['type']]}.spec".split(".") if step]
    nested: dict[str, Any] = reduce(lambda inner, step: {step: inner}, reversed(steps), raw["pod"])
    return {"metadata": raw.get("metadata", {}), **nested}


def _below(raw: dict[str, Any], path: str) -> str:
    """A path of a case's pod, from the workload's properties down."""
    prefix = f"{TEMPLATES[raw['type']]}.spec".removeprefix(".") if "pod" in raw else ""
    return path[1:] if path.startswith("/") else ".".join(each for each in (prefix, path) if each)


def _case(rule: AnyRule, raw: dict[str, Any]) -> Case:
    listed: list[dict[str, Any]] = raw.get("resources") or [{"name": "subject", **raw}]
    urns = {each["name"]: urn(each["type"], each["name"]) for each in listed}
    return Case(
        rule=rule,
        title=raw["title"],
        resources=tuple(_resource(each, urns) for each in listed),
        facts=raw.get("facts", {}),
        verdict=raw["verdict"],
        paths=tuple(_below(raw, path) for path in raw.get("paths", ())),
        urns=tuple(urns[name] for name in raw.get("urns", ())),
    )


def _resource(raw: dict[str, Any], urns: dict[str, str]) -> Resource:
    return Resource(
        token=raw["type"],
        urn=urns[raw["name"]],
        name=raw["name"],
        properties=value_of(_workload(raw) if "pod" in raw else raw["properties"]),
        provider=value_of(raw["provider"], "provider") if "provider" in raw else Missing("provider"),
        parent=urns[raw["parent"]] if "parent" in raw else None,
        protect=raw.get("protect", False),
        dependencies={key: tuple(urns[each] for each in names) for key, names in raw.get("dependencies", {}).items()},
    )
