"""IAM policy documents, read from JSON text or from maps, with every one-or-many place as a list.

Grammar: IAM User Guide, "Grammar of the IAM JSON policy language". Element names, actions, operators and keys are
compared without case, as IAM does; wildcards are `*` and `?`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from guardrails.view import Known, Missing, Unknown, Value, any_of


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a condition block."""

    operator: str
    """Lower case, for example `stringequals`."""
    key: str
    """Lower case, for example `aws:securetransport`."""
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; read its parts, which may be unknown, with `element`."""

    value: Value

    def element(self, name: str) -> Value:
        """An element such as `NotAction`; missing when the statement has none."""
        return _element(self.value, name)

    def each(self, name: str) -> tuple[Value, ...]:
        """The members of a one-or-many element such as `Resource`."""
        return self.element(name).elements()

    def effect_is(self, effect: str) -> bool | None:
        """Whether the statement allows or denies; unknown when the effect is."""
        value = self.element("Effect")
        return None if isinstance(value, Unknown) else (value.text() or "").lower() == effect.lower()

    def matches(self, name: str, holds: Callable[[str], bool]) -> bool | None:
        """Whether any member of an element passes a test; unknown when only an unknown member could."""
        return any_of(test(member, holds) for member in self.each(name))

    def principals(self, kind: str) -> tuple[Value, ...]:
        """The principals of a kind (`AWS`, `Service`, `Federated`); the bare `*` belongs to `AWS`."""
        principal = self.element("Principal")
        if isinstance(principal, Known) and not isinstance(principal.raw, str):
            keys = ("*", kind) if kind == "AWS" else (kind,)
            return tuple(member for key in keys for member in principal.child(key).elements())
        bare = isinstance(principal, Unknown) or kind == "AWS"
        return principal.elements() if bare else ()

    def conditions(self) -> tuple[Condition, ...] | None:
        """The condition block, test by test; `None` when the block itself is unknown."""
        block = self.element("Condition")
        if isinstance(block, Unknown) or any(isinstance(tests, Unknown) for _, tests in block.items()):
            return None
        return tuple(
            Condition(operator.lower(), key.lower(), tests.child(key).elements())
            for operator, tests in block.items()
            for key, _ in tests.items()
        )


@dataclass(frozen=True, slots=True)
class Malformed:
    """Text that is no policy document."""

    value: Value


def statements(document: Value) -> tuple[Statement, ...] | Unknown | Malformed:
    """The statements of a document; none when it is missing, `Unknown` when any part that holds them is."""
    parsed = document.json()
    if isinstance(parsed, Missing | Unknown):
        return parsed if isinstance(parsed, Unknown) else ()
    listed = _element(parsed, "Statement")
    if isinstance(listed, Unknown):
        return listed
    members = listed.elements()
    for member in members:
        if isinstance(member, Unknown):
            return member
    if isinstance(listed, Missing) or any(not member.items() for member in members):
        return Malformed(document)
    return tuple(Statement(member) for member in members)


def test(value: Value, holds: Callable[[str], bool]) -> bool | None:
    """Whether a string passes a test; unknown when the string is unknown, false when there is none."""
    if isinstance(value, Unknown):
        return None
    text = value.text()
    return text is not None and holds(text)


def any_action(pattern: str) -> bool:
    """Whether an action pattern covers every action of every service."""
    return re.fullmatch(r"[*?]*\*[*?]*(:[*?]*\*[*?]*)?", pattern) is not None


def any_resource(pattern: str) -> bool:
    """Whether a resource pattern covers every resource: `*`, `arn:*`, or an ARN of wildcards after its partition."""
    return re.fullmatch(r"\*+|arn:(\*+|aws[a-z-]*)((:\*+)*(/\*+)*)", pattern) is not None and pattern.endswith("*")


def covers(pattern: str, subject: str) -> bool:
    """Whether an IAM pattern matches a literal string."""
    return re.fullmatch(_expression(pattern), subject, re.DOTALL) is not None


def _expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)


def _element(holder: Value, name: str) -> Value:
    for key, value in holder.items():
        if key.lower() == name.lower():
            return value
    return Unknown(f"{holder.path}.{name}") if isinstance(holder, Unknown) else Missing(f"{holder.path}.{name}")
