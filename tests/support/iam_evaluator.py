"""What policy documents say about one request, by the rules that IAM publishes.

Covered: identity policies of one role in its own account, with `Action`, `NotAction`, `Resource`, `NotResource` and the
condition operators in `_TESTS`, their `IfExists` forms and both quantifiers (`ForAllValues`, `ForAnyValue`). Not
covered: resource policies, boundaries, session policies and policy variables. An operator that is not known is an
error, never a silent yes.
Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.support.recorded import Recorded

    Context = Mapping[str, "str | list[str]"]

_NEGATED = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotLike": "ArnLike"}


def listed(value: str | list[str]) -> list[str]:
    """Values of an element that may be written as one."""
    return [value] if isinstance(value, str) else value


@functools.cache
def _pattern(pattern: str, *, any_case: bool) -> re.Pattern[str]:
    """A pattern of IAM, which knows `*` and `?` and nothing else."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if any_case else 0))


def like(value: str, pattern: str, *, any_case: bool = False) -> bool:
    """Whether a value matches a pattern."""
    return _pattern(pattern, any_case=any_case).fullmatch(value) is not None


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericLessThan": lambda value, wanted: float(value) < float(wanted),
    "NumericLessThanEquals": lambda value, wanted: float(value) <= float(wanted),
}


def holds(condition: Mapping[str, Mapping[str, str | list[str]]], context: Context) -> bool:
    """Whether every operator of a condition holds for a request.

    Raises:
        KeyError: for an operator that is not known here.
    """
    return all(
        _operator_holds(operator, context.get(key), listed(wanted))
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _operator_holds(operator: str, found: str | list[str] | None, wanted: list[str]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    optional, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    if name == "Null":
        return (found is None) == (wanted == ["true"])
    negated = name in _NEGATED
    test = _TESTS[_NEGATED.get(name, name)]
    if found is None:
        return optional or negated or quantifier == "ForAllValues"
    matches = [any(test(value, each) for each in wanted) is not negated for value in listed(found)]
    return any(matches) if quantifier == "ForAnyValue" else all(matches)


def allowed(documents: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context) -> bool:
    """Whether the documents together allow a request: some statement allows it and none denies it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if _applies(statement, action, resource, context)
    }
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        _named(statement, "Action", action, any_case=True)
        and _named(statement, "Resource", resource, any_case=False)
        and holds(statement.get("Condition", {}), context)
    )


def _named(statement: Mapping[str, Any], element: str, value: str, *, any_case: bool) -> bool:
    """Whether an element, or the absence from its `Not` form, covers a value."""
    if f"Not{element}" in statement:
        return not any(like(value, each, any_case=any_case) for each in listed(statement[f"Not{element}"]))
    return any(like(value, each, any_case=any_case) for each in listed(statement[element]))


def inline_policies(recorded: Recorded, role: str) -> list[dict[str, Any]]:
    """Documents of a role's inline policies; at least one, so that no statement about them is empty.

    Raises:
        LookupError: if the role has none.
    """
    found = [
        policy.policy() for policy in recorded.of_type("aws:iam/rolePolicy:RolePolicy") if policy.inputs["role"] == role
    ]
    if not found:
        raise LookupError(f"{recorded.stack} gives {role} no inline policy")
    return found


def may(recorded: Recorded, role: str, action: str, resource: str, context: Context) -> bool:
    """Whether a role's inline policies allow it a request."""
    return allowed(inline_policies(recorded, role), action, resource, context)
