"""What a container says, which SageMaker and Kubernetes collect as its log.

Training prints lines for people and for the expressions with which SageMaker finds metrics. A server logs records, as
JSON lines or as text, and nothing of what its callers send: of a failed request neither a value nor the text of the
exception, which may quote one. The sidecar that ships captures (`shipping`) logs in the same forms.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

JSON, TEXT = "json", "text"
FORMS = (TEXT, JSON)
"""Forms of a server's log."""

MOST_RECORDS = 10
"""Records of one kind in a second."""

SECOND = 1.0

logger = logging.getLogger(__name__)


def say(line: str) -> None:
    """Write one line at once, so that the log follows the run."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def start(form: str) -> None:
    """Log records from now on: news to standard output, from warnings on to standard error.

    Args:
        form: One of `FORMS`; anything else is text, and the settings refuse it.
    """
    formatter = _Json() if form == JSON else _Text()
    news, problems = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    news.addFilter(lambda record: record.levelno < logging.WARNING)
    problems.setLevel(logging.WARNING)
    for handler in (news, problems):
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[news, problems])


def fields(**values: object) -> dict[str, object]:
    """Give what a logging call takes as ``extra`` to have these members in its record; empty ones are left out."""
    return {"fields": {name: value for name, value in values.items() if value}}


def origin(error: BaseException) -> str:
    """Tell where an exception, and those that it came from, were raised: types and frames, without their texts."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        lines += [f"{type(cause).__module__}.{type(cause).__qualname__}\n", *traceback.format_tb(cause.__traceback__)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "".join(lines).rstrip()


def defect(logger: logging.Logger, message: str, error: BaseException, **members: object) -> None:
    """Log an error that nobody expected, which may come from what a caller sent."""
    logger.error(message, extra=fields(**members, exception=origin(error)))


def unhandled(_loop: AbstractEventLoop, context: dict[str, object]) -> None:
    """Log what no code of a server has caught; the loop's own text may show arguments, hence requests."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        defect(logger, "the event loop met an error that nothing handles", error)
    else:
        logger.error("the event loop met a problem that nothing handles")


class Bounded:
    """Lets some records a second through and counts the others: the counters of ``/metrics`` know of all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with a whole second's room; ``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._until = clock() + SECOND
        self._room = MOST_RECORDS
        self._left_out = 0

    def admits(self) -> bool:
        """Whether one more record may be written; if not, it is counted."""
        self._renew()
        self._left_out += not self._room
        admitted = self._room > 0
        self._room -= admitted
        return admitted

    def left_out(self) -> int:
        """Give, once, how many records were left out in seconds that are over."""
        if self._clock() < self._until:
            return 0
        count, self._left_out = self._left_out, 0
        return count

    def _renew(self) -> None:
        now = self._clock()
        if now >= self._until:
            self._until, self._room = now + SECOND, MOST_RECORDS


def _members(record: logging.LogRecord) -> dict[str, object]:
    return getattr(record, "fields", {})


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        document: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= _members(record)
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


class _Text(logging.Formatter):
    """For people: news as they are, and what is wrong with its members behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        members = [f"{name}={value}" for name, value in _members(record).items()]
        return " ".join([f"{record.levelname} {record.name}: {text}", *members])
