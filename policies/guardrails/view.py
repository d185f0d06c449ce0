"""Tri-state reading of resource properties: a value is known, missing, or not known yet.

A preview holds placeholders for everything that only the cloud can tell. Rules read through `Value`, which never
raises on a placeholder, so that "not known" becomes a verdict of its own instead of a silent pass or a crash.

Accepted raw shapes: plain dicts and lists, the read-only proxies of the CrossGuard SDK (their `__target` item is the
wrapped container), secret and output envelopes of the Pulumi wire format, the SDK's `Secret` objects, and JSON text
(`Value.json`). `None` and the empty string count as missing, because provider checks write them for unset properties.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

UNKNOWN_SENTINELS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string; also sent for whole lists and maps
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
"""Placeholders of the Pulumi wire format (`sdk/go/common/resource/plugin/rpc.go`)."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The placeholder that engines and mocks send most."""

HIDDEN_SECRET = "[secret]"  # noqa: S105 - what `pulumi policy analyze` shows instead of a secret, not a secret
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks the envelope of a secret, holds none
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_STEP = re.compile(r"""\.?(?:(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<star>\*)\]|\["(?P<quoted>[^"]*)"\])""")


@dataclass(frozen=True, slots=True)
class Value:
    """A place in a resource's properties.

    Paths: `vpcConfig.publicAccessCidrs[0]`, `annotations["eks.amazonaws.com/role-arn"]`, `rules[*].bucketKeyEnabled`
    for every element. A lone map where a list may stand counts as a list of one, and the only member of a list as the
    map that stands there: some providers wrap what others do not.
    """

    path: str
    """Where the value was read, from the resource's properties down; empty for the properties themselves."""

    def get(self, path: str) -> "Value":
        """The value at a path without `[*]`; a step into nothing is missing, a step into the unknown is unknown."""
        value = self
        for step in _steps(path):
            value = value.child(step)
        return value

    def select(self, path: str) -> "tuple[Value, ...]":
        """All values at a path that may hold `[*]`. An unknown list gives one unknown value, a missing list none."""
        found: tuple[Value, ...] = (self,)
        for step in _steps(path):
            found = tuple(
                each for value in found for each in (value.elements() if step is None else (value.child(step),))
            )
        return found

    def child(self, step: str | int | None) -> "Value":
        """The value one step down."""
        return Missing(_join(self.path, step))

    def elements(self) -> "tuple[Value, ...]":
        """The members of a list, or the value itself as the only member; none when missing."""
        return ()

    def items(self) -> "tuple[tuple[str, Value], ...]":
        """Keys and values of a map, without the engine's `__…` keys; an unknown map gives one unknown under `*`."""
        return ()

    def json(self) -> "Value":
        """The same place with JSON text replaced by what it says; other values, broken JSON included, as they are."""
        return self

    def text(self) -> str | None:
        """The string, when it is a known string."""
        return None

    def flag(self) -> bool | None:
        """The boolean, when it is known; launch templates spell it as text."""
        return None

    def number(self) -> float | None:
        """The number, when it is known; text of a number counts."""
        return None


@dataclass(frozen=True, slots=True)
class Missing(Value):
    """Nothing is there, and nothing will be: the provider's default decides."""


@dataclass(frozen=True, slots=True)
class Unknown(Value):
    """Something will be there, but only the deployment can tell what."""

    def child(self, step: str | int | None) -> Value:
        """Below the unknown everything is unknown."""
        return Unknown(_join(self.path, step))

    def elements(self) -> tuple[Value, ...]:
        """One unknown member stands for however many there will be."""
        return (Unknown(_join(self.path, None)),)

    def items(self) -> tuple[tuple[str, Value], ...]:
        """One unknown entry stands for however many there will be."""
        return (("*", Unknown(_join(self.path, None))),)


