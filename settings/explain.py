"""Every way in which one value can be wrong, as a finding in the user's words.

Pydantic says what it checked; the generated JSON schema says what the field takes. `explain` joins both: the schema
node at the error's path gives the allowed values, the kind of error gives the remedy.
"""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING, Any, Final

from pydantic.alias_generators import to_camel

from settings.model import NAME, PATTERNS, Settings
from settings.model.patterns import DIGEST
from settings.problems import Finding, Path, join, show
from settings.versions import STANDARD_SUPPORT_ENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

Node = dict[str, Any]
"""A node of a JSON schema."""

_TRUE_WORDS: Final = frozenset({"true", "yes", "on"})
_FALSE_WORDS: Final = frozenset({"false", "no", "off"})


def explain(error: ErrorDetails) -> Finding:
    """Return the finding for one pydantic error of `Settings`."""
    path = error["loc"]
    if error["type"] == "extra_forbidden":
        return unknown_key(path)
    if error["type"] == "missing":
        return Finding(path=path, found="nothing", allowed=allowed(path), remedy=f"add {path[-1]} ({_purpose(path)})")
    return Finding(path=path, found=show(error["input"]), allowed=allowed(path), remedy=_remedy(error, node(path)))


def unknown_key(path: Path) -> Finding:
    """Return the finding for a key that no section has, with the nearest one that there is."""
    known = list(node(path[:-1]).get("properties", {}))
    wrong = str(path[-1])
    near = to_camel(wrong) if to_camel(wrong) in known else next(iter(get_close_matches(wrong, known, n=1)), None)
    remedy = f"write {near} instead" if near else "remove it"
    return Finding(path=path, found="an unknown key", allowed=join(known), remedy=remedy)


@cache
def _schema() -> Node:
    return Settings.model_json_schema()


def node(path: Path) -> Node:
    """Return the schema node of the value at `path`; an empty one where the schema knows no such place."""
    here = _resolve(_schema())
    for part in path:
        here = _resolve(here.get("items", {}) if isinstance(part, int) else here.get("properties", {}).get(part, {}))
    return here


def _resolve(here: Node) -> Node:
    """Follow a reference, and the non-null part of a union."""
    if "$ref" in here:
        return {**_resolve(_schema()["$defs"][here["$ref"].rpartition("/")[2]]), **_without(here, "$ref")}
    if "anyOf" in here:
        return {**_resolve(here["anyOf"][0]), **_without(here, "anyOf"), "nullable": True}
    return here


def _without(here: Node, name: str) -> Node:
    return {key: value for key, value in here.items() if key != name}


def _purpose(path: Path) -> str:
    """Return the first sentence of the field's docstring."""
    return re.split(r"[.;:](?:\s|$)", str(node(path).get("description", "")))[0]


def allowed(path: Path) -> str:
    """Return in words which values the field at `path` takes."""
    if path == ("cluster", "version"):
        return join([f'"{name}" (standard support until {end})' for name, end in STANDARD_SUPPORT_ENDS.items()])
    here = node(path)
    return _words(here) + (" or null" if here.get("nullable") else "")


def _words(here: Node) -> str:
    if "enum" in here:
        return join(here["enum"])
    text = PATTERNS.get(here.get("pattern", ""), "text")
    words = {
        "integer": f"a whole number{_limits(here, 'minimum', 'maximum')}",
        "number": f"a number{_limits(here, 'exclusiveMinimum', '')}{_limits(here, 'minimum', 'maximum')}"
        f"{_limits(here, '', 'exclusiveMaximum')}",
        "boolean": "true or false",
        "array": f"a list{_limits(here, 'minItems', 'maxItems', ' of length')}",
        "object": f"a mapping with the keys {', '.join(here.get('properties', {}))}",
        "string": f"{text}{_limits(here, 'minLength', 'maxLength', ', length')}",
    }
    return words.get(here.get("type", ""), text)


