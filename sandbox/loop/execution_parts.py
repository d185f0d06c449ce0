"""What an execution of a pipeline starts from, and what it shows of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sandbox.loop.references import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(slots=True)
class StepRun:
    """One step as `ListPipelineExecutionSteps` shows it."""

    name: str
    status: str = "Executing"
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    failure: str = ""
    metadata: dict[str, object] = field(default_factory=dict[str, object])
    cached_from: str = ""
    """ARN of the execution whose result was taken."""
    attempts: int = 0

    def end(self, status: str, failure: str = "") -> None:
        """The step has come to an end."""
        self.status, self.failure, self.ended = status, failure, datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CachedJob:
    """A job that ended well, to be used again instead of running it."""

    job: str
    execution: str
    when: datetime


Cache = dict[str, CachedJob]
"""Digest of a step's arguments → the job that ran with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What an execution starts from."""

    pipeline: str
    """Name of the pipeline."""
    arn: str
    """ARN of the execution."""
    definition: Mapping[str, Any]
    parameters: Mapping[str, str]
    """As they were given, without the defaults."""

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rpartition("/")[2]


_BOOLEANS: Final = {"true": True, "false": False}
_READ: Final[dict[str, Callable[[str], object]]] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": _BOOLEANS.__getitem__,
}
"""How a value is read that was given as text."""


def values_of(definition: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, object]:
    """Value of every parameter of a definition.

    Raises:
        UnresolvedError: One has no value, a value has no parameter, or is not of the parameter's type or values.
    """
    known = {each["Name"]: each for each in definition.get("Parameters", [])}
    if strange := sorted(given.keys() - known.keys()):
        raise UnresolvedError(f"the pipeline has no parameter {', '.join(strange)}")
    values: dict[str, object] = {}
    for name, each in known.items():
        if name not in given and "DefaultValue" not in each:
            raise UnresolvedError(f"parameter {name} has no default and was given no value")
        try:
            values[name] = _READ[each["Type"]](given[name]) if name in given else each["DefaultValue"]
        except (ValueError, KeyError):
            raise UnresolvedError(f"parameter {name}: {given[name]!r} is no {each['Type']}") from None
        if values[name] not in (allowed := each.get("EnumValues", [values[name]])):
            raise UnresolvedError(f"parameter {name}: {values[name]!r} is none of {', '.join(map(str, allowed))}")
    return values
