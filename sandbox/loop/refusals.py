"""Calls of the SageMaker API that fail when a test asks for it, in front of everything that answers them."""

from __future__ import annotations

import json
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox.loop.spec import REFUSE_PATH
from sandbox.loop.wire import answer, body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Refusals:
    """WSGI application: some calls are refused, or done and their answers lost; the rest passes."""

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner
        self._refused, self._lost = Counter[str](), Counter[str]()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") == REFUSE_PATH:
            wanted = json.loads(body(environ))
            kind = self._lost if wanted["done"] else self._refused
            kind[wanted["operation"]] = wanted["times"]
            return answer(start_response, HTTPStatus.OK, {})
        operation = str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
        if self._refused[operation]:
            self._refused[operation] -= 1
            document = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return answer(start_response, HTTPStatus.BAD_REQUEST, document)
        if self._lost[operation]:
            self._lost[operation] -= 1
            b"".join(self._inner(environ, _unheard))
            return answer(start_response, HTTPStatus.SERVICE_UNAVAILABLE, {"__type": "ServiceUnavailable"})
        return self._inner(environ, start_response)


def _unheard(_status: str, _headers: list[tuple[str, str]], _info: object = None) -> Callable[[bytes], object]:
    """Take an answer that nobody hears."""
    return len
