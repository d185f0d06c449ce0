"""What a user reads when a setting is wrong: where, what was found, what is allowed, what to write."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

NAMESPACE = "slipway"
"""Prefix of the project's own configuration keys; the project's name in `Pulumi.yaml`."""

Path = tuple[str | int, ...]
"""Where a value stands: keys of the file and indices, from the section on (`("nodePools", 1, "minSize")`)."""

_LONGEST_SHOWN: Final = 60
_PLAIN: Final = re.compile(
    r"(?!(true|false|null|yes|no|on|off)$)(?![-+.]?\d[\w.+-]*$)[\w/][\w./@:+-]*$", re.ASCII | re.IGNORECASE
)
"""Text that no reader of YAML takes for anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, not yet tied to a file; what rules give."""

    path: Path
    """Where."""
    found: str
    """What stands there, as the user would recognize it."""
    allowed: str
    """What could stand there."""
    remedy: str
    """What to do, as an instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One line of the message."""

    file: str
    """Name of the stack file."""
    key: str
    """Full configuration key with the path inside the value: `slipway:nodePools[1].minSize`."""
    found: str
    """What stands there."""
    allowed: str
    """What could stand there."""
    remedy: str
    """What to do."""

    def __str__(self) -> str:
        """Return the problem in one line, in the order of its fields."""
        return f"{self.file} · {self.key} · found {self.found} · allowed: {self.allowed} · {self.remedy}"


class SettingsError(Exception):
    """The stack file is not usable; carries every problem, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(render(self.problems))


def key(path: Path) -> str:
    """Return `path` as a configuration key; a first element with a colon is already a full key."""
    head, *rest = path
    first = str(head) if ":" in str(head) else f"{NAMESPACE}:{head}"
    return _one_line(first) + "".join(map(_step, rest))


def _step(part: str | int) -> str:
    return f".{part}" if isinstance(part, str) and _PLAIN.match(part) else f"[{json.dumps(part)}]"


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def show(value: object) -> str:
    """Return `value` as the file would write it: in quotes only where it would be no text without them; one line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(cast('list[object]', value))}"
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and _PLAIN.match(value):
        text = value
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def render(problems: Sequence[Problem]) -> str:
    """Return the whole message: how many problems, then one per line."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{count} in the settings; nothing was created.", *(f"  {problem}" for problem in problems)])


def join(words: Iterable[object]) -> str:
    """Return at least one of `words` as a choice: `a`, `a or b`, `a, b or c`."""
    *most, last = (str(word) for word in words)
    return f"{', '.join(most)} or {last}" if most else last


def repeated(values: Iterable[str]) -> dict[int, int]:
    """Return for each index whose value stood before: the index where it stood first."""
    first: dict[str, int] = {}
    return {index: first[value] for index, value in enumerate(values) if first.setdefault(value, index) != index}