@dataclass(frozen=True, slots=True)
class Known(Value):
    """A value that can be judged now."""

    raw: object
    """A dict, list, string, number, boolean or asset; never a proxy, but its members may be proxies."""

    def child(self, step: str | int | None) -> Value:
        """One step down into the map or list."""
        path = _join(self.path, step)
        raw = self.raw
        if isinstance(step, str) and isinstance(raw, Mapping):
            return value_of(cast("Mapping[str, object]", raw).get(step), path)
        if isinstance(step, str) and isinstance(raw, list) and len(cast("list[object]", raw)) == 1:
            (member,) = cast("list[object]", raw)
            inner = value_of(member, self.path)
            return replace(inner.child(step), path=path)
        if isinstance(step, int) and isinstance(raw, list):
            members = cast("list[object]", raw)
            return value_of(members[step], path) if step < len(members) else Missing(path)
        return Missing(path)

    def elements(self) -> tuple[Value, ...]:
        """The members of the list; any other value is its own only member."""
        raw = self.raw
        if isinstance(raw, list):
            members = cast("list[object]", raw)
            return tuple(value_of(member, _join(self.path, index)) for index, member in enumerate(members))
        return (self,)

    def items(self) -> tuple[tuple[str, Value], ...]:
        """The map's own entries."""
        raw = self.raw
        if not isinstance(raw, Mapping):
            return ()
        entries = cast("Mapping[str, object]", raw)
        return tuple(
            (key, value_of(entries[key], _join(self.path, key))) for key in entries if not key.startswith("__")
        )

    def json(self) -> Value:
        """Parsed when the text is a JSON object or array."""
        if isinstance(self.raw, str) and self.raw.lstrip()[:1] in ("{", "["):
            try:
                return value_of(json.loads(self.raw), self.path)
            except ValueError:
                return self
        return self

    def text(self) -> str | None:
        """The string itself."""
        return self.raw if isinstance(self.raw, str) else None

    def flag(self) -> bool | None:
        """True and false, also as text."""
        if isinstance(self.raw, bool):
            return self.raw
        return {"true": True, "false": False}.get(self.raw.strip().lower()) if isinstance(self.raw, str) else None

    def number(self) -> float | None:
        """The number as a float, which is how the wire carries every number."""
        if isinstance(self.raw, bool) or not isinstance(self.raw, int | float | str):
            return None
        try:
            return float(self.raw)
        except ValueError:
            return None


def value_of(raw: object, path: str = "") -> Value:
    """Read a raw wire or SDK value as known, missing or unknown."""
    plain = _unwrap(raw)
    if plain is None or plain == "":
        return Missing(path)
    if isinstance(plain, str) and (plain in UNKNOWN_SENTINELS or plain == HIDDEN_SECRET):
        return Unknown(path)
    return Known(path, plain)


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Kleene's or: true if any answer is, else unknown if any answer is."""
    seen = list(answers)
    return True if True in seen else None if None in seen else False


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Kleene's and: false if any answer is, else unknown if any answer is."""
    seen = list(answers)
    return False if False in seen else None if None in seen else True


def _unwrap(raw: object) -> object:
    if isinstance(raw, dict):
        return _open_envelope(cast("dict[str, object]", raw))
    if isinstance(raw, Mapping | Sequence) and not isinstance(raw, str | list):
        proxy = cast("Mapping[str, object]", raw)
        try:
            return _unwrap(proxy["__target"])
        except (KeyError, TypeError, IndexError):
            return list(proxy) if isinstance(raw, Sequence) else proxy
    plain = cast("object", raw)
    return _unwrap(getattr(plain, "value", None)) if type(plain).__name__ == "Secret" else plain


def _open_envelope(raw: dict[str, object]) -> object:
    """The content of a secret or output envelope; a ciphertext is as good as unknown."""
    signature = raw.get(_SIGNATURE)
    if signature == _OUTPUT or (signature == _SECRET and "value" in raw):
        return _unwrap(raw["value"]) if "value" in raw else UNKNOWN
    if signature == _SECRET:
        plaintext = raw.get("plaintext")
        return _unwrap(json.loads(plaintext)) if isinstance(plaintext, str) else UNKNOWN
    return raw


def _steps(path: str) -> list[str | int | None]:
    """Keys, indices, and `None` for `[*]`."""
    steps: list[str | int | None] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            message = f"cannot read the path {path!r} at character {position}"
            raise ValueError(message)
        position = match.end()
        if match["index"]:
            steps.append(int(match["index"]))
        else:
            steps.append(None if match["star"] else match["key"] if match["key"] is not None else match["quoted"])
    return steps


def _join(path: str, step: str | int | None) -> str:
    if step is None:
        return f"{path}[*]"
    if isinstance(step, int):
        return f"{path}[{step}]"
    if re.fullmatch(r"[\w$-]+", step) is None:
        return f'{path}["{step}"]'
    return f"{path}.{step}" if path else step
