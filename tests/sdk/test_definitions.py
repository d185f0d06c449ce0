"""The definitions that the program makes are those that SageMaker's own SDK would have sent."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.sdk import spelling
from tests.sdk.cases import CASES, both_ways
from tests.sdk.differences import NAMED, differences, unnamed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("case", CASES)
def test_the_sdk_sends_what_the_program_makes_but_for_what_the_table_names(case: str) -> None:
    pairs = both_ways(case)
    assert pairs
    for ours, sdk in pairs:
        assert unnamed(ours, sdk) == []


def test_every_difference_that_the_table_names_is_one() -> None:
    pairs = [pair for case in CASES for pair in both_ways(case)]
    found = {place for ours, sdk in pairs for place, _, _ in differences(ours, sdk)}
    assert found == {each.place for each in NAMED}


def leaves(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every innermost value, as the dictionary or list that holds it and its key there."""
    for name, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
        if isinstance(value, dict | list) and value:
            yield from leaves(value)
        else:
            yield part, name


def _within(place: str, named: set[str]) -> bool:
    return any(f"{place}.".startswith(f"{each}.") for each in named)


@pytest.mark.parametrize("case", ["prod", "a search"])
def test_no_value_that_the_sdk_sends_can_change_unnoticed(case: str) -> None:
    named, changed = {each.place for each in NAMED}, 0
    for ours, sdk in both_ways(case):
        edited = copy.deepcopy(ours)
        for holder, name in leaves(edited):
            kept, holder[name] = holder[name], {"changed": True}
            places = {place for place, _, _ in differences(edited, ours)}
            assert unnamed(edited, sdk) or all(_within(place, named) for place in places), places
            holder[name] = kept
            changed += 1
    assert changed > 300


def test_the_spelling_that_the_unit_tests_read_is_current() -> None:
    assert spelling.FILE.read_text(encoding="utf-8") == spelling.text(), "run `make spelling`"


def test_nothing_reaches_the_network_meanwhile() -> None:
    with pytest.raises(AssertionError, match="asked the network"):
        boto3.client("sts").get_caller_identity()
