"""`make rollout`: the model that environment `local` serves is replaced by itself, or by a faulty copy, under load."""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.load import Load, Tally, post
from rollout.experiment import in_challenger, report
from rollout.judgement import Limits
from rollout.plan import WHOLE, Phase, Plan, State
from rollout.rates import Rate
from sandbox.loop import flights
from sandbox.loop.evaluate import split_label
from sandbox.loop.processes import REPOSITORY, wait_until
from sandbox.loop.spec import LoopError, LoopPaths
from sandbox.rollout.driver import Driver
from sandbox.rollout.fleet import Fleet, Version
from sandbox.rollout.proxy import Proxy
from sandbox.rollout.routes import CHALLENGER, VARIANT_HEADER
from scoring.metrics import LATENCY_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.console import Console

RATE: Final = 1_000.0
CONNECTIONS: Final = 64
REPLICAS: Final = 2
READY_SECONDS: Final = 30.0
WATCH_SECONDS: Final = 10.0
AB_PERCENT: Final = 30.0
OLD, NEW = "old", "new"
LATE: Final = 0.5
"""Probability from which a flight is predicted to be late."""
LIMITS: Final = Limits(min_requests=300, error_margin=0.01, slower=4, shift=0.1)
CANARY: Final = Plan(weights=(5, 25, 50), step_seconds=3, patience_seconds=60, ready_seconds=READY_SECONDS)
BLUE_GREEN: Final = Plan(weights=(WHOLE,), step_seconds=5, patience_seconds=60, ready_seconds=READY_SECONDS)


@dataclass(slots=True)
class Callers:
    """Passengers who ask about their flights of the held-out month."""

    rows: Sequence[str]
    labels: Sequence[float]
    answers: Counter[str] = field(default_factory=Counter[str])
    """By version."""
    _first: dict[int, tuple[str, bool]] = field(default_factory=dict[int, tuple[str, bool]])
    """Version and whether it was right, of the first answer to each caller."""

    def wires(self) -> list[bytes]:
        """Their requests; some of them ask for the new version."""
        choices = {True: f"{VARIANT_HEADER}: {CHALLENGER}\r\n", False: ""}
        return [
            post("/invocations", "text/csv", row.encode(), choices[in_challenger(str(place), "show", AB_PERCENT)])
            for place, row in enumerate(self.rows)
        ]

    def __call__(self, place: int, status: int, head: bytes, body: bytes) -> str:
        """Count an answer."""
        if status != HTTPStatus.OK:
            return f"status {status}"
        version = head.partition(b"\r\nmodel-version: ")[2].partition(b"\r")[0].decode()
        self.answers[version] += 1
        self._first.setdefault(place, (version, (float(body) >= LATE) == bool(self.labels[place])))
        return ""

    def compared(self) -> list[str]:
        """How many callers of each version were answered rightly, and whether chance explains the difference."""
        outcomes = {name: [right for version, right in self._first.values() if version == name] for name in (OLD, NEW)}
        rates = [Rate(sum(outcome), len(outcome)) for outcome in outcomes.values()]
        return report(rates[0], rates[1], AB_PERCENT).lines("predicted rightly")


def _rolling(driver: Driver) -> State:
    return driver.rolling(READY_SECONDS / 6 if driver.challenger.version.fault else READY_SECONDS)


def _canary(driver: Driver) -> State:
    return driver.canary(CANARY, LIMITS, replicas=1)


def _blue_green(driver: Driver) -> State:
    return driver.canary(BLUE_GREEN, LIMITS, replicas=REPLICAS, unseen=True)


ROLLOUTS: Final[Mapping[str, Callable[[Driver], State]]] = {
    "rolling": _rolling,
    "canary": _canary,
    "blue-green": _blue_green,
}
SPLITS: Final[Mapping[str, bool]] = {"a-b": False, "shadow": True}
"""Whether the new version gets copies only."""
JUDGED: Final = ("canary", "blue-green")
UNSEEN: Final = ("mixed",)
"""Faults that no metric shows."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown, and how it ended."""

    strategy: str
    fault: str
    """Of the new version, or nothing."""
    state: State | None = None
    """None where two versions ran beside each other."""

    def largest_share(self) -> int:
        """Share of the answers, in percent, that the new version may have given at most."""
        if self.strategy == "shadow":
            return 0
        if self.state is None or self.strategy not in JUDGED or self.state.phase is Phase.PROMOTED:
            return WHOLE
        return CANARY.weights[self.state.step] if self.strategy == "canary" else 0

    def complaints(self, answers: Mapping[str, int], tally: Tally) -> list[str]:
        """What ended otherwise than a rollout has to, in sentences.

        Args:
            answers: Their number by version.
            tally: Of all requests.
        """
        share, new, total = self.largest_share(), answers.get(NEW, 0), sum(answers.values())
        most = math.ceil(total * share / WHOLE) + CONNECTIONS if share else 0
        kinds = ", ".join(f"{count:,} by {kind}" for kind, count in (+tally.failures).items())
        promoted = self.state is not None and self.state.phase is Phase.PROMOTED
        known = bool(self.fault) and self.fault not in UNSEEN
        found = {
            f"{tally.failures.total():,} of {tally.sent:,} requests failed: {kinds}": bool(kinds),
            f"version {NEW} answered {new:,} of {total:,} requests, more than its share of {share} %": new > most,
            f"version {NEW} is {self.fault}, and was promoted": promoted and known and self.strategy in JUDGED,
        }
        return [sentence for sentence, true in found.items() if true]


