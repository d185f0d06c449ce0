"""Rules speak of types and properties that the installed SDKs have."""

import importlib
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pulumi._types import input_type_types, is_input_type

from crossguard.taggable import TARGET, taggable
from guardrails.registry import all_rules
from guardrails.rule import EVERY_TYPE, AnyRule
from guardrails.view import Known, value_of
from tests.policies.corpus import cases

CUSTOM = re.compile(r"kubernetes:(elbv2\.k8s\.aws|karpenter(\.k8s\.aws|\.sh))/")
"""Types that a custom resource definition makes, which no SDK has."""

COMPUTED = {"id", "arn", "tagsAll"}
"""What only outputs have."""

COMMON = {"name", "bucket", "tags"}
"""What is looked for on every type: names that others refer to, and tags."""

RULES = [pytest.param(rule, id=rule.name) for rule in all_rules()]


@cache
def registered() -> dict[str, tuple[str, str]]:
    """Module and class by token, from the registrations in the SDKs' source (reading them imports nothing)."""
    found: dict[str, tuple[str, str]] = {}
    for package in ("pulumi_aws", "pulumi_eks", "pulumi_kubernetes"):
        spec = find_spec(package)
        assert spec is not None
        source = Path(spec.origin or "").read_text(encoding="utf-8")
        for block in re.findall(r'resource_modules="""\n(.*?)\n"""', source, re.DOTALL):
            for module in json.loads(block):
                found |= {token: (module["fqn"], name) for token, name in module["classes"].items()}
    return found


def args_of(token: str) -> Any:
    module_name, name = registered()[token]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pulumi_eks warns at import about a class of its own
        module = importlib.import_module(module_name)
    found = [getattr(module, each) for each in (f"{name}InitArgs", f"{name}Args") if hasattr(module, each)]
    return next(each for each in found if is_input_type(each))


def nested(annotation: Any) -> Any:
    """The input class somewhere inside `Optional[Input[Sequence[Input[…]]]]`, when there is one."""
    if isinstance(annotation, type) and is_input_type(annotation):
        return annotation
    return next((found for each in get_args(annotation) if (found := nested(each)) is not None), None)


def exists(token: str, path: tuple[str, ...]) -> bool:
    """Whether the input class of a type has a property path; below plain maps everything may exist."""
    current: Any = args_of(token)
    for key in path:
        if current is None:
            return True
        types = input_type_types(current)
        if key not in types:
            return False
        current = nested(types[key])
    return True


class Recorder(dict[str, object]):
    """A map that notes which keys are asked for, below a path."""

    def __init__(self, raw: dict[str, object], seen: set[tuple[str, ...]], path: tuple[str, ...] = ()) -> None:
        super().__init__({key: _recorded(value, seen, (*path, key)) for key, value in raw.items()})
        self._seen, self._path = seen, path

    def get(self, key: str, default: object = None, /) -> object:
        self._seen.add((*self._path, key))
        return super().get(key, default)


def _recorded(raw: object, seen: set[tuple[str, ...]], path: tuple[str, ...]) -> object:
    if isinstance(raw, dict):
        return Recorder(cast("dict[str, object]", raw), seen, path)
    if isinstance(raw, list):
        return [_recorded(each, seen, path) for each in cast("list[object]", raw)]
    return raw


def reads(rule: AnyRule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every property path that a rule asks for while it judges its cases."""
    for case in cases():
        if case.rule is not rule:
            continue
        seen: list[tuple[str, set[tuple[str, ...]]]] = []
        resources: list[Any] = []
        for each in case.resources:
            paths: set[tuple[str, ...]] = set()
            raw = cast("dict[str, object]", each.properties.raw) if isinstance(each.properties, Known) else {}
            resources.append(replace(each, properties=value_of(Recorder(raw, paths))))
            seen.append((each.token, paths))
        assert replace(case, resources=tuple(resources)).judge() == case.judge()
        for token, paths in seen:
            yield from ((token, path) for path in paths)


def in_document(path: tuple[str, ...]) -> bool:
    """IAM documents and provider maps are not the SDK's to know; nor are marks of the wire format."""
    return (
        any(part in {"policy", "assumeRolePolicy", "accessEntries"} for part in path[:-1])
        or re.fullmatch(r"[0-9a-f]{32}", path[-1]) is not None
    )


@pytest.mark.parametrize("rule", RULES)
def test_the_types_of_a_rule_exist_in_the_installed_sdks(rule: AnyRule) -> None:
    tokens = {token for token in set(rule.tokens) - {EVERY_TYPE} if not CUSTOM.match(token)}
    tokens |= {
        each.token for case in cases() if case.rule is rule for each in case.resources if each.token.startswith("aws:")
    }
    assert tokens <= set(registered())


@pytest.mark.parametrize("rule", RULES)
def test_the_properties_that_a_rule_reads_exist_in_the_installed_sdks(rule: AnyRule) -> None:
    read = set(reads(rule))
    judged = [(token, path) for token, path in read if token in registered() and not in_document(path)]
    wrong = {
        f"{token} {'.'.join(path)}"
        for token, path in judged
        if path[0] not in COMPUTED | COMMON and not exists(token, path)
    }
    assert not wrong
    assert read or rule.tokens == (EVERY_TYPE,), "a rule for every type walks instead of asking"


def test_a_token_or_property_with_a_typing_error_would_be_found() -> None:
    assert "aws:iam/rolepolicy:RolePolicy" not in registered()
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    assert exists(template, ("metadataOptions", "httpTokens"))
    assert not exists(template, ("metadataOptions", "httpToken"))
    assert not exists(template, ("metadata",))


def test_the_list_of_taggable_types_is_that_of_the_installed_sdk() -> None:
    listed = TARGET.read_text(encoding="utf-8").split()
    assert listed == taggable(), "run python -m crossguard.taggable in policies/"
    assert set(listed) <= set(registered())
    assert {"aws:s3/bucket:Bucket", "aws:eks/nodeGroup:NodeGroup", "aws:kms/key:Key"} <= set(listed)
    assert "aws:s3/bucketPolicy:BucketPolicy" not in listed
