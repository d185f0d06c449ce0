"""Prod's stack file to change, and what a change brings."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from settings.model import Settings
from settings.parse import parse
from settings.problems import SettingsError
from settings.stack_file import read

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
STACKS: Final = ("local", "dev", "staging", "prod")
FILE: Final = "Pulumi.prod.yaml"

Content = dict[str, Any]
"""Decoded configuration of a stack by full key."""

GONE: Final = object()
"""As a value: the key or entry is taken away."""


def stack_file(stack: str) -> Path:
    return ROOT / f"Pulumi.{stack}.yaml"


def decoded(stack: str = "prod") -> Content:
    return {key: json.loads(text) for key, text in _config(stack).items()}


@cache
def _config(stack: str) -> dict[str, str]:
    return read(stack_file(stack))[0]


def encoded(content: Content) -> dict[str, str]:
    """Return `content` as the engine hands it to a program."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}


def changed(edits: Mapping[str, object]) -> Content:
    """Return prod's configuration with the values of `edits`, which are by dotted path: `nodePools.0.minSize`."""
    content = decoded()
    for path, value in edits.items():
        section, *steps = path.split(".")
        keys = [section if ":" in section else f"slipway:{section}", *steps]
        place: Any = content
        for key in keys[:-1]:
            place = place[int(key) if isinstance(place, list) else key]
        last: Any = int(keys[-1]) if isinstance(place, list) else keys[-1]
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):  # pyright: ignore[reportUnknownArgumentType] - any JSON
            place.append(copy.deepcopy(value))  # pyright: ignore[reportUnknownMemberType] - any JSON
        else:
            place[last] = copy.deepcopy(value)
    return content


def problems(content: Content) -> list[str]:
    """Return the lines of the message for `content`, without the name of the file."""
    try:
        parse(encoded(content), file=FILE)
    except SettingsError as error:
        lines = [str(problem) for problem in error.problems]
        assert all(line.startswith(f"{FILE} · ") for line in lines)
        return [line.removeprefix(f"{FILE} · ") for line in lines]
    return []


def settings_of(content: Content) -> Settings:
    """Return settings whose values are right one by one; no rule has looked at them."""
    sections = {key.removeprefix("slipway:"): value for key, value in content.items()}
    return Settings.model_validate_json(json.dumps(sections))
