"""How a resource type behaves: its ids, its computed outputs, what cannot change, what it needs.

A kind is data plus small functions; `sandbox.providers.resources` gives all kinds the same life.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from sandbox.wire import Properties


@dataclass(frozen=True, slots=True)
class Place:
    """Where a provider works."""

    partition: str
    account_id: str
    region: str


@dataclass(frozen=True, slots=True)
class Birth:
    """A resource at the moment of its creation."""

    urn: str
    inputs: Properties
    place: Place
    number: int
    """How many resources this URN has had, this one included."""

    def hex(self, length: int, salt: str = "") -> str:
        """Returns hexadecimal digits that differ for every resource and are the same in every run."""
        return hashlib.sha256(f"{self.urn}#{self.number}#{salt}".encode()).hexdigest()[:length]

    def text(self, name: str, default: str = "") -> str:
        """Returns an input as text."""
        value = self.inputs.get(name, default)
        return default if value is None else str(value)


Identify: TypeAlias = Callable[[Birth], str]
Compute: TypeAlias = Callable[[Birth, str], Properties]
Revise: TypeAlias = Callable[[Properties], Properties]


def _nothing(_birth: Birth, _id: str) -> Properties:
    return {}


def _unchanged(_outputs: Properties) -> Properties:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Behaviour of one resource type."""

    identify: Identify
    """Makes the provider id."""
    compute: Compute = _nothing
    """Makes the outputs that are not inputs."""
    revise: Revise = _unchanged
    """Makes the outputs that an update changes, from the outputs before it."""
    immutable: frozenset[str] = field(default_factory=frozenset[str])
    """Inputs whose change needs another resource."""
    autoname: str | None = None
    """Input that the provider fills with a name when the program gives none."""
    needs: dict[str, str] = field(default_factory=dict[str, str])
    """Input → type of the resource that it names: it has to exist, and cannot go before this one."""
    elsewhere: dict[str, str] = field(default_factory=dict[str, str])
    """Input of `needs` → input beside which what it names may stand outside of the platform, where no sandbox looks."""
    api: tuple[str, str, str] | None = None
    """AWS service, operation and path inside the request, whose constraints apply to the inputs."""
    seconds: float = 1.0
    """Published or usual time that a creation takes."""


def hex_id(prefix: str) -> Identify:
    """Ids such as `vpc-0a1b2c3d4e5f60718`."""
    return lambda birth: f"{prefix}-0{birth.hex(16)}"


def joined(*names: str, by: str = "/") -> Identify:
    """Ids made of inputs."""
    return lambda birth: by.join(birth.text(name) for name in names)


def arn(template: str, name: str = "arn") -> Compute:
    """An ARN in one output; `{id}`, `{hex}` and inputs may stand in the template beside the place."""

    def compute(birth: Birth, id_: str) -> Properties:
        return {name: fill(template, birth, id_)}

    return compute


def fill(template: str, birth: Birth, id_: str) -> str:
    """Fills a template with the place, the id and the inputs of a resource."""
    inputs = {key: value for key, value in birth.inputs.items() if isinstance(value, str)}
    place = {"partition": birth.place.partition, "account": birth.place.account_id, "region": birth.place.region}
    return template.format(**{**inputs, **place, "id": id_, "hex": birth.hex(17, "arn")})


def together(*parts: Compute) -> Compute:
    """Several computations in one."""

    def compute(birth: Birth, id_: str) -> Properties:
        merged: Properties = {}
        for part in parts:
            merged |= part(birth, id_)
        return merged

    return compute
