"""Recordings of prod with a few settings changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.settings.stacks import changed, problems
from tests.support.recorded import Recorded, record_program

if TYPE_CHECKING:
    from collections.abc import Mapping


def record_changed(edits: Mapping[str, object]) -> Recorded:
    """Record prod with the settings of `edits`, by dotted path as in `tests.settings.stacks.changed`."""
    content = changed(edits)
    assert problems(content) == []
    sections = sorted({path.partition(".")[0] for path in edits})
    return record_program("prod", overrides=json.dumps({name: content[f"slipway:{name}"] for name in sections}))
