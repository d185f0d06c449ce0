"""HTTP messages as values: what a connection hands to the application, and what it gets back."""

from __future__ import annotations

import email.utils
import http
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scoring.errors import RequestError

    Respond = Callable[["Response"], None]

JSON = b"application/json"
CSV = b"text/csv"
NPY = b"application/x-npy"
OCTETS = b"application/octet-stream"

PROTOCOL_PREFIX = b"/v2"
"""Begins every path of the Open Inference Protocol."""

EMPTY: Mapping[bytes, bytes] = MappingProxyType({})

REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}


class Request(NamedTuple):
    """A complete request."""

    method: bytes
    target: bytes
    """As in the request line, with query and, in absolute form, scheme and authority."""
    content_type: bytes
    accept: bytes
    body: bytes
    started: float
    """Loop time of its first byte, in seconds."""
    tensor_header: bytes = b""
    """Value of ``Inference-Header-Content-Length``."""
    headers: Mapping[bytes, bytes] = EMPTY
    """All headers that this server reads, by lower-case name."""


class Response(NamedTuple):
    """An answer; framing and connection headers are the connection's."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: bytes = b""
    """Further header lines, each with its CRLF."""
    code: str = ""
    """Of a refusal: what clients and logs know it by."""
    alone: bytes = b""
    """The answers without what explains them, where the body has both: what data capture keeps."""


def plain(response: Response) -> Response:
    """Give an answer without what explains it."""
    return response._replace(body=response.alone) if response.alone else response


class Route(NamedTuple):
    """What a path answers."""

    method: bytes
    answer: Callable[[Request, Respond], None]
    label: str
    """Name in the metrics."""


def error_response(error: RequestError, headers: bytes = b"", target: bytes = b"") -> Response:
    """Give the answer to a request that cannot be served: a stable code, a sentence, row and column if known.

    Args:
        error: What is wrong.
        headers: Further header lines.
        target: The request's target; under ``/v2`` ``error`` is the sentence itself, as that protocol wants it.
    """
    detail: dict[str, str | int] = {"code": error.fault.code, "message": str(error)}
    detail |= {"row": error.row} if error.row is not None else {}
    detail |= {"column": error.column} if error.column is not None else {}
    form = {"error": str(error), "code": error.fault.code} if target.startswith(PROTOCOL_PREFIX) else {"error": detail}
    return Response(error.fault.status.value, orjson.dumps(form), JSON, headers, error.fault.code)


class Writer:
    """Renders answers for HTTP/1.1; the parts that repeat are kept until the second changes."""

    def __init__(self) -> None:
        """Start without a kept part."""
        self._prefixes: dict[tuple[int, bytes, bytes], bytes] = {}

    def forget(self) -> None:
        """Drop what is kept; to be called about once a second, because the ``Date`` header is part of it."""
        self._prefixes.clear()

    def render(self, response: Response, *, without_body: bool, connection: bytes) -> bytes:
        """Give the bytes of an answer.

        Args:
            response: The answer.
            without_body: Leave the body out, as for HEAD; its length is still told.
            connection: The ``Connection`` header line with its CRLF, or nothing.
        """
        key = (response.status, response.content_type, connection)
        prefix = self._prefixes.get(key) or self._prefix(key)
        body = b"" if without_body else response.body
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (prefix, response.headers, len(response.body), body)

    def _prefix(self, key: tuple[int, bytes, bytes]) -> bytes:
        status, content_type, connection = key
        date = email.utils.formatdate(usegmt=True).encode()
        line = b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\n%b"
        self._prefixes[key] = line % (status, REASONS[status], date, content_type, connection)
        return self._prefixes[key]
