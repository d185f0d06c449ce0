"""Requests and answers of the JSON protocol that SageMaker's API speaks, on WSGI."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http import HTTPStatus
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Operations(Protocol):
    """Operations of an API that are answered here and not by moto."""

    names: frozenset[str]
    """The operations."""

    def answer(self, operation: str, environ: WSGIEnvironment, moto: Moto) -> dict[str, object]:
        """The answer to one request; `moto` does what moto does with it."""
        ...


class Moto:
    """moto, asked in the name of one request."""

    def __init__(self, application: WSGIApplication, environ: WSGIEnvironment) -> None:
        self._application, self._environ = application, environ

    def ask(self) -> dict[str, Any] | None:
        """What moto answers; None when it refuses, and then `refusal` holds its words."""
        seen: list[str] = []

        def start(status: str, _headers: list[tuple[str, str]], _info: object = None) -> Any:  # noqa: ANN401 - WSGI
            seen.append(status)

        content = b"".join(self._application(self._environ, cast("StartResponse", start)))
        document = cast("dict[str, Any]", json.loads(content or b"{}"))
        self.refusal = (seen[0], document)
        return document if seen[0].startswith("200") else None

    refusal: tuple[str, dict[str, Any]] = ("", {})
    """Status and body of the last answer."""


def body(environ: WSGIEnvironment) -> bytes:
    """The request's body, put back for whoever reads it next."""
    content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(content)
    return content


def answer(start_response: StartResponse, status: HTTPStatus, document: object) -> Iterable[bytes]:
    """A JSON answer."""
    content = json.dumps(document).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(content)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [content]
