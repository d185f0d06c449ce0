"""The state file of the engine's file backend.

The backend overwrites the file in place and keeps the version before it beside it, so a run that is killed while it
writes leaves a torn file and a whole one; and who looks while another run writes sees a torn file for a moment. Beside
each lies a file of attributes (checksum and media type), which is written before its content and may be torn as well.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path


WRITING_SECONDS: Final = 1.0
"""A file that is torn for longer is not being written any more."""
_LOOK_SECONDS: Final = 0.05


def load(state: Path) -> dict[str, Any] | None:
    """Returns the checkpoint in a file, or None where there is none or a torn one."""
    try:
        return json.loads(state.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def mend(state: Path) -> None:
    """Puts the version before it in the place of a torn state file.

    Nothing is lost: the engine writes that it is about to create a resource before it does, so what the torn version
    would have added is a pending operation in the version before it.
    """
    attributes = state.with_name(f"{state.name}.attrs")
    deadline = time.monotonic() + WRITING_SECONDS
    while (_torn(state) or _torn(attributes)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    if _torn(attributes):
        attributes.unlink(missing_ok=True)  # the backend does without
    if not _torn(state):
        return
    before = state.with_name(f"{state.name}.bak")
    if load(before) is None:
        state.unlink()
    else:
        whole = state.with_name(f"{state.name}.mended")
        whole.write_bytes(before.read_bytes())
        whole.replace(state)


def _torn(file: Path) -> bool:
    return file.exists() and load(file) is None


def has_pending_operations(state: Path) -> bool:
    """Tells whether a run ended in the middle of an operation."""
    content = load(state)
    latest: dict[str, Any] | None = content["checkpoint"]["latest"] if content else None
    return bool(latest and latest.get("pending_operations"))
