"""The life of a resource in the sandbox: check, diff, create, read, update, delete; the world keeps every change."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from sandbox.chaos import InjectedError
from sandbox.providers.kinds import Birth, Kind, Place
from sandbox.providers.plugin import Change, ProviderError
from sandbox.schema import Failure, ResourceSchema, UnknownTypeError, resource_schema
from sandbox.wire import UNKNOWN, Json, Properties
from sandbox.world import AlreadyExistsError, Record, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.chaos import Chaos

_INDEX: Final = re.compile(r"\[\d+\]")
_AUTONAME_DIGITS: Final = 7


def type_of(urn: str) -> str:
    """Returns the type token in a URN."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    """Returns the logical name in a URN."""
    return urn.split("::", 3)[3]


class ResourceBackend(ABC):
    """A provider whose resources live in the world."""

    def __init__(self, version: str, world: World, chaos: Chaos) -> None:
        self.version = version
        self._world = world
        self._chaos = chaos
        self._place = Place("aws", "000000000000", "us-east-1")

    @abstractmethod
    def kind(self, token: str) -> Kind:
        """Returns the behaviour of a type.

        Raises:
            ProviderError: the sandbox does not know how the type behaves.
        """

    def check_config(self, inputs: Properties) -> list[Failure]:
        """Returns what is wrong with the provider's own configuration."""
        raise NotImplementedError

    def configure(self, inputs: Properties) -> None:
        """Takes the provider's own configuration; the base has none."""
        del inputs

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Refuses: the program makes no look-ups."""
        del arguments
        raise ProviderError(f"{token} is a look-up; the sandbox answers none, name the value in the stack file instead")

    def check(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        """Returns the inputs with names and defaults filled in, and what is wrong with them."""
        schema, kind = self._schema(urn), self.kind(type_of(urn))
        inputs = self.fill_in(schema, news)
        if kind.autoname and inputs.get(kind.autoname) is None:
            inputs[kind.autoname] = olds.get(kind.autoname) or self._autoname(urn)
        return inputs, schema.failures(news) + self.refusals(kind, inputs)

    def fill_in(self, schema: ResourceSchema, news: Properties) -> Properties:
        """Returns the inputs with the provider's defaults."""
        del schema
        return dict(news)

    def refusals(self, kind: Kind, inputs: Properties) -> list[Failure]:
        """Returns what the service would refuse beyond the schema."""
        del kind, inputs
        return []

    def diff(self, urn: str, olds: Properties, news: Properties) -> Change:
        """Returns which inputs changed, and which of them need another resource."""
        kind = self.kind(type_of(urn))
        paths = {path: is_immutable(path, kind.immutable) for path in changed_paths(olds, news, "")}
        named = kind.autoname is not None and olds.get(kind.autoname) == news.get(kind.autoname)
        return Change(paths, delete_before_replace=named and any(paths.values()))

    def preview(self, urn: str, id_: str | None, inputs: Properties) -> Properties:
        """Returns the outputs as far as they are known before the change."""
        known = self._world.get(type_of(urn), id_) if id_ else None
        outputs: Properties = known.outputs if known else dict.fromkeys(self._schema(urn).outputs, UNKNOWN)
        return {**outputs, **inputs}

    def create(self, urn: str, inputs: Properties) -> tuple[str, Properties]:
        """Makes a resource; it exists from the start, and the answer comes when it is ready."""
        kind = self.kind(type_of(urn))
        self._begin("create", urn)
        self._require_targets(kind, inputs)
        birth = Birth(urn, inputs, self._place, self._world.birth(urn))
        id_ = kind.identify(birth)
        outputs: Properties = {**inputs, **kind.compute(birth, id_)}
        try:
            self._world.create(Record(type_of(urn), id_, urn, inputs, outputs))
        except AlreadyExistsError as error:
            raise ProviderError(f"AlreadyExists: {error}") from error
        self._chaos.wait(kind.seconds)
        return id_, outputs

    def read(self, urn: str, id_: str) -> tuple[Properties, Properties] | None:
        """Returns inputs and outputs of what exists, or None."""
        record = self._world.get(type_of(urn), id_)
        return (record.inputs, record.outputs) if record else None

    def update(self, urn: str, id_: str, inputs: Properties) -> Properties:
        """Changes a resource in place."""
        kind = self.kind(type_of(urn))
        self._begin("update", urn)
        record = self._world.get(type_of(urn), id_)
        if record is None:
            raise ProviderError(f"NotFound: {type_of(urn)} {id_}")
        removed = set(record.inputs) - set(inputs)
        kept: Properties = {key: value for key, value in record.outputs.items() if key not in removed}
        outputs: Properties = {**kept, **inputs, **kind.revise(record.outputs)}
        self._world.update(type_of(urn), id_, inputs, outputs)
        return outputs

    def delete(self, urn: str, id_: str) -> None:
        """Removes a resource; one that is gone already is fine."""
        token = type_of(urn)
        self._begin("delete", urn)
        record = self._world.get(token, id_)
        if record is not None:
            self._refuse_while_needed(record)
            self._world.delete(token, id_)

    def _begin(self, verb: str, urn: str) -> None:
        try:
            self._chaos.fail(self._world.call(verb, urn))
        except InjectedError as error:
            raise ProviderError(str(error)) from error

    def _schema(self, urn: str) -> ResourceSchema:
        try:
            return resource_schema(type_of(urn))
        except UnknownTypeError as error:
            raise ProviderError(f"{error} is not a resource type of the installed SDK") from error

    def _autoname(self, urn: str) -> str:
        number = len(self._world.by_urn(urn)) + 1
        return f"{name_of(urn)}-{Birth(urn, {}, self._place, number).hex(_AUTONAME_DIGITS, 'name')}"

    def _require_targets(self, kind: Kind, inputs: Properties) -> None:
        for name, token in kind.needs.items():
            wanted, elsewhere = inputs.get(name), inputs.get(kind.elsewhere.get(name, "")) is not None
            if not isinstance(wanted, str) or elsewhere:
                continue
            if not any(_is_called(record, wanted) for record in self._world.of_type(token)):
                raise ProviderError(f"NotFound: {name} {wanted} names no {token}")

    def _refuse_while_needed(self, target: Record) -> None:
        for record in self._world.all():
            needs = self._needs(record.type)
            for name, token in needs.items():
                value = record.inputs.get(name)
                if token == target.type and isinstance(value, str) and _is_called(target, value):
                    raise ProviderError(
                        f"DependencyViolation: {target.type} {target.id} is in use by {record.type} {record.id}"
                    )

    def _needs(self, token: str) -> dict[str, str]:
        try:
            return self.kind(token).needs
        except ProviderError:
            return {}


def changed_paths(old: Json, new: Json, path: str) -> Iterator[str]:
    """Yields the path of every value that differs; a missing property equals a null."""
    match old, new:
        case dict(), dict():
            for key in sorted({*old, *new}):
                yield from changed_paths(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        case list(), list() if len(old) == len(new):
            for index, (left, right) in enumerate(zip(old, new, strict=True)):
                yield from changed_paths(left, right, f"{path}[{index}]")
        case _:
            if old != new or new == UNKNOWN:
                yield path


def is_immutable(path: str, immutable: frozenset[str]) -> bool:
    """Tells whether a changed path touches an input that cannot change."""
    plain = _INDEX.sub("", path)
    return any(f"{plain}.".startswith(f"{name}.") or name.startswith(f"{plain}.") for name in immutable)


def _is_called(record: Record, name: str) -> bool:
    return name in (record.id, record.outputs.get("arn"), record.outputs.get("name"))
