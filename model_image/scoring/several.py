"""The routes of a server of several models: SageMaker's multi-model contract and the Open Inference Protocol.

Source: Amazon SageMaker Developer Guide, "Custom Containers Contract for Multi-Model Endpoints"; Triton Inference
Server, "Model Repository Extension" of the Open Inference Protocol.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, cast
from urllib.parse import quote, unquote_to_bytes

import httptools
import orjson

from scoring import codec, inference, metrics, openapi
from scoring.contract import IMAGE_CONTRACT, SCHEMA_VERSION, XGBOOST_VERSION
from scoring.errors import Fault, RequestError, ScoringError, owner
from scoring.hosting import Wanted
from scoring.messages import JSON, Response, error_response
from scoring.metrics import Family, Sample
from scoring.refusals import Failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scoring.hosting import Hosted, Hosting
    from scoring.messages import Request, Respond
    from scoring.settings import ServerSettings

    # Takes the model's name from the path, or nothing.
    Answer = Callable[[Request, Respond, str], None]

EXTENSIONS = (*inference.EXTENSIONS, "model_repository")

EXPECTED = '{"model_name": "name", "url": "/path/of/a/model/directory"}'

EVENTS = ("loaded", "refused", "unloaded", "evicted")


class Operation(NamedTuple):
    """One method of one path."""

    method: bytes
    path: str
    """``{name}`` stands for the model's name."""
    answer: Answer