def show(console: Console, state: Path, python: Path, strategy: str, fault: str) -> None:
    """Roll out under load and say what happens.

    Args:
        console: For people.
        state: Folder of environment `local`, which is up.
        python: Interpreter of the model image.
        strategy: One of `ROLLOUTS` or `SPLITS`.
        fault: Of the new version, or nothing.

    Raises:
        LoopError: Environment `local` is not up, a request failed, or a bad version got more than its share.
    """
    paths = LoopPaths.of(state)
    models = sorted(paths.root.glob("models/*/*/manifest.json"), key=lambda found: found.stat().st_mtime)
    if not models:
        raise LoopError("environment local serves no model: run `make up` first")
    month = paths.data / "holdout" / f"{flights.YEAR}-{flights.HOLDOUT_MONTH:02}.csv"
    labels, rows = split_label(month)
    order = random.Random(1).sample(range(len(rows)), len(rows))  # noqa: S311 # repeatable, not secret
    callers = Callers([rows[place] for place in order], [float(labels[place]) for place in order])
    with tempfile.TemporaryDirectory(prefix="slipway-rollout-") as name:
        folder = Path(name)
        source = REPOSITORY / "model_image"
        old, new = (
            Fleet(Version(name=name, model_dir=models[-1].parent, python=python, source=source, fault=given), folder)
            for name, given in ((OLD, ""), (NEW, fault))
        )
        with Proxy(folder / "proxy") as proxy:
            driver = Driver(
                proxy=proxy,
                champion=old,
                challenger=new,
                bounds=LATENCY_BUCKETS,
                tell=lambda line: console.info(f"  {line}"),
            )
            try:
                shown, tally = asyncio.run(_under_load(console, driver, callers, strategy))
            finally:
                old.stop()
                new.stop()
    _conclude(console, callers, tally, strategy)
    if complaints := shown.complaints(callers.answers, tally):
        raise LoopError("; ".join(complaints))


async def _under_load(console: Console, driver: Driver, callers: Callers, strategy: str) -> tuple[Shown, Tally]:
    with console.step(f"Serve version {OLD} with {REPLICAS} processes behind Envoy on port {driver.proxy.port}"):
        if not driver.serve(REPLICAS, READY_SECONDS) or (strategy in SPLITS and not _split(driver, strategy)):
            raise LoopError("a model server does not become ready")
    load = Load(lambda: driver.proxy.port, callers.wires(), callers, connections=CONNECTIONS, patient=False)
    acting = asyncio.create_task(asyncio.to_thread(_act, driver, strategy))
    with console.step(f"{strategy} of version {NEW} under {RATE:g} requests a second") as step:
        tally = await load.open(RATE, acting.done)
        state = await acting
        beside = f"version {NEW} answered {driver.challenger.observe().requests:g} requests"
        step.summary = beside if state is None else state.phase
    return Shown(strategy, driver.challenger.version.fault, state), tally


def _split(driver: Driver, strategy: str) -> bool:
    """Let the new version run beside the old one before anybody asks; whether it became ready."""
    driver.challenger.start(1)
    ready = wait_until(driver.challenger.ready, READY_SECONDS)
    if ready:
        driver.split(mirror=SPLITS[strategy])
    return ready


def _act(driver: Driver, strategy: str) -> State | None:
    if strategy in ROLLOUTS:
        return ROLLOUTS[strategy](driver)
    time.sleep(WATCH_SECONDS)
    return None


def _conclude(console: Console, callers: Callers, tally: Tally, strategy: str) -> None:
    shares = {name: f"{count:,} answers, {count / tally.sent:.1%}" for name, count in callers.answers.items()}
    failed = f"{tally.failures.total():,} of {tally.sent:,} {dict(tally.failures) or ''}"
    rows = {**{f"Version {name}": text for name, text in shares.items()}, "Failed requests": failed}
    if strategy in SPLITS and len(callers.answers) > 1:
        rows["Significance"] = "; ".join(callers.compared())
    console.table("Rollout", {**rows, "p99": f"{tally.quantile(0.99) * 1e3:.1f} ms"})
