"""The whole server but its sockets: bytes go into a connection, and what the application saw and answered is kept."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xgboost

from scoring import artifact, served
from scoring.application import ModelApplication
from scoring.contract import Feature, Kind, Schema
from scoring.endpoint import Endpoint
from scoring.http1 import Connection
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.messages import Request, Respond, Response

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

NUMERIC = Schema("y", (Feature("a"), Feature("b"), Feature("c"), Feature("d")))
MIXED = Schema("y", (Feature("a"), Feature("k", Kind.CATEGORICAL, ("red", 'b"lue', "gr,een", "ü")), Feature("b")))
MAX_ROWS = 50


class Exchange(NamedTuple):
    """A request as the application was given it, and its answer."""

    request: Request
    response: Response


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class InProcess:
    """A server of one small model."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        """Train the model; ``folder`` does not exist yet."""
        draw = np.random.default_rng(7)
        rows = draw.normal(0, 10, (400, schema.width)).astype(np.float32)
        for place, feature in enumerate(schema.features):
            if feature.kind is Kind.CATEGORICAL:
                rows[:, place] = draw.integers(len(feature.categories), size=len(rows))
        labels = (rows.sum(axis=1) > 0).astype(np.float32)
        names: Any = {"feature_names": list(schema.names), "feature_types": schema.xgboost_types}
        data = xgboost.DMatrix(rows, labels, enable_categorical=True, nthread=1, **names)
        params = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": 7}
        self.booster = xgboost.train(params, data, 20)
        provenance = artifact.Provenance(hyperparameters={}, seed=7, code_version=None, data={}, metrics={})
        artifact.write(folder, bytes(self.booster.save_raw("ubj")), schema, {}, provenance)
        self.schema = schema
        self.seen: list[Exchange] = []
        settings = ServerSettings(max_rows=MAX_ROWS, max_body_bytes=20_000, max_header_bytes=4_000)
        self._turns: deque[Callable[[], None]] = deque()
        self._application = ModelApplication(settings)
        found = artifact.read(folder)
        self._application.use(served.load(found, settings, self._turns.append, self._application.metrics.predicted))
        self._endpoint = Endpoint(self, settings, lambda: 0.0)

    def handle(self, request: Request, respond: Respond) -> None:
        """As the application's, with the answer kept."""

        def answer(response: Response) -> None:
            self.seen.append(Exchange(request, response))
            respond(response)

        self._application.handle(request, answer)

    def answered(self, target: bytes, status: int, seconds: float) -> None:
        """As the application's."""
        self._application.answered(target, status, seconds)

    def about(self, target: bytes) -> dict[str, str]:
        """As the application's."""
        return self._application.about(target)

    def ask(self, pieces: list[bytes]) -> bytes:
        """Send bytes on a connection of their own, piece by piece, then end it; give what came back.

        Raises:
            AssertionError: something of the connection outlived it.
        """
        self.seen.clear()
        transport, connection = Transport(), Connection(self._endpoint)
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
        self._run_turns()
        connection.eof_received()
        self._run_turns()
        connection.connection_lost(None)
        assert not self._endpoint.buffered_bytes, "bytes of a body are still counted"
        assert not self._endpoint.connections, "the connection is still known"
        assert not self._application.metrics.in_flight, "a request was not answered"
        return transport.sent

    def answer_with(self, predict: Predict) -> None:
        """Put something else in the place of the model."""
        self._application.model().batcher.around(lambda _: predict)

    def _run_turns(self) -> None:
        while self._turns:
            self._turns.popleft()()