class SeveralModels:
    """Answers requests about several models."""

    def __init__(self, settings: ServerSettings, hosting: Hosting) -> None:
        """Answer with the models that ``hosting`` has loaded."""
        self.draining = False
        """Readiness is 503; requests are still answered."""
        self.prepared = False
        """The models that are loaded at the start have been tried."""
        self.metrics = metrics.Metrics()
        """Of the requests that no loaded model answers."""
        self._failures = Failures(self.about)
        self._hosting = hosting
        self._settings = settings
        self._retry_after = b"Retry-After: %d\r\n" % settings.retry_after_s
        self._tasks: set[asyncio.Task[None]] = set()
        repository = "/v2/repository/models/{name}"
        self.operations = (
            Operation(b"GET", "/ping", self._ping),
            Operation(b"GET", "/metrics", self._metrics),
            Operation(b"GET", "/version", self._version),
            Operation(b"GET", "/openapi.json", self._document),
            Operation(b"GET", "/models", self._list),
            Operation(b"POST", "/models", self._load),
            Operation(b"GET", "/models/{name}", self._describe),
            Operation(b"DELETE", "/models/{name}", self._unload),
            Operation(b"POST", "/models/{name}/invoke", self._to_model),
            Operation(b"GET", "/v2", self._server),
            Operation(b"GET", "/v2/health/live", self._live),
            Operation(b"GET", "/v2/health/ready", self._ready),
            Operation(b"GET", "/v2/models/{name}", self._to_model),
            Operation(b"GET", "/v2/models/{name}/ready", self._to_model),
            Operation(b"POST", "/v2/models/{name}/infer", self._to_model),
            Operation(b"POST", "/v2/repository/index", self._index),
            Operation(b"POST", repository + "/load", self._repository_load),
            Operation(b"POST", repository + "/unload", self._repository_unload),
        )
        """Every method of every path."""

    @property
    def ready(self) -> bool:
        """Whether new requests should come here; a server that waits to be given models is ready."""
        return self.prepared and not self.draining

    def drain(self) -> None:
        """Tell balancers to go elsewhere."""
        self.draining = True
        for model in self._hosting.models.values():
            model.application.draining = True

    def tick(self) -> None:
        """Count what the models have kept; to be called about twice a second."""
        for model in self._hosting.models.values():
            model.application.metrics.tick()

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request; every error becomes an answer."""
        model = self._hosting.by_target.get(request.target)
        if model is not None:
            self._hosting.use(model)
            return model.application.handle(request, respond)
        self.metrics.in_flight += 1

        def answer(response: Response) -> None:
            self.metrics.in_flight -= 1
            respond(response)

        try:
            return self._operate(request, answer)
        except Exception as error:  # noqa: BLE001 # a defect fails one request, not the connection
            return answer(self._failure(request, error))

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """Count an answer: with its model, or under its path."""
        model = self._hosting.by_target.get(target)
        if model is not None:
            return model.application.answered(target, status, seconds)
        return self.metrics.answered(self._label(target), status, seconds)

    def about(self, target: bytes) -> dict[str, str]:
        """Tell route, model and version, or the route alone of what no loaded model answers."""
        model = self._hosting.by_target.get(target)
        return model.application.about(target) if model is not None else {"route": self._label(target)}

    def _label(self, target: bytes) -> str:
        found = self._find(target)[0] if target else []
        return found[0].path if found else "other"

    def _operate(self, request: Request, respond: Respond) -> None:
        found, name = self._find(request.target)
        if not found:
            known = ", ".join(dict.fromkeys(operation.path for operation in self.operations))
            raise RequestError(Fault.NOT_FOUND, f"no such path; there are {known}")
        method = b"GET" if request.method == b"HEAD" else request.method
        for operation in found:
            if operation.method == method:
                return operation.answer(request, respond, name)
        methods = b", ".join([m for o in found for m in ((b"GET", b"HEAD") if o.method == b"GET" else (o.method,))])
        error = RequestError(Fault.METHOD_NOT_ALLOWED, f"{found[0].path} knows {methods.decode()}")
        return respond(error_response(error, b"Allow: %b\r\n" % methods, request.target))

    def _find(self, target: bytes) -> tuple[list[Operation], str]:
        """Give the operations of a path and the name in it."""
        try:
            path = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserError:
            return [], ""
        parts = path.decode("latin-1").split("/")
        names: dict[str, str] = {}
        for operation in self.operations:
            wanted = operation.path.split("/")
            if len(wanted) == len(parts) and all(w in (p, "{name}") for w, p in zip(wanted, parts, strict=True)):
                place = wanted.index("{name}") if "{name}" in wanted else 0
                names[operation.path] = unquote_to_bytes(parts[place]).decode(errors="replace")
        # a literal path goes before one with a name in the same place
        best = min(names, key=lambda found: found.count("{"), default="")
        return [operation for operation in self.operations if operation.path == best], names.get(best, "")

    def _failure(self, request: Request, error: Exception) -> Response:
        if isinstance(error, ScoringError) and not isinstance(error, RequestError):
            error = RequestError(Fault.MODEL_REFUSED, str(error))
        if not isinstance(error, RequestError):
            self._failures.note(request, error)
            error = RequestError(owner(error).fault, "the server failed to answer; its log says why")
        headers = self._retry_after if error.fault is Fault.OVERLOADED else b""
        return error_response(error, headers, request.target)

    def _later(self, request: Request, respond: Respond, work: Awaitable[Response]) -> None:
        async def run() -> None:
            try:
                response = await work
            except Exception as error:  # noqa: BLE001 # as in handle
                response = self._failure(request, error)
            respond(response)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # about one model

    def _to_model(self, request: Request, respond: Respond, name: str) -> None:
        """Answer for a target that is written otherwise than the model's own, or refuse it."""
        model = self._hosting.get(name)
        self._hosting.use(model)
        target = self._find(request.target)[0][0].path.replace("{name}", quote(name, safe="")).encode()
        model.application.handle(request._replace(target=target), respond)

    def _describe(self, _request: Request, respond: Respond, name: str) -> None:
        respond(Response(200, orjson.dumps(_described(self._hosting.get(name)))))

    def _unload(self, _request: Request, respond: Respond, name: str) -> None:
        self._hosting.unload(name)
        respond(Response(200, b"{}"))

    def _list(self, _request: Request, respond: Respond, _name: str) -> None:
        described = [_described(model) for model in self._hosting.models.values()]
        respond(Response(200, orjson.dumps({"models": described})))

    def _load(self, request: Request, respond: Respond, _name: str) -> None:
        self._check_loading(request)
        document = codec.json_object(request.body, EXPECTED)
        name, url = document.get("model_name"), document.get("url")
        if not isinstance(name, str) or not isinstance(url, str) or not url or document.keys() - {"model_name", "url"}:
            raise RequestError(Fault.MALFORMED_BODY, f"expected {EXPECTED}")

        async def load() -> Response:
            return Response(200, orjson.dumps(_described(await self._hosting.load(name, Path(url)))))

        self._later(request, respond, load())

    def _check_loading(self, request: Request) -> None:
        # a page in a browser cannot send this type here without asking first
        if request.content_type.partition(b";")[0].strip().lower() != JSON:
            raise RequestError(Fault.MEDIA_TYPE, "Content-Type must be application/json")
        if self.draining:
            raise RequestError(Fault.OVERLOADED, "the server is draining")

    # the repository

    def _index(self, request: Request, respond: Respond, _name: str) -> None:
        document = codec.json_object(request.body or b"{}", '{"ready": false}')
        only_ready = document.get("ready", False)
        if not isinstance(only_ready, bool):
            raise RequestError(Fault.MALFORMED_BODY, '"ready" must be true or false')

        async def index() -> Response:
            stored = await asyncio.to_thread(self._hosting.repository)
            names = sorted({*stored, *self._hosting.models, *self._hosting.loading})
            entries = [self._entry(name) for name in names]
            return Response(200, orjson.dumps([e for e in entries if not only_ready or e["state"] == "READY"]))

        self._later(request, respond, index())

    def _entry(self, name: str) -> dict[str, str]:
        hosting = self._hosting
        if name in hosting.models:
            version = hosting.models[name].application.model().version
            return {"name": name, "version": version, "state": "READY", "reason": ""}
        state = "LOADING" if name in hosting.loading else "UNAVAILABLE"
        return {"name": name, "state": state, "reason": hosting.reasons.get(name, "not loaded")}

    def _repository_load(self, request: Request, respond: Respond, name: str) -> None:
        self._check_loading(request)
        document = codec.json_object(request.body or b"{}", '{"parameters": {}}')
        wanted = _wanted(document.get("parameters", {}))

        async def load() -> Response:
            directory = await asyncio.to_thread(self._hosting.find, name)
            await self._hosting.load(name, directory, wanted, replace=True)
            return Response(200, b"{}")

        self._later(request, respond, load())

    def _repository_unload(self, _request: Request, respond: Respond, name: str) -> None:
        self._hosting.unload(name)
        respond(Response(200, b"{}"))

    # about the server

    def _ping(self, _request: Request, respond: Respond, _name: str) -> None:
        state = "draining" if self.draining else "ready" if self.ready else "loading"
        respond(Response(200 if self.ready else 503, orjson.dumps({"status": state})))

    def _server(self, _request: Request, respond: Respond, _name: str) -> None:
        respond(Response(200, inference.server_metadata(EXTENSIONS)))

    def _live(self, _request: Request, respond: Respond, _name: str) -> None:
        respond(Response(200, inference.LIVE))

    def _ready(self, _request: Request, respond: Respond, _name: str) -> None:
        respond(Response(200 if self.ready else 503, orjson.dumps({"ready": self.ready})))

    def _document(self, _request: Request, respond: Respond, _name: str) -> None:
        respond(Response(200, openapi.served(openapi.SEVERAL)))

    def _version(self, _request: Request, respond: Respond, _name: str) -> None:
        contract = {"image_contract": IMAGE_CONTRACT, "schema_version": SCHEMA_VERSION, "xgboost": XGBOOST_VERSION}
        respond(Response(200, orjson.dumps(contract)))

    def _metrics(self, _request: Request, respond: Respond, _name: str) -> None:
        hosting = self._hosting
        charged = [Sample(_label(model.name), model.charged_bytes) for model in hosting.models.values()]
        events = [Sample(f'event="{event}"', hosting.events[event]) for event in EVENTS]
        budget = [Sample("", self._settings.models_memory_bytes)]
        capture = hosting.capture
        own = [
            Family("slipway_model_charged_bytes", "gauge", "What a loaded model takes of the budget.", charged),
            Family("slipway_models_budget_bytes", "gauge", "Memory that all models may take.", budget),
            Family("slipway_model_events_total", "counter", "Loads, refusals, unloads and evictions.", events),
            *(metrics.of_capture(capture) if capture else ()),
        ]
        parts = [(_label(model.name), model.application.metrics.families()) for model in hosting.models.values()]
        body = metrics.exposition([("", [*self.metrics.of_requests(), *own]), *parts])
        respond(Response(200, body, metrics.CONTENT_TYPE.encode()))


def _label(name: str) -> str:
    return metrics.labels({"model": name})


def _described(model: Hosted) -> dict[str, str | int]:
    described: dict[str, str | int] = {"modelName": model.name, "modelUrl": model.directory}
    return described | model.application.model().identity | {"charged_bytes": model.charged_bytes}


def _wanted(parameters: object) -> Wanted:
    if not isinstance(parameters, dict):
        raise RequestError(Fault.MALFORMED_BODY, '"parameters" must be an object')
    values = cast("dict[str, object]", parameters)
    known: dict[str, int] = {key: v for key, v in values.items() if key in Wanted._fields and type(v) is int}
    if known.keys() != values.keys():
        _refuse_parameters()
    return Wanted(**known)


def _refuse_parameters() -> NoReturn:
    raise RequestError(Fault.MALFORMED_BODY, f'"parameters" may hold whole numbers {" and ".join(Wanted._fields)}')