def _limits(here: Node, low: str, high: str, lead: str = ",") -> str:
    """Return the limits that `here` has under the names `low` and `high`, as the end of a phrase after `lead`."""
    words = {"exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    if low in here and high in here:
        return f"{lead} {_number(here[low])} to {_number(here[high])}"
    if low in here:
        return f"{lead} {words.get(low, 'at least')} {_number(here[low])}"
    return f"{lead} {words.get(high, 'at most')} {_number(here[high])}" if high in here else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _remedy(error: ErrorDetails, here: Node) -> str:
    value: object = error["input"]
    if (known := _OFFERED_OTHERWISE.get((*error["loc"][-2:], str(value)))) is not None:
        return known
    if value is None:
        return "write a value"
    if error["type"] == "string_type" and re.match(here.get("pattern", ""), show(value)):
        return f'put it in quotes: "{show(value)}"'
    if error["type"] == "model_type":
        return f"write its keys, indented, below {error['loc'][-1]}:"
    if error["type"] in _BY_LIMIT:
        return _BY_LIMIT[error["type"]](error.get("ctx", {}))
    return _BY_VALUE.get(error["type"], _in_that_form)(value, here)


def _as_number_or_switch(value: object, here: Node) -> str:
    """Return the remedy where a number or a switch is expected and `value` is of another type."""
    if isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    text = value.strip().lower() if isinstance(value, str) else ""
    if here.get("type") == "boolean" and text in _TRUE_WORDS | _FALSE_WORDS:
        return f"write {'true' if text in _TRUE_WORDS else 'false'}, without quotes"
    if here.get("type") != "boolean":
        with suppress(ValueError):
            float(text)
            return f"remove the quotes: {text}"
    return f"write {_words(here)}"


def _nearest(value: object, here: Node) -> str:
    """Return the remedy where `value` is none of the choices."""
    choices: list[object] = here["enum"]
    for choice in choices:
        if str(choice) == str(value):
            return f'put it in quotes: "{choice}"' if isinstance(choice, str) else f"remove the quotes: {choice}"
    if isinstance(value, int):
        return (
            f"write {next((choice for choice in choices if isinstance(choice, int) and choice >= value), choices[-1])}"
        )
    near = get_close_matches(str(value).lower(), [str(choice) for choice in choices], n=1)
    return f"write {show(near[0])}" if near else "write one of them"


def _as_network(value: object, _: Node) -> str:
    with suppress(ValueError):
        return f"write {IPv4Interface(str(value)).network}, the first address of that range"
    return "write four numbers from 0 to 255 with dots between them, a slash and the prefix length"


def _in_that_form(value: object, here: Node) -> str:
    if here.get("pattern") == DIGEST:
        return _as_digest(str(value))
    name = re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")
    return f"write {name}" if here.get("pattern") == NAME and re.match(NAME, name) else "write it in that form"


def _as_digest(value: str) -> str:
    """Return the remedy where a digest is expected: of a whole reference its end, of a tag where its digest stands."""
    digest = value.rpartition("@")[2]
    if re.match(DIGEST, digest):
        return f"write {digest}"
    return (
        "write the digest, for a tag may name another image tomorrow: it stands with the version as packaged-image, "
        "and aws ecr describe-images --repository-name <repository> --image-ids imageTag=<tag> tells it"
    )


_OFFERED_OTHERWISE: Final[dict[tuple[str | int, ...], str]] = {
    ("rollout", "strategy", "shadow"): "write one of them: no load balancer of AWS copies requests, so shadows are in "
    "environment local only, by make rollout STRATEGY=shadow",
    ("rollout", "strategy", "rolling"): "write rollout: null, which is a rolling update",
}
"""Remedies for values that other tools take in that place, by the last two steps of the path and the value."""

_BY_VALUE: Final[dict[str, Callable[[object, Node], str]]] = {
    "int_type": _as_number_or_switch,
    "float_type": _as_number_or_switch,
    "bool_type": _as_number_or_switch,
    "literal_error": _nearest,
    "enum": _nearest,
    "ip_v4_network": _as_network,
    "tuple_type": lambda _value, _here: "write a list: one entry per line, each after a hyphen",
}
"""Remedies that follow from the value and its schema, by pydantic's kind of error."""

_BY_LIMIT: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "greater_than_equal": lambda limit: f"raise it to {_number(limit['ge'])} or more",
    "less_than_equal": lambda limit: f"lower it to {_number(limit['le'])} or less",
    "greater_than": lambda limit: f"write a number above {_number(limit['gt'])}",
    "less_than": lambda limit: f"write a number below {_number(limit['lt'])}",
    "too_short": lambda limit: f"add {limit['min_length'] - limit['actual_length']} more",
    "too_long": lambda limit: f"remove {limit['actual_length'] - limit['max_length']}",
    "string_too_short": lambda limit: f"write at least {limit['min_length']} characters",
    "string_too_long": lambda limit: f"shorten it to {limit['max_length']} characters",
}
"""Remedies that follow from the limit that was passed, by pydantic's kind of error."""
