"""Figure 15: whatever bytes come, the server neither fails nor reads something else than is written."""

from __future__ import annotations

import random
import re
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from scoring.errors import Fault
from tests.reliability import hostile, oracle
from tests.reliability.figures import Count, Run, measure
from tests.reliability.in_process import MIXED, NUMERIC, Exchange, InProcess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.reliability.hostile import Made

CODES = {fault.code: fault.status.value for fault in Fault}
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\nDate: ")
PREDICTIONS = (b"/invocations", b"/v2/models/model/infer")
TOGETHER = 500
"""Accepted requests whose rows the oracle predicts in one call."""


class Judge:
    """Sends inputs to one server and collects what is wrong with its answers."""

    def __init__(self, server: InProcess) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._server = server
        self._waiting: list[tuple[NDArray[np.float32], NDArray[np.float32], bytes]] = []

    def judge(self, made: Made) -> None:
        """Send one input."""
        data = b"".join(made.pieces)
        try:
            found = [*map(int, STATUS.findall(self._server.ask(made.pieces)))]
            self.statuses.update(found)
            assert found == [200] or not made.valid, f"a valid request got {found}"
            assert all(status < Fault.INTERNAL.status for status in found), f"answered {found}"
            for exchange in self._server.seen:
                self._check(exchange)
        except Exception as error:  # noqa: BLE001 # whatever goes wrong is a finding about this input
            self.wrong.append(f"{error!r} on {data!r}")
        if len(self._waiting) >= TOGETHER:
            self.compare()

    def _check(self, exchange: Exchange) -> None:
        response = exchange.response
        if response.status != HTTPStatus.OK:
            document: dict[str, Any] = orjson.loads(response.body)
            code = document["code"] if "code" in document else document["error"]["code"]
            assert CODES[code] == response.status, f"code {code} with status {response.status}"
        elif exchange.request.method == b"POST" and exchange.request.target.endswith(PREDICTIONS):
            rows = oracle.rows(exchange, self._server.schema)
            self._waiting.append((rows, oracle.answers(exchange), exchange.request.body))

    def compare(self) -> None:
        """Compare the accepted requests that wait with XGBoost's own interface, bit by bit."""
        if not self._waiting:
            return
        together = np.concatenate([rows for rows, _, _ in self._waiting])
        expected = np.asarray(self._server.booster.inplace_predict(together), dtype=np.float32)
        place = 0
        for rows, answers, body in self._waiting:
            if answers.tobytes() != expected[place : place + len(rows)].tobytes():
                self.wrong.append(f"another answer than XGBoost's on {body!r}")
            place += len(rows)
        self._waiting.clear()


def fuzz(run: Run) -> tuple[Counter[int], list[str]]:
    """Send inputs to a server of numbers and to one with categories; give statuses and findings."""
    draw = random.Random(run.seed)  # noqa: S311 # repeatable, not secret
    schemas = (NUMERIC, MIXED)
    judges = [Judge(InProcess(run.folder / str(place), schema)) for place, schema in enumerate(schemas)]
    for number in range(run.size):
        judges[number % 2].judge(hostile.make(draw, schemas[number % 2]))
    for judge in judges:
        judge.compare()
    return judges[0].statuses + judges[1].statuses, judges[0].wrong + judges[1].wrong


@measure(
    15,
    "malformed requests",
    target="0 of 200,000 generated requests answered by a 5xx or wrongly; every refusal has its stable code",
    floor=3_000,
    full=200_000,
)
def malformed_requests(run: Run) -> Count:
    """Count inputs that the server answered by a 5xx, without a stable code, or with another value than XGBoost."""
    statuses, wrong = fuzz(run)
    told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return Count(denominator=run.size, failures=len(wrong), detail=f"{told}; seed {run.seed}" + "".join(wrong[:1]))
