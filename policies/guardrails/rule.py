"""What a rule is, and what it may say about a resource."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Generic, TypeVar

from guardrails.resources import Attached, Resource, Stack
from guardrails.view import Unknown, Value

F = TypeVar("F")

EVERY_TYPE = "*"
"""The token of rules that read every resource."""
LATER = "known only after deployment"
"""Why a value usually cannot be judged."""


class Severity(StrEnum):
    """How much harm a violation can do."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Level(StrEnum):
    """What a violation does to a deployment, in the words of the pack configuration."""

    DISABLED = "disabled"
    ADVISORY = "advisory"
    REMEDIATE = "remediate"
    MANDATORY = "mandatory"

    @property
    def strictness(self) -> int:
        """Rank: a higher one lets less through. A remedied resource still fails when the remedy did not help."""
        return list(Level).index(self)


class Kind(Enum):
    """When a rule runs: on each resource before it is made, or on the stack as a whole."""

    RESOURCE = "resource"
    STACK = "stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The level per kind of environment; `prod` also holds for staging and for the local sandbox."""

    dev: Level
    prod: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A property that must not be as it is."""

    path: str
    found: str
    wanted: str
    fix: str | None = None
    """What to write; the rule's own advice when absent."""
    resource: Resource | None = None
    """The resource at fault, for stack rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undetermined:
    """A property on which the verdict hangs, and which cannot be known now."""

    path: str
    why: str = LATER
    resource: Resource | None = None


Finding = Violation | Undetermined


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule(Generic[F]):
    id: str
    """The catalogue number, such as `NET-05`; rules of another kind or other levels may share it."""
    name: str
    """The name in configuration and messages, in kebab case."""
    title: str
    """The requirement in one line."""
    tokens: tuple[str, ...]
    """The types that the rule judges; `*` for all."""
    severity: Severity
    levels: Levels
    frameworks: tuple[str, ...]
    """Requirements that the rule answers, such as `cis-eks:5.4.1`, `fsbp:EKS.1`, `soc2:CC6.6`, `gdpr:32`."""
    why: str
    """The harm that it prevents."""
    fix: str
    """What to write instead."""
    facts: type[F]
    """What configuration decides (see `guardrails.facts`)."""
    traps: tuple[str, ...] = ()
    """Lookalikes that must pass, and disguises that must not."""

    def __post_init__(self) -> None:
        """Refuse a rule that could not be found, configured or explained."""
        if not re.fullmatch(r"[A-Z0-9]+-\d\d", self.id):
            raise ValueError(f"rule {self.name}: id {self.id!r} does not look like NET-05")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"rule {self.id}: name {self.name!r} is not in kebab case")
        if not (self.tokens and self.frameworks and self.title and self.why and self.fix):
            raise ValueError(f"rule {self.name}: tokens, frameworks, title, why and fix must not be empty")

    def concerns(self, token: str) -> bool:
        """Whether the rule judges resources of a type."""
        return token in self.tokens or EVERY_TYPE in self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRule(_Rule[F]):
    """Judges one resource by its inputs, before it is made."""

    check: Callable[[Resource, F], Iterable[Finding]]
    remedy: Callable[[Resource, F], Mapping[tuple[str, ...], object]] | None = None
    """What to set, by path of keys, so that the resource passes without being replaced; empty for nothing."""
    kind: Kind = field(default=Kind.RESOURCE, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRule(_Rule[F]):
    """Judges resources by what else the stack holds; sees outputs, partly unknown in a preview."""

    check: Callable[[Stack, F], Iterable[Finding]]
    kind: Kind = field(default=Kind.STACK, init=False)


AnyRule = ResourceRule[object] | StackRule[object]


def show(value: Value) -> str:
    """A value for a message: short, and without anything that looks secret."""
    raw = getattr(value, "raw", None)
    if raw is None:
        return "a value not known yet" if isinstance(value, Unknown) else "nothing"
    if _SECRET_NAME.search(value.path) or (isinstance(raw, str) and _SECRET_TEXT.search(raw)):
        return "a value that looks secret"
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool):
        raw = str(raw).lower()
    if isinstance(raw, str | int | float):
        text = str(raw)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "a list" if isinstance(raw, list) else "an object"


_LONGEST = 120
_SECRET_NAME = re.compile(r"(?i)passw|secret(?!s\b)|credential|(access|private|api|session)_?-?key|(?<!http)token")
_SECRET_TEXT = re.compile(r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN|eyJ[\w-]{20,}\.|(?<![\w/+])[\w/+]{40}(?![\w/+=])")


def require(
    value: Value,
    holds: Callable[[Value], bool | None],
    wanted: str,
    *,
    at: Resource | None = None,
    fix: str | None = None,
) -> Iterable[Finding]:
    """Nothing when a value passes a test, else a violation; undetermined when the value is unknown.

    A missing value is tested too: let the test say what the default is.
    """
    if isinstance(value, Unknown):
        yield Undetermined(path=value.path, resource=at)
    elif not holds(value):
        yield Violation(path=value.path, found=show(value), wanted=wanted, fix=fix, resource=at)


def require_true(value: Value, *, at: Resource | None = None) -> Iterable[Finding]:
    """The value must be the boolean or the text `true`; missing is false."""
    return require(value, lambda known: known.flag() is True, "true", at=at)


def require_attached(sides: Attached, *, found: str, wanted: str, at: Resource) -> Iterable[Finding]:
    """Nothing when a side resource names `at`, undetermined while one may, else a violation."""
    if not sides.sure and sides.maybe:
        yield Undetermined(path=f"{sides.maybe[0].name}.{sides.reference}", resource=at)
    elif not sides.sure:
        yield Violation(path="", found=found, wanted=wanted, resource=at)


def decide(
    answer: bool | None, value: Value, *, found: str, wanted: str, at: Resource | None = None, fix: str | None = None
) -> Iterable[Finding]:
    """A three-valued answer as a finding at a value: false violates, unknown is undetermined."""
    if answer is None:
        yield Undetermined(path=value.path, resource=at)
    elif not answer:
        yield Violation(path=value.path, found=found, wanted=wanted, fix=fix, resource=at)
