"""Every rule: a file that breaks it, the line that the user reads, and a file that only just keeps it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from settings.places import INTERFACE_ENDPOINTS, REGIONS
from settings.rules import ITEM_RULES, RULES
from tests.settings.cases import BROKEN, KEPT, Case
from tests.settings.stacks import changed, problems, settings_of
from tests.support.optional import PEERING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.model import Settings
    from settings.problems import Finding

ALL_RULES: Final = [*RULES, *(rule for rules, _ in ITEM_RULES for rule in rules)]
NAMES: Final = {rule.__name__ for rule in ALL_RULES}
LISTS: Final = [", ".join(sorted(names)) for names in (INTERFACE_ENDPOINTS, *REGIONS.values())]


def apply(name: str, settings: Settings) -> Iterator[Finding]:
    """Yield what the rule `name` alone finds in `settings`."""
    for rule in RULES:
        if rule.__name__ == name:
            yield from rule(settings)
    for rules, count in ITEM_RULES:
        for rule in rules:
            if rule.__name__ == name:
                for index in range(count(settings)):
                    yield from rule(settings, index)


def test_every_rule_has_a_name_of_its_own_a_file_that_breaks_it_and_one_that_keeps_it() -> None:
    assert len(NAMES) == len(ALL_RULES)
    assert {case.rule for case in BROKEN} == {case.rule for case in KEPT} == NAMES


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_a_broken_rule_gives_its_line_and_no_other(case: Case) -> None:
    (line,) = problems(case.content)
    assert line in {case.line.replace("…", names) for names in LISTS}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_the_line_comes_from_the_rule_that_the_case_names(case: Case) -> None:
    (finding,) = apply(case.rule, settings_of(case.content))
    assert case.line.endswith(finding.remedy)


@pytest.mark.parametrize("case", KEPT, ids=str)
def test_a_kept_rule_says_nothing(case: Case) -> None:
    assert problems(case.content) == []


@pytest.mark.parametrize(
    ("ranges", "union"),
    [
        (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0"),
        (["8.8.0.0/17", "8.8.128.0/17"], "8.8.0.0/16"),
        (["8.8.0.0/18", "8.8.64.0/18", "8.8.128.0/17"], "8.8.0.0/16"),
    ],
)
def test_public_ranges_that_are_wide_only_together_are_all_named(ranges: list[str], union: str) -> None:
    lines = problems(changed({"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ranges}))
    for line, cidr in zip(lines, ranges, strict=True):
        assert f"found {cidr}, together with the others {union} " in line
        assert line.endswith("such as a /29")


def test_a_small_range_beside_a_wide_pair_is_left_alone() -> None:
    ranges = ["8.8.0.0/17", "8.8.128.0/17", "1.1.1.1/32"]
    lines = problems(changed({"cluster.publicEndpoint": True, "cluster.publicEndpointCidrs": ranges}))
    assert [line.split(" · ")[0] for line in lines] == [f"slipway:cluster.publicEndpointCidrs[{n}]" for n in (0, 1)]


def test_everything_that_is_wrong_with_connections_is_told_at_once() -> None:
    nothing: dict[str, Any] = {"routeTableIds": [], "runtimeEndpointGroup": None, "jobGroups": []}
    peering: dict[str, Any] = {**PEERING, "cidr": "10.48.0.0/16", **nothing}
    lines = problems(changed({"network.peerings": [peering, {**peering, "cidr": "10.0.0.0/8", "vpcId": "other"}]}))
    places = Counter(line.partition(" · ")[0].removeprefix("slipway:network.peerings") for line in lines)
    each = {f"[{index}]{place}": 1 for index in (0, 1) for place in ("", ".cidr", ".routeTableIds")}
    # The second range is too wide, and overlaps both others.
    assert places == {**each, "[1].cidr": 3, "[1].vpcId": 1}


def test_zones_are_not_judged_by_a_region_that_does_not_exist() -> None:
    (line,) = problems(changed({"environment.region": "us-esat-1"}))
    assert line.endswith("write us-west-1 or us-east-1")


def test_a_region_of_another_partition_names_both_ways_out() -> None:
    zones = ["cn-north-1a", "cn-north-1b"]
    (line,) = problems(changed({"environment.region": "cn-north-1", "network.zones": zones}))
    assert line.endswith("write partition: aws-cn, or a region of aws")
