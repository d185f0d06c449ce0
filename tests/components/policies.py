"""What a role's inline policies say about a request, with the conditions that they make."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.recorded import Recorded


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def holds(condition: Mapping[str, Mapping[str, str | list[str]]], context: Mapping[str, str]) -> bool:
    """Whether a condition holds for a request; a key that the request lacks holds nothing."""
    return all(
        key in context and any(fnmatchcase(context[key], pattern) for pattern in listed(patterns))
        for keys in condition.values()
        for key, patterns in keys.items()
    )


def may(recorded: Recorded, role: str, action: str, target: str, context: Mapping[str, str]) -> bool:
    """Whether a statement of the role allows the action on the target in this context; nothing here is denied."""
    policies = [
        policy.policy() for policy in recorded.of_type("aws:iam/rolePolicy:RolePolicy") if policy.inputs["role"] == role
    ]
    assert policies, role
    return any(
        any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(target, pattern) for pattern in listed(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
        for policy in policies
        for statement in policy["Statement"]
    )
