"""Where our server's processor time goes, part by part: `python -m bench.parts`, the table of `docs/performance.md`.

The whole and the transport are the server's own processor time under load, from another core. The other parts are the
image's functions, called here on that core with the batches that so many connections make.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import uvloop

from bench import processes, report, windows, workload
from bench.answers import Oracle
from bench.load import Load
from bench.pod import FOLDER, launch
from bench.windows import Point
from scoring import standalone
from scoring.batcher import as_texts
from scoring.codec import Decoder, encode_csv, encode_json
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.workload import Workload

T = TypeVar("T")

POINTS = (Point("csv", 1, 1), Point("csv", 1, 64), Point("json", 1, 64), Point("csv", 100, 16))
PATH = "/invocations"
MARKERS = {"csv": b"", "json": b'"predictions"'}
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
ROUNDS, SECONDS = 5, 1.5
CALL_SECONDS = 0.2
MOST_ROWS = 512
"""In one call of the model, as the server's default."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Microseconds of processor time for one request, medians over the rounds."""

    whole: float
    transport: float
    """Kernel, event loop and HTTP: an answer to `GET /ping` by as many connections."""
    parse: float
    predict: float
    write: float

    def line(self, point: Point) -> str:
        """A row of the table."""
        rest = self.whole - self.transport - self.parse - self.predict - self.write
        cells = (self.whole, self.transport, self.parse, self.predict, self.write, rest)
        return f"| {point.name} | {' | '.join(f'{cell:.1f}' for cell in cells)} |"


def under_load(server: processes.Server, load: Load) -> float:
    """Microseconds of the server for one answer."""
    tally, _, cpu, *_ = uvloop.run(windows.measure(load, server.tree(), SECONDS))
    if tally.failures:
        raise SystemExit(f"answers failed: {dict(tally.failures)}")
    return cpu / tally.answers.total() * 1e6


def called(function: Callable[[T], object], inputs: Sequence[T]) -> float:
    """Microseconds of one call, warm; the inputs take turns, so that branches and caches do not learn one of them."""
    for given in inputs:
        function(given)
    end, calls, began = time.process_time() + CALL_SECONDS, 0, time.process_time()
    while time.process_time() < end:
        for given in inputs:
            function(given)
        calls += len(inputs)
    return (time.process_time() - began) / calls * 1e6


def take(server: processes.Server, made: Workload, point: Point, core: int) -> Parts:
    """Measure one point once."""
    wires = made.wires(point.rows, point.form, PATH)

    def load(requests: list[bytes], judge: Callable[[int, int, bytes, bytes], str]) -> Load:
        return Load(lambda: server.port, requests, judge, connections=point.concurrency)

    whole = under_load(server, load(wires, Oracle(made.answers[point.rows], MARKERS[point.form], 0.0)))
    transport = under_load(
        server, load([PING], lambda _place, status, _head, _body: "" if status == processes.OK else "no")
    )
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return Parts(whole, transport, *stages(made, point))
    finally:
        os.sched_setaffinity(0, own)


def stages(made: Workload, point: Point) -> tuple[float, float, float]:
    """Microseconds of parsing, predicting and writing for one request, in batches of so many connections."""
    found = standalone.read(made.model)
    predictor, decoder = Predictor(found.model, found.schema), Decoder(found.schema, MOST_ROWS)
    bodies = [workload.FORMS[point.form][1](rows) for rows in made.rows[point.rows]]
    rows = made.rows[point.rows].reshape(-1, workload.FEATURES)
    size = min(point.rows * point.concurrency, MOST_ROWS)
    batches = [
        np.ascontiguousarray(batch) for batch in np.split(rows, range(size, len(rows), size)) if len(batch) == size
    ]
    answers = [predictor.predict(batch) for batch in batches]
    texts = [as_texts(answer)[: point.rows] for answer in answers]
    requests = size / point.rows
    return (
        called(decoder.csv if point.form == "csv" else decoder.json, bodies),
        called(predictor.predict, batches) / requests,
        called(as_texts, answers) / requests + called(encode_csv if point.form == "csv" else encode_json, texts),
    )


def main() -> int:
    """Measure all points, and print the table."""
    client, core = (sorted(os.sched_getaffinity(0)) * 2)[:2]
    os.sched_setaffinity(0, {client})
    made = workload.make(FOLDER)
    server = launch(made, core, FOLDER / "parts")
    lines = [
        f"{report.machine()}\n",
        "| point | whole | transport | parse | predict | write | rest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    try:
        for point in POINTS:
            rounds = [take(server, made, point, core) for _ in range(ROUNDS)]
            names = Parts.__slots__
            lines.append(
                Parts(*(statistics.median(getattr(one, name) for one in rounds) for name in names)).line(point)
            )
    finally:
        server.stop()
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
