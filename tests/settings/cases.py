"""The cases of `cases.yaml`, typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.settings.stacks import GONE, Content, changed


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of prod's stack file and what the user reads about it."""

    rule: str = ""
    """Name of the rule that the change concerns."""
    mistake: str = ""
    """What the user did wrong, where no rule is concerned."""
    set: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values by dotted path."""
    without: tuple[str, ...] = ()
    """Dotted paths that are taken away."""
    line: str = ""
    """The only line of the message; empty where there is none."""

    @property
    def content(self) -> Content:
        return changed({**self.set, **dict.fromkeys(self.without, GONE)})

    def __str__(self) -> str:
        return self.mistake or f"{self.rule} {self.set}"


_TABLE: Final = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"))

BROKEN: Final = [Case(**entry) for entry in _TABLE["broken"]]
KEPT: Final = [Case(**entry) for entry in _TABLE["kept"]]
MISTAKES: Final = [Case(**entry) for entry in _TABLE["mistakes"]]
