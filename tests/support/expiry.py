"""What lifecycle rules of ECR and S3 remove, as the user guides say it; moto keeps such rules and carries none out.

Sources: Amazon ECR user guide, "Automate the cleanup of images by using lifecycle policies" (evaluation rules),
"Lifecycle policy properties"; Amazon S3 user guide, "Lifecycle configuration elements". What is not read here is
refused, so that a rule of a new kind is not taken for one that removes nothing.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A manifest in a repository."""

    digest: str
    pushed: float
    """When, in days."""
    tags: frozenset[str] = frozenset()
    index: str = ""
    """Digest of the manifest list that refers to it; empty where none does."""


def expired_images(policy: str, images: Collection[Image], now: float) -> set[str]:
    """Digests of the images that a repository's policy removes.

    An image is removed by one rule at most; what fits the tags of a rule is never removed by one of a lower priority
    (a higher number), though that counts it; older images go first; one that a manifest list refers to stays as long as
    that does.

    Args:
        policy: The JSON document.
        images: All of the repository.
        now: The time, in days.

    Raises:
        ValueError: ECR would refuse the policy, or this does not know what it means.
    """
    rules = _read(policy)
    gone, settled, there = set[str](), set[str](), {image.digest for image in images}
    for rule in rules:
        chosen = sorted((each for each in images if _selects(rule["selection"], each)), key=lambda each: each.pushed)
        old = _old(rule["selection"], chosen, now)
        gone |= {each.digest for each in old if each.digest not in settled and each.index not in there - gone - {""}}
        settled |= {each.digest for each in chosen}
    return gone


@functools.cache
def _read(policy: str) -> list[Rule]:
    """The rules in the order in which they are applied."""
    rules: list[Rule] = sorted(json.loads(policy)["rules"], key=lambda rule: rule["rulePriority"])
    _refuse(rules)
    return rules


def _refuse(rules: list[Rule]) -> None:
    statuses = [rule["selection"]["tagStatus"] for rule in rules]
    lists = ("tagPatternList", "tagPrefixList")
    if len({rule["rulePriority"] for rule in rules}) < len(rules) or statuses.count("untagged") > 1:
        raise ValueError("two rules of one priority, or for untagged images")
    if "any" in statuses[:-1]:
        raise ValueError("a rule for any image is the last one")
    for rule, status in zip(rules, statuses, strict=True):
        if rule["action"] != {"type": "expire"}:
            raise ValueError(f"unknown action {rule['action']}")
        if sum(name in rule["selection"] for name in lists) != (status == "tagged"):
            raise ValueError("one list of tags for tagged images, none for others")


def _selects(selection: Rule, image: Image) -> bool:
    if selection["tagStatus"] == "any":
        return True
    if selection["tagStatus"] == "untagged":
        return not image.tags
    patterns = selection.get("tagPatternList") or [f"{prefix}*" for prefix in selection["tagPrefixList"]]
    return all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in patterns)


def _old(selection: Rule, oldest_first: list[Image], now: float) -> list[Image]:
    match selection:
        case {"countType": "imageCountMoreThan", "countNumber": most}:
            return oldest_first[: max(len(oldest_first) - most, 0)]
        case {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}:
            return [image for image in oldest_first if now - image.pushed > days]
        case _:
            raise ValueError(f"unknown selection {selection}")


def expired_objects(rules: Iterable[Rule], objects: Mapping[str, float], now: float) -> set[str]:
    """Keys whose newest content the rules of a bucket remove.

    Args:
        rules: As Pulumi's resource has them.
        objects: Key → when it was last written, in days; each is larger than the least size that a rule may name.
        now: The time, in days.

    Raises:
        ValueError: A rule's filter is not by prefix and size.
    """
    gone = set[str]()
    for rule in rules:
        about = rule["filter"].get("and", rule["filter"])
        if not about.keys() <= {"prefix", "objectSizeGreaterThan"} or "transitions" in rule:
            raise ValueError(f"unknown rule {rule}")
        age = rule.get("expiration", {})
        if rule["status"] != "Enabled" or not age:
            continue
        if age.keys() != {"days"}:
            raise ValueError(f"unknown expiration {age}")
        gone |= {key for key, at in objects.items() if key.startswith(about["prefix"]) and now - at >= age["days"]}
    return gone
