"""What values do to a chart: told apart by what is rendered without them, and with others."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from tools import chart_values
from tools.chart_values import Effect, effect, effects, entries, entry, images_in, is_version, leaves, select, spelled
from tools.commands import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASE = {"chart": "probe", "version": "1.2.0", "name": "r", "namespace": "n", "crds": False}


def rendered(values: Mapping[str, Any]) -> str:
    """A chart by heart: three replicas unless told otherwise, a name only when it is switched on."""
    switched = values.get("named", {}).get("on", False)
    return f"{values.get('replicas', 3)} {values.get('labels', {})} {values['named'].get('name') if switched else ''}"


def differs(values: Mapping[str, Any]) -> chart_values.Differs:
    def changes(changed: Mapping[str, Any]) -> bool:
        return rendered(changed) != rendered(values)

    return changes


@pytest.mark.parametrize(
    ("values", "path", "found"),
    [
        ({"replicas": 2}, ("replicas",), Effect.CHANGES),
        ({"replicas": 3}, ("replicas",), Effect.DEFAULT),
        ({"replica": 2}, ("replica",), Effect.UNREAD),
        ({"named": {"on": False, "name": "a"}}, ("named", "name"), Effect.UNREAD),
        ({"labels": {"a.b/c": ["x"]}}, ("labels", "a.b/c", 0), Effect.CHANGES),
    ],
)
def test_a_value_changes_something_or_is_the_default_or_is_not_read(
    values: Mapping[str, Any], path: chart_values.Steps, found: Effect
) -> None:
    before = json.dumps(values)
    assert effect(differs(values), values, path) is found
    assert json.dumps(values) == before


def test_of_several_releases_a_value_counts_that_does_something_in_one() -> None:
    every = [
        {**RELEASE, "values": {"replicas": 3, "named": {"on": on, "name": "a"}, "labels": {"a": "b"}}}
        for on in (False, True)
    ]
    found = effects(every, lambda release: differs(release["values"]))
    assert found == {
        "replicas": Effect.DEFAULT,
        "labels.a": Effect.CHANGES,
        "named.name": Effect.CHANGES,
        "named.on": Effect.CHANGES,
    }


def test_a_value_that_nothing_reads_spoils_its_path() -> None:
    every = [{**RELEASE, "values": {"named": {"on": on, "name": name}}} for on, name in ((False, "a"), (True, "b"))]
    assert effects(every, lambda release: differs(release["values"]))["named.name"] is Effect.UNREAD


def test_paths_are_spelled_for_helm_without_positions_and_without_keys_of_the_stack_file() -> None:
    values = {"config": {"map": {"a": "x", "b.c": "y"}}, "tolerations": [{"key": "k"}], "none": [], "a.b/c": 1}
    found = [spelled("nvidia-device-plugin", path) for path, _ in leaves(values)]
    assert found == ["config.map.*", "config.map.*", "tolerations[].key", "none", "a\\.b/c"]
    assert spelled("other", ("config", "map", "a")) == "config.map.a"


def test_what_is_written_about_a_chart_is_found_again() -> None:
    today = dt.date(2026, 11, 22)
    effects_ = {"x": Effect.CHANGES, "y\\.z[].k": Effect.DEFAULT}
    first, second = (
        entry("a", version, effects_, images=images, date=today, source='the "publisher"')
        for version, images in (("v1.0.0", []), ("v1.1.0-eksbuild.2", ["quay.io/a/b"]))
    )
    found = entries(f"# head\n\n{first}\n{second}")
    assert found == {"a v1.0.0": first, "a v1.1.0-eksbuild.2": second}
    assert chart_values.answers(second) == ["- quay.io/a/b", "x: changes", "y\\.z[].k: default"]


@pytest.mark.parametrize(
    ("pinned", "found"),
    [
        ("1.2.0", True),
        ("v1.2.0", True),
        ("1.2.1", False),
        ("7.0.0", False),
        ("v7.0.0-eksbuild.3", True),
        ("v1.2.0-eksbuild.1", True),
        ("v1.3.0-eksbuild.1", False),
    ],
)
def test_a_chart_is_known_by_its_version_and_an_add_on_by_that_of_what_it_installs(pinned: str, found: bool) -> None:
    assert is_version(pinned, {"version": "v1.2.0", "appVersion": "7.0.0"}) is found


def test_a_chart_of_another_version_is_refused_with_what_the_program_installs() -> None:
    with pytest.raises(SetupError, match=r"nothing that the program installs\. It does: probe 1\.2\.0"):
        select([RELEASE], "probe", {"version": "1.3.0"})
    assert select([RELEASE], "probe", {"version": "1.2.0"}) == [RELEASE]


def test_images_are_found_in_fields_and_arguments_and_addresses_are_none() -> None:
    manifests = """
image: "quay.io/a/b:v1.2@sha256:{digest}"
- image: registry.example.com/c/d:1.0
- --reloader=ghcr.io/e/f:v3
- --url=http://prometheus.monitoring.svc:9090/api:8
- image: quay.io/a/b:v2
runbook: https://runbooks.example.com/runbooks/alert
""".format(digest="0" * 64)
    assert images_in(manifests) == ["ghcr.io/e/f", "quay.io/a/b", "registry.example.com/c/d"]
