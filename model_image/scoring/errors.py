"""Who owns a failure, and what follows from that: exit code, failure text and HTTP status, in one place.

Exit codes follow SageMaker's rule that any non-zero status fails the job; the text goes to ``output/failure``, of
which ``DescribeTrainingJob`` returns the first 1024 characters.
Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker AI Processes Training Output".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from http import HTTPStatus

FAILURE_TEXT_LIMIT = 1024
"""Characters of ``output/failure`` that SageMaker keeps."""

PROBLEM_LIMIT = 8
"""Problems listed one by one before a message says how many more there are."""


class ScoringError(Exception):
    """Base of the errors this package raises on purpose; its text is written for the person who reads it."""


class UserError(ScoringError):
    """The caller's data, configuration or request is wrong; trying again without changing it fails again."""


class AlgorithmError(ScoringError):
    """Our own code or the algorithm broke its promise: a defect to report."""


class PlatformError(ScoringError):
    """The surroundings failed (disk, memory, a stop signal); the same call may succeed later."""


class ArtifactError(UserError):
    """A model directory is incomplete, altered, or made for another image."""


class Fault(enum.Enum):
    """What can be wrong with one request: a stable code for clients, and its HTTP status."""

    BAD_REQUEST = ("bad_request", HTTPStatus.BAD_REQUEST)
    EMPTY_BODY = ("empty_body", HTTPStatus.BAD_REQUEST)
    MALFORMED_BODY = ("malformed_body", HTTPStatus.BAD_REQUEST)
    FEATURE_COUNT = ("feature_count", HTTPStatus.BAD_REQUEST)
    UNKNOWN_FEATURE = ("unknown_feature", HTTPStatus.BAD_REQUEST)
    WRONG_TYPE = ("wrong_type", HTTPStatus.BAD_REQUEST)
    OUT_OF_RANGE = ("out_of_range", HTTPStatus.BAD_REQUEST)
    NOT_FOUND = ("not_found", HTTPStatus.NOT_FOUND)
    METHOD_NOT_ALLOWED = ("method_not_allowed", HTTPStatus.METHOD_NOT_ALLOWED)
    NOT_ACCEPTABLE = ("not_acceptable", HTTPStatus.NOT_ACCEPTABLE)
    TIMEOUT = ("request_timeout", HTTPStatus.REQUEST_TIMEOUT)
    CONFLICT = ("conflict", HTTPStatus.CONFLICT)
    NOT_LOADED = ("model_not_loaded", HTTPStatus.NOT_FOUND)
    ALREADY_LOADED = ("model_already_loaded", HTTPStatus.CONFLICT)
    LENGTH_REQUIRED = ("length_required", HTTPStatus.LENGTH_REQUIRED)
    BODY_TOO_LARGE = ("body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    TOO_MANY_ROWS = ("too_many_rows", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    MEDIA_TYPE = ("unsupported_media_type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    EXPECTATION = ("expectation_failed", HTTPStatus.EXPECTATION_FAILED)
    HEADERS_TOO_LARGE = ("headers_too_large", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    MODEL_REFUSED = ("model_refused", HTTPStatus.UNPROCESSABLE_ENTITY)
    NO_MEMORY = ("no_memory_for_model", HTTPStatus.INSUFFICIENT_STORAGE)
    OVERLOADED = ("overloaded", HTTPStatus.SERVICE_UNAVAILABLE)
    INTERNAL = ("internal", HTTPStatus.INTERNAL_SERVER_ERROR)

    @property
    def code(self) -> str:
        """The code that clients may branch on; it never changes its meaning."""
        return self.value[0]

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that goes with the code."""
        return self.value[1]


class RequestError(UserError):
    """One request cannot be answered; the connection and every other request are unaffected."""

    def __init__(self, fault: Fault, message: str, *, row: int | None = None, column: str | None = None) -> None:
        """Describe the fault; ``row`` counts from 1, ``column`` is a feature name."""
        super().__init__(message)
        self.fault = fault
        self.row = row
        self.column = column


@dataclass(frozen=True, slots=True)
class Owner:
    """What an error's owner decides."""

    label: str
    """First word of the failure text."""
    exit_code: int
    """Status of the process that dies of it."""
    fault: Fault
    """Answer to an HTTP request that meets it."""


ALGORITHM_OWNER = Owner("AlgorithmError", 2, Fault.INTERNAL)

OWNERS: dict[type[BaseException], Owner] = {
    UserError: Owner("UserError", 1, Fault.BAD_REQUEST),
    AlgorithmError: ALGORITHM_OWNER,
    PlatformError: Owner("PlatformError", 3, Fault.OVERLOADED),
    OSError: Owner("PlatformError", 3, Fault.OVERLOADED),
    MemoryError: Owner("PlatformError", 3, Fault.OVERLOADED),
}
"""The nearest base class of an error decides; whatever is not listed is a defect of ours."""


def owner(error: BaseException) -> Owner:
    """Tell who has to act on an error."""
    return next((OWNERS[base] for base in type(error).__mro__ if base in OWNERS), ALGORITHM_OWNER)


def full_text(error: BaseException) -> str:
    """Give the text for the log: owner and whole message."""
    message = str(error) or type(error).__name__
    if not isinstance(error, ScoringError):
        message = f"{type(error).__name__}: {message}"
    return f"{owner(error).label}: {message}"


def failure_text(error: BaseException) -> str:
    """Give the text for ``output/failure``, at most 1024 characters: whole lines, and how many more the log has."""
    text = full_text(error)
    if len(text) <= FAILURE_TEXT_LIMIT:
        return text
    lines = text.split("\n")
    for kept in range(len(lines) - 1, 0, -1):
        shown = "\n".join([*lines[:kept], f"… and {len(lines) - kept} more lines, which the log has"])
        if len(shown) <= FAILURE_TEXT_LIMIT:
            return shown
    return text[: FAILURE_TEXT_LIMIT - 1] + "…"


def summarize(problems: list[str]) -> str:
    """Join problems into one message: one a line, the first few in full, then how many more."""
    shown = problems[:PROBLEM_LIMIT]
    rest = len(problems) - len(shown)
    return "\n".join([*shown, f"and {rest} more of this kind"] if rest else shown)
