"""What the values of the server's settings must be."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

from scoring.container import MAX_PORT, PREFIX
from scoring.log import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scoring.settings import ServerSettings

FLOAT32_PER_BYTE = 4
"""Bytes that one byte of a body can become: an empty CSV cell takes one comma and one float32."""

MEBIBYTE = 1024 * 1024

SHORTEST_ROW_BYTES = 2
"""A digit and a line feed."""

MAX_PAYLOAD_MB = 1024
"""Of bodies that are planned for: what SageMaker sends at most, to an asynchronous endpoint."""

MAY_BE_ZERO = frozenset(("drain_s", "grace_s"))

ALL_PERCENT = 100

ALONE = ("model_dir", "model_file", "model_version", "manifest_sha256")
"""Settings of a server of one model."""


class Rule(NamedTuple):
    """One setting and what is expected of it."""

    name: str
    """Field of the settings."""
    expected: str
    holds: bool


def problems(settings: ServerSettings) -> list[str]:
    """Give every value that breaks a rule, as one line with the name of its variable."""
    broken = [rule for rule in _rules(settings) if not rule.holds]
    return [f"{PREFIX}{r.name.upper()} is {_shown(getattr(settings, r.name))}; expected {r.expected}" for r in broken]


def _shown(value: object) -> object:
    return repr(value) if isinstance(value, str) else value


def _rules(settings: ServerSettings) -> Iterator[Rule]:
    s = settings
    printable = s.model_version.isascii() and s.model_version.isprintable()
    yield Rule("model_version", "printable ASCII", printable)
    yield Rule("model_name", "text", bool(s.model_name))
    yield Rule("log", " or ".join(FORMS), s.log in FORMS)
    yield Rule("port", f"0 to {MAX_PORT}", 0 <= s.port <= MAX_PORT)
    yield Rule("cpu", "a number or 'any'", s.cpu in ("", "any") or s.cpu.isdecimal())
    yield Rule("capture_percent", f"0 to {ALL_PERCENT}", 0 <= s.capture_percent <= ALL_PERCENT)
    yield Rule("traces_percent", f"0 to {ALL_PERCENT}", 0 <= s.traces_percent <= ALL_PERCENT)
    web = s.traces_endpoint.startswith(("http://", "https://"))
    yield Rule("traces_endpoint", "an http or https URL", web or not s.traces_endpoint)
    yield Rule("admin_port", f"-1 to {MAX_PORT}", -1 <= s.admin_port <= MAX_PORT)
    yield Rule("payload_mb", f"0 to {MAX_PAYLOAD_MB}", 0 <= s.payload_mb <= MAX_PAYLOAD_MB)
    yield Rule("payloads_at_once", "at least 1", s.payloads_at_once >= 1)
    yield from _limits(s)
    yield from _of_several(s)


def _limits(s: ServerSettings) -> Iterator[Rule]:
    for field in fields(s):
        if field.name.startswith("max_") or field.name.endswith("_s"):
            value, zero = getattr(s, field.name), field.name in MAY_BE_ZERO
            expected = f"a finite number {'of at least' if zero else 'above'} 0"
            yield Rule(field.name, expected, (0 < value < math.inf) or (zero and value == 0))
    floor = FLOAT32_PER_BYTE * s.max_body_bytes
    yield Rule("max_queued_bytes", f"at least {floor}, what one body can become", s.max_queued_bytes >= floor)
    yield Rule("max_buffered_bytes", "at least MAX_BODY_BYTES", s.max_buffered_bytes >= s.max_body_bytes)


def _of_several(s: ServerSettings) -> Iterator[Rule]:
    several = bool(s.models_memory_bytes)
    reason = f": with {PREFIX}MODELS_MEMORY_BYTES the server has several models"
    yield Rule("models_full", "evict or refuse", s.models_full in ("evict", "refuse"))
    yield Rule("models_memory_bytes", "at least 0", s.models_memory_bytes >= 0)
    for name in ALONE:
        yield Rule(name, "nothing" + reason, not (several and getattr(s, name)))
    yield Rule("admin_port", "-1" + reason, not several or s.admin_port < 0)
