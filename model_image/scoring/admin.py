"""The operator's routes, on a listener of their own that is bound to loopback: which model is served, and another one.

The paths and bodies of the reading half are those of SageMaker's multi-model contract; ``POST /models/{name}`` is ours:
there the contract has only "load under a new name", and this server replaces the one model it has.
Source: Amazon SageMaker Developer Guide, "Custom Containers Contract for Multi-Model Endpoints".
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import orjson

from scoring import codec
from scoring.errors import Fault, RequestError, ScoringError, owner
from scoring.messages import JSON, Response, error_response

if TYPE_CHECKING:
    from scoring.application import ModelApplication
    from scoring.messages import Request, Respond
    from scoring.swap import Swapper

EXPECTED = '{"url": "/path/of/a/model/directory"}'

KEYS = frozenset(("url", "manifest_sha256"))
"""What a body may hold."""

logger = logging.getLogger(__name__)


class AdminApplication:
    """Answers the operator."""

    def __init__(self, application: ModelApplication, swapper: Swapper, name: str) -> None:
        """Administer an application's model of the given name."""
        self._application = application
        self._swapper = swapper
        self._name = name
        self._path = b"/models/" + quote(name, safe="").encode()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request; every error becomes an answer."""
        known = {
            (b"GET", b"/models"): self._list,
            (b"GET", self._path): self._describe,
            (b"POST", self._path): self._begin,
        }
        try:
            known.get((request.method, request.target), self._unknown)(request, respond)
        except RequestError as error:
            respond(error_response(error))

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """Count nothing: the metrics are about predictions."""

    def about(self, target: bytes) -> dict[str, str]:
        """Tell the route, which is one of few."""
        return {"route": "operator's, about the model" if target == self._path else "operator's"}

    def _list(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, orjson.dumps({"models": [self._described()]})))

    def _describe(self, _request: Request, respond: Respond) -> None:
        respond(Response(200, orjson.dumps(self._described())))

    def _unknown(self, _request: Request, _respond: Respond) -> NoReturn:
        known = f"GET /models, GET and POST {self._path.decode()}"
        raise RequestError(Fault.NOT_FOUND, f"no such path or method; there are {known}")

    def _described(self) -> dict[str, str]:
        model = self._application.model()
        return {"modelName": self._name, "modelUrl": str(self._swapper.directory)} | model.identity

    def _begin(self, request: Request, respond: Respond) -> None:
        if request.content_type != JSON:  # a page in a browser cannot send this type here without asking first
            raise RequestError(Fault.MEDIA_TYPE, "Content-Type must be application/json")
        document = codec.json_object(request.body, EXPECTED)
        url, digest = document.get("url"), document.get("manifest_sha256", "")
        if not isinstance(url, str) or not url or not isinstance(digest, str) or document.keys() - KEYS:
            raise RequestError(Fault.MALFORMED_BODY, f"expected {EXPECTED}, and optionally manifest_sha256")
        task = asyncio.get_running_loop().create_task(self._swap(Path(url), digest, respond))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _swap(self, directory: Path, digest: str, respond: Respond) -> None:
        try:
            await self._swapper.swap(directory, digest)
        except RequestError as error:
            respond(error_response(error))
        except ScoringError as error:
            respond(error_response(RequestError(Fault.MODEL_REFUSED, str(error))))
        except Exception as error:
            logger.exception("a model could not be loaded")
            respond(error_response(RequestError(owner(error).fault, "the server failed to load it; its log says why")))
        else:
            respond(Response(200, orjson.dumps(self._described())))
