"""Every value that a release passes was seen to do something, in the very version of the chart that is released."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from guardrails.images import image
from tests.support.recorded import ROOT, STACKS
from tests.support.releases import every_release
from tools.chart_values import CHOSEN_KEYS, FACTS, NEEDS_CLUSTER, Effect, entries, entry, leaves, spelled

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_RENDERED: Final = frozenset({"neuron-helm-chart"})
"""Charts that could not be read in the version that is released: AWS publishes this one as an image only."""

UNTRUSTED: Final = {
    "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin": "no stack of ours has the chart",
    "quay.io/thanos/thanos": "the operator is told of it, and nobody asks it for Thanos",
}
"""Images outside the registries that the policy names, each with the reason why none of them runs."""


def passed() -> dict[str, set[str]]:
    """Paths of values by chart and version."""
    found: dict[str, set[str]] = {}
    for release in every_release():
        paths = found.setdefault(f"{release.chart} {release.version}", set())
        paths |= {spelled(release.chart, path) for path, _ in leaves(release.values)}
    return {name: paths for name, paths in found.items() if name.partition(" ")[0] not in NOT_RENDERED}


def written() -> Mapping[str, dict[str, Any]]:
    return yaml.safe_load(FACTS.read_text("utf-8"))


def facts() -> Mapping[str, dict[str, str]]:
    return {name: each["values"] for name, each in written().items()}


def test_every_chart_was_rendered_in_each_version_that_a_stack_releases_and_no_other_is_listed() -> None:
    assert facts().keys() == passed().keys()


@pytest.mark.parametrize("name", sorted(facts()))
def test_every_value_that_is_passed_was_seen_to_do_something_and_no_other_is_listed(name: str) -> None:
    found = facts()[name]
    assert found.keys() == passed()[name], "render the chart again: docs/charts.md"
    assert set(found.values()) <= {Effect.CHANGES, Effect.DEFAULT, Effect.CLUSTER}
    needing = {path for path, effect in found.items() if effect == Effect.CLUSTER}
    assert needing == NEEDS_CLUSTER.get(name.partition(" ")[0], frozenset())


def test_a_key_that_the_stack_file_chooses_is_one_of_a_mapping_that_is_passed() -> None:
    listed = {name.partition(" ")[0]: values for name, values in facts().items()}
    for chart, mappings in CHOSEN_KEYS.items():
        for mapping in mappings:
            assert listed[chart][f"{mapping}.*"] == Effect.CHANGES


@pytest.mark.parametrize("stack", STACKS)
def test_the_policy_lets_the_images_of_every_chart_run(stack: str) -> None:
    config = json.loads((ROOT / "policies" / "config" / f"{stack}.json").read_text("utf-8"))
    trusted = tuple(config["image-pinned-trusted"]["registries"])
    images = {name for each in written().values() for name in each["images"]}
    assert {"public.ecr.aws/karpenter/controller", "docker.io/grafana/grafana"} <= images
    assert {name for name in images if not image(name).within(trusted)} == UNTRUSTED.keys()


def test_the_file_is_what_the_command_writes() -> None:
    text = FACTS.read_text("utf-8")
    for name, part in entries(text).items():
        chart, version = name.split(" ")
        kept = yaml.safe_load(part)[name]
        effects = {path: Effect(effect) for path, effect in kept["values"].items()}
        about = {key: kept[key] for key in ("images", "date", "source")}
        assert part == entry(chart, version, effects, **about)
    assert entries(text).keys() == facts().keys()


def test_charts_that_could_not_be_rendered_are_released_by_no_stack_of_ours() -> None:
    optional = [release for release in every_release() if release.chart in NOT_RENDERED]
    assert [release.chart for release in optional] == ["neuron-helm-chart"]
