"""Prod with a few settings changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.settings.stacks import changed, problems
from tests.support.recorded import Recorded, record_program

if TYPE_CHECKING:
    from collections.abc import Mapping


def overrides(edits: Mapping[str, object]) -> str:
    """The sections that `edits` changes, for a recording; paths as in `tests.settings.stacks.changed`."""
    content = changed(edits)
    assert problems(content) == []
    sections = sorted({path.partition(".")[0] for path in edits})
    return json.dumps({name: content[f"slipway:{name}"] for name in sections})


def record_changed(edits: Mapping[str, object]) -> Recorded:
    """Record prod with the settings of `edits`, by dotted path."""
    return record_program("prod", overrides=overrides(edits))
