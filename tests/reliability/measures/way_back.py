"""Figure 25: back to the version before, after a promotion, within 30 seconds, verified by digest."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bench.load import post
from sandbox.loop.processes import wait_until
from sandbox.loop.services import get
from scoring import artifact
from scoring.predictor import Predictor
from tests.reliability.figures import Count, Run, measure
from tests.reliability.measures.rollouts import OK, READY_SECONDS, ROWS, Stage
from tests.support.servers import write_model

if TYPE_CHECKING:
    from sandbox.rollout.fleet import Fleet

BACK_SECONDS = 30.0
REPLICAS = 2
BETWEEN_SECONDS = 0.3
"""For how long a version serves before it has to go."""
MODELS = ("model", "worse")
"""Folders of two models that answer differently."""
LOADED = re.compile(r'manifest_sha256="([0-9a-f]{64})"')
"""In the metrics of a server."""


@dataclass(slots=True)
class Ways:
    """Ways back, one after the other between two versions of different models."""

    run: Run
    seconds: list[float] = field(default_factory=list[float])
    """From each order until the last answer of the version that had to go."""
    last: dict[str, float] = field(default_factory=dict[str, float])
    """When each version answered last."""
    wrong: Counter[str] = field(default_factory=Counter[str])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    expected: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def write(self) -> None:
        """Write both models, and what each answers."""
        for seed, name in enumerate(MODELS, start=1):
            write_model(self.run.folder / name, seed)
            found = artifact.read(self.run.folder / name)
            answers = Predictor(found.model, found.schema).predict(ROWS)
            self.digests[name] = found.digest
            self.expected[name] = [float(str(answer)) for answer in answers]
        first, second = self.expected.values()
        if np.allclose(first, second):
            raise AssertionError("both models answer alike")

    def check(self, place: int, version: str, body: bytes) -> str:
        """Each version answers by its own model, bit by bit."""
        self.last[version] = time.monotonic()
        return "" if float(body) == self.expected[MODELS[int(version[1:])]][place] else "an answer of another model"

    def walk(self, stage: Stage, worse: Fleet) -> None:
        """Go back and forth; each is a way back to what served before."""
        serving, before = stage.fleets[0], worse
        for _ in range(self.run.size):
            time.sleep(BETWEEN_SECONDS)
            serving, before = before, serving
            began = time.monotonic()
            back = stage.driver(serving, before).back(REPLICAS, READY_SECONDS)
            ended = time.monotonic()
            self.wrong["not back"] += not back
            self.wrong["another digest serves"] += self._digests(serving) != {self.digests[self._model(serving)]}
            time.sleep(BETWEEN_SECONDS)
            self.seconds.append(max(ended, self.last.get(before.version.name, 0.0)) - began)

    def _model(self, fleet: Fleet) -> str:
        return fleet.version.model_dir.name

    def _digests(self, fleet: Fleet) -> set[str]:
        """What each process says that it has loaded."""
        return {self._digest(port) for port in fleet.ports()}

    def _digest(self, port: int) -> str:
        status, body = get(port, "/metrics")
        found = LOADED.search(body.decode()) if status == OK else None
        return found[1] if found else f"status {status}"


@measure(
    25,
    "way back after promotion, behind a proxy",
    target="0 of 100 ways back took more than 30 s, left another digest in service, or failed a request",
    floor=4,
    full=100,
)
def way_back(run: Run) -> Count:
    """Time ways back under load, from the order until each process has the old digest and nobody answers otherwise."""
    ways = Ways(run)
    ways.write()
    stage = Stage(run, [post("/invocations", "text/csv", f"{a},{b}".encode()) for a, b in ROWS], ways.check)

    def prepare() -> None:
        if not wait_until(stage.fleets[0].ready, READY_SECONDS):
            raise AssertionError("the first version does not become ready")

    tally = stage.during(lambda: ways.walk(stage, stage.fleet(model=MODELS[1])), prepare)
    late = sum(seconds > BACK_SECONDS for seconds in ways.seconds)
    failures = +(tally.failures + ways.wrong)
    middle, most = float(np.median(ways.seconds)), max(ways.seconds)
    detail = f"median {middle:.2f} s, longest {most:.2f} s; {tally.sent:,} requests, {dict(failures) or 'none failed'}"
    return Count(denominator=len(ways.seconds), failures=failures.total() + late, detail=detail)
