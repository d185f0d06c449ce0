"""The evaluator of lifecycle rules answers what AWS' user guide says, and finds rules that remove what serves."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.support.expiry import Image, expired_images, expired_objects
from tests.support.expiry_histories import MODEL, History, Rules, declared


def policy(*selections: dict[str, Any]) -> str:
    """A policy of rules in the order of their priorities."""
    rules = enumerate(selections, start=1)
    return json.dumps(
        {"rules": [{"rulePriority": at, "selection": each, "action": {"type": "expire"}} for at, each in rules]}
    )


def more_than(count: int, *patterns: str) -> dict[str, Any]:
    of: dict[str, Any] = {"tagStatus": "tagged", "tagPatternList": list(patterns)} if patterns else {"tagStatus": "any"}
    return {**of, "countType": "imageCountMoreThan", "countNumber": count}


def older_than(days: int, **of: Any) -> dict[str, Any]:
    return {**of, "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}


def image(digest: str, days_ago: float, *tags: str, index: str = "") -> Image:
    return Image(digest=digest, pushed=-days_ago, tags=frozenset(tags), index=index)


GUIDE = (image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"), image("C", 8, "beta-3"))
"""The repository of the guide's examples ("Filtering on multiple rules")."""


@pytest.mark.parametrize(
    ("rules", "images", "gone"),
    [
        ((more_than(1, "prod*"), more_than(1, "beta*")), GUIDE, {"A"}),
        ((more_than(1, "beta*"), more_than(1, "prod*")), GUIDE, {"A", "B"}),
        ((more_than(1, "beta*", "prod*"),), GUIDE, {"A"}),
        ((more_than(1, "prod*"), more_than(1)), GUIDE, {"A"}),
        ((older_than(14, tagStatus="untagged"),), (image("A", 15, "v1"), image("B", 15), image("C", 14)), {"B"}),
        ((older_than(1, tagStatus="tagged", tagPrefixList=["v"]),), (image("A", 2, "v1"), image("B", 2, "w")), {"A"}),
        ((older_than(1, tagStatus="untagged"),), (image("A", 9, "v1"), image("B", 9, index="A")), set[str]()),
        ((older_than(1, tagStatus="untagged"),), (image("B", 9, index="A"),), {"B"}),
    ],
)
def test_images_go_as_the_guide_says(rules: Any, images: Any, gone: set[str]) -> None:
    assert expired_images(policy(*rules), images, 0.0) == gone


@pytest.mark.parametrize(
    "rules",
    [
        (more_than(1), more_than(1, "v*")),
        (older_than(1, tagStatus="untagged"), older_than(2, tagStatus="untagged")),
        (older_than(1, tagStatus="untagged", tagPrefixList=["v"]),),
        ({"tagStatus": "untagged", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 1},),
    ],
)
def test_a_policy_that_ecr_or_this_does_not_take_is_refused(rules: Any) -> None:
    with pytest.raises(ValueError, match=r"^(two|a rule|one list|unknown)"):
        expired_images(policy(*rules), GUIDE, 0.0)


def test_objects_go_by_prefix_and_age_and_other_rules_are_refused() -> None:
    rule = {"status": "Enabled", "filter": {"and": {"prefix": "m/data/", "objectSizeGreaterThan": 2}}}
    objects = {"m/data/1": 0.0, "m/data/2": 5.0, "m/jobs/1": 0.0}
    assert expired_objects([rule | {"expiration": {"days": 10}}], objects, 10.0) == {"m/data/1"}
    assert expired_objects([rule, rule | {"status": "Disabled", "expiration": {"days": 1}}], objects, 90.0) == set()
    with pytest.raises(ValueError, match=r"^unknown rule"):
        expired_objects([rule | {"filter": {"tag": {"key": "a"}}}], objects, 10.0)


def broken(rules: Rules, histories: int = 200) -> list[str]:
    """What goes wrong in histories under such rules."""
    found = (History(random.Random(seed), rules).play(40) for seed in range(histories))  # noqa: S311 - repeatable
    return [each for each in found if each]


def removed(prefix: str, days: int) -> list[dict[str, Any]]:
    return [{"status": "Enabled", "filter": {"prefix": prefix}, "expiration": {"days": days}}]


BY_DECLARATION = policy(older_than(14, tagStatus="untagged"))


@pytest.mark.parametrize(
    "rules",
    [
        Rules(policy(more_than(20)), []),
        Rules(policy(older_than(180, tagStatus="tagged", tagPatternList=["v*"])), []),
        Rules(policy(older_than(90, tagStatus="tagged", tagPrefixList=["commit-"])), []),
        Rules(policy(more_than(5, "v*"), older_than(14, tagStatus="untagged")), []),
        Rules(BY_DECLARATION, removed(f"{MODEL}/jobs/", 180)),
        Rules(BY_DECLARATION, removed("", 180)),
        Rules(BY_DECLARATION, removed(f"{MODEL}/promoted/", 90)),
    ],
)
def test_rules_that_remove_what_serves_are_found(rules: Rules) -> None:
    assert broken(rules)


def test_the_declared_rules_remove_something_and_never_what_serves() -> None:
    rules = declared("prod")
    history = History(random.Random(1), rules)  # noqa: S311 - repeatable
    assert history.play(40) == ""
    assert history.counts["images expired"]
    assert history.counts["objects expired"]
    assert broken(rules) == []
