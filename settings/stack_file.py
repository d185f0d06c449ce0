"""A stack file read without Pulumi, to the same configuration that the engine would hand to the program."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast

import yaml

from settings.problems import NAMESPACE, Problem, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER: Final = re.compile(r"([-+]?)(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|[1-9][0-9]*|0)$")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")


def read(path: Path) -> tuple[dict[str, str], frozenset[str]]:
    """Return the configuration of a stack file by full key, and the keys that hold something encrypted.

    Structured values become JSON text, as the engine passes them; an encrypted value stays encrypted.

    Raises:
        SettingsError: The file cannot be read, is no YAML, says a key twice or has no mapping below `config:`.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        content: object = _value(root) if root else {}
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(path, "an alias inside itself" if isinstance(error, RecursionError) else str(error)) from None
    except yaml.YAMLError as error:
        raise _unusable(path, _where(error)) from None
    entries = _below_config(content)
    if entries is None:
        raise _unusable(path, "no mapping below config:")
    config = {_full(name): value for name, value in entries.items()}
    return (
        {name: _text(value) for name, value in config.items()},
        frozenset(name for name, value in config.items() if _is_encrypted(value)),
    )


def _below_config(content: object) -> dict[str, object] | None:
    if not isinstance(content, dict):
        return None
    entries = cast("dict[str, object]", content).get("config", {})
    return cast("dict[str, object]", entries) if isinstance(entries, dict) else None


def _full(name: str) -> str:
    """Return `name` with its namespace; the engine takes a bare key for the project's own."""
    return name if ":" in name else f"{NAMESPACE}:{name}"


def _text(value: object) -> str:
    """Return `value` as the engine passes it to a program: text as it is, nothing as empty text, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _is_encrypted(value: object) -> bool:
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return entries.keys() == {"secure"} or any(map(_is_encrypted, entries.values()))
    return isinstance(value, list) and any(map(_is_encrypted, cast("list[object]", value)))


def _value(node: yaml.Node) -> object:
    """Return the value of a node, resolved as the engine's reader (Go's yaml.v3) does and not as YAML 1.1.

    Raises:
        yaml.MarkedYAMLError: A mapping has a key twice.
    """
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    entries: dict[str, object] = {}
    merged: dict[str, object] = {}
    for key, item in cast("yaml.MappingNode", node).value:
        name, value = str(key.value), _value(item)
        if name in entries:
            raise yaml.MarkedYAMLError(problem=f"key {name} again", problem_mark=key.start_mark)
        if name == "<<" and isinstance(value, dict):
            merged |= cast("dict[str, object]", value)
        else:
            entries[name] = value
    return {**merged, **entries}


def _plain(text: str) -> object:
    """Return what a scalar without quotes means: `yes` and `on` are text, a whole number may be written 30.0."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    digits = text.replace("_", "") if text[0] != "_" else text
    if whole := _INTEGER.match(digits):
        return int(whole[1] + re.sub(r"^0(?=[0-7])", "0o", whole[2]), base=0)
    if _FLOAT.match(digits):
        number = float(digits)
        return int(number) if number.is_integer() else number
    return text


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem} (line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1})"
    return str(error)


def _unusable(path: Path, found: str) -> SettingsError:
    problem = Problem(
        file=path.name,
        key="the file",
        found=" ".join(found.split()),
        allowed="YAML with the settings below config:, each key once",
        remedy="correct it; Pulumi.dev.yaml shows the form",
    )
    return SettingsError([problem])
