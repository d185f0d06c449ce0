"""A rule says the same about a resource before and after its provider has checked it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi_policy.proxy import unknown_checking_proxy

from guardrails.documents import any_action, any_resource
from guardrails.networks import parse, reach_the_world
from guardrails.resources import Resource
from guardrails.view import UNKNOWN, Known, Unknown, value_of
from tests.policies.corpus import Case, cases

Raw = Any
DOCUMENTS = {"policy", "assumeRolePolicy", "defaultTags"}
TEXTS = DOCUMENTS | {"pipelineDefinition"}
"""JSON text; the provider takes documents as maps as well."""
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def as_map(raw: Raw) -> dict[str, Raw] | None:
    return cast("dict[str, Raw]", raw) if isinstance(raw, dict) else None


def everywhere(change: Callable[[str, Raw], Raw]) -> Callable[[Raw], Raw]:
    def rewrite(raw: Raw, key: str = "") -> Raw:
        entries = as_map(raw)
        if entries is not None:
            raw = {name: rewrite(each, name) for name, each in entries.items()}
        elif isinstance(raw, list):
            raw = [rewrite(each) for each in cast("list[Raw]", raw)]
        return change(key, raw)

    return rewrite


def defaults(key: str, raw: Raw) -> Raw:
    entries = as_map(raw)
    return raw if entries is None or key in DOCUMENTS else {**entries, "__defaults": []}


def floats(_key: str, raw: Raw) -> Raw:
    return float(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw


def reversed_keys(_key: str, raw: Raw) -> Raw:
    entries = as_map(raw)
    return raw if entries is None else dict(reversed(entries.items()))


def reformatted(key: str, raw: Raw) -> Raw:
    if key not in TEXTS or not isinstance(raw, str) or not raw.startswith("{") or raw == "{not json":
        return raw
    return json.dumps(json.loads(raw), indent=2, sort_keys=True)


def parsed(key: str, raw: Raw) -> Raw:
    return json.loads(raw) if key in DOCUMENTS and reformatted(key, raw) != raw else raw


def unset(key: str, raw: Raw) -> Raw:
    entries = as_map(raw)
    return raw if entries is None or key not in {"ebs", "rule"} else {**entries, "unset": None, "alsoUnset": ""}


def secret(key: str, raw: Raw) -> Raw:
    return {**SECRET, "value": raw} if key in TEXTS | {"variables", "data", "tags", "httpTokens"} else raw


def generated_name(raw: Raw) -> Raw:
    """No provider checks a component, so what registers no inputs gets none."""
    given_inputs = any(not key.startswith("__") for key in raw)
    return {"region": "eu-west-1", **raw, "namePrefix": "", "timeouts": UNKNOWN} if given_inputs else raw


def proxies(raw: Raw) -> Raw:
    return unknown_checking_proxy(raw)


CHANGES: dict[str, Callable[[Raw], Raw]] = {
    "defaults": everywhere(defaults),
    "floats": everywhere(floats),
    "reversed_keys": everywhere(reversed_keys),
    "reformatted": everywhere(reformatted),
    "parsed": everywhere(parsed),
    "unset": everywhere(unset),
    "secret": everywhere(secret),
    "generated_name": generated_name,
}


def raw_of(resource: Resource) -> dict[str, Raw]:
    return (as_map(resource.properties.raw) or {}) if isinstance(resource.properties, Known) else {}


def merged_tags(resource: Resource) -> Resource:
    """`tagsAll` as the provider merges it, when it knows all tags."""
    raw, tags = raw_of(resource), resource.get("tags")
    if "tagsAll" in raw or not isinstance(tags, Known) or any(isinstance(value, Unknown) for _, value in tags.items()):
        return resource
    default = resource.provider.get("defaultTags").json().get("tags")
    merged = {key: value.text() or "" for source in (default, tags) for key, value in source.items()}
    return replace(resource, properties=value_of({**raw, "tagsAll": merged}))


def changed(case: Case, names: list[str], *, merge: bool, proxy: bool) -> Case:
    def change(resource: Resource) -> Resource:
        raw: Raw = raw_of(merged_tags(resource) if merge else resource)
        for name in names:
            raw = CHANGES[name](raw)
        return replace(resource, properties=value_of(proxies(raw) if proxy else raw))

    return replace(case, resources=tuple(map(change, case.resources)))


@settings(max_examples=400)
@given(
    st.sampled_from(cases()),
    st.lists(st.sampled_from(sorted(CHANGES)), unique=True, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_the_verdict_survives_a_provider_s_check(case: Case, names: list[str], merge: bool, proxy: bool) -> None:
    before, after = case.judge(), changed(case, names, merge=merge, proxy=proxy).judge()
    assert after.outcome == before.outcome, (case.title, names, after)
    assert len(after.violations) == len(before.violations)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_each_change_changes_something(name: str) -> None:
    raws = [each.properties.raw for case in cases() for each in case.resources if isinstance(each.properties, Known)]
    assert any(repr(CHANGES[name](raw)) != repr(raw) for raw in raws)


def test_merging_tags_changes_something() -> None:
    resources = [each for case in cases() for each in case.resources]
    assert any(merged_tags(each) is not each for each in resources)


@given(st.integers(0, 32), st.data())
def test_the_world_in_pieces_is_the_world(depth: int, data: st.DataObject) -> None:
    world = parse("0.0.0.0/0")
    assert world is not None
    pieces = [world]
    for _ in range(min(depth, 6)):
        piece = data.draw(st.sampled_from(pieces))
        pieces = [each for each in pieces if each != piece] + [*piece.subnets()]
    assert reach_the_world(pieces)


@pytest.mark.parametrize("block", ["10.0.0.0/8", "172.16.0.0/12", "fd00::/8", "8.0.0.0/8", "2001:db8::/32"])
def test_private_space_and_one_organisation_s_space_are_not_the_world(block: str) -> None:
    network = parse(block)
    assert network is not None
    assert not reach_the_world([network])


@pytest.mark.parametrize("pattern", ["*", "**", "*:*", "**:*", "?*"])
def test_patterns_for_every_action(pattern: str) -> None:
    assert any_action(pattern)


@pytest.mark.parametrize("pattern", ["s3:*", "*:Get*", "s3:Get*", "iam:*", "sts:AssumeRole"])
def test_patterns_for_some_actions(pattern: str) -> None:
    assert not any_action(pattern)


@pytest.mark.parametrize("pattern", ["*", "arn:*", "arn:aws:*", "arn:aws-cn:*:*:*:*", "arn:*:*:*:*:*/*"])
def test_patterns_for_every_resource(pattern: str) -> None:
    assert any_resource(pattern)


@pytest.mark.parametrize("pattern", ["arn:aws:s3:::*", "arn:aws:iam::aws:*", "arn:aws:s3:::slipway-*", "a*", ""])
def test_patterns_for_some_resources(pattern: str) -> None:
    assert not any_resource(pattern)
