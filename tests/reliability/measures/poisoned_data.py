"""Figure 25: months of data that are bad, and honest ones, through the steps and the gate that prod's plan has."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import tarfile
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from processing.__main__ import BASE_VARIABLE
from processing.__main__ import main as process
from scoring import challenge
from scoring.__main__ import main as image
from tests.reliability.figures import Count, Run, measure
from tests.settings.stacks import decoded
from tests.support.gated import NOTHING, REGISTERED, behind, defined, names, step
from tests.support.poisons import LABEL, POISONS, ROWS, month, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HONEST_SHARE = 0.98
"""Of the honest retrains, so many have to pass."""
CHAMPION, NEWEST = (1, 2), 3
"""Months of the model in service, and the one that comes then."""
COLLAPSE = 0.1
"""In place of prod's, which is fitted to flights: none of forty honest months here took more than 0.07 of AUC."""
QUICK = {"num_round": "40", "max_depth": "4", "eta": "0.2", "early_stopping_rounds": "10", "nthread": "2"}

Files = dict[str, dict[str, bytes]]
"""Content by channel and name."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pipeline ended."""

    steps: set[str]
    said: str
    archive: Path | None = None

    @property
    def kind(self) -> str:
        """The step that it ended with."""
        return " ".join(sorted(self.steps)) or "no version"


class Pipeline:
    """Process, train, evaluate and the conditions, in this process; arguments are those of prod's plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        content = decoded("prod")
        model = content["slipway:models"][0]
        model["label"], model["gate"]["champion"]["collapse"] = LABEL, COLLAPSE
        self.plan = defined(content)

    def _words(self, name: str) -> list[str]:
        return [str(word) for word in step(self.plan, name)["Arguments"]["AppSpecification"]["ContainerArguments"]]

    def run(self, files: Files, champion: Path | None) -> Ended:
        """One execution."""
        shutil.rmtree(self.folder, ignore_errors=True)
        base = self.folder / "data"
        for channel, parts in files.items():
            _fill(base / "processing/input" / channel, parts)
        if (said := _job(base, process, self._words("Process"))) is not None:
            return Ended({"Process"}, said)
        checked = base / "processing/output"
        arguments = step(self.plan, "Train")["Arguments"]
        training = self.folder / "training"
        for each in arguments["InputDataConfig"]:
            shutil.copytree(checked / each["ChannelName"], training / "input/data" / each["ChannelName"])
        config = {"hyperparameters": arguments["HyperParameters"] | QUICK}
        config["inputdataconfig"] = {each["ChannelName"]: {} for each in arguments["InputDataConfig"]}
        _fill(training / "input/config", {f"{name}.json": json.dumps(each).encode() for name, each in config.items()})
        if (said := _job(training, image, ["train"])) is not None:
            return Ended({"Train"}, said)
        archive = self.folder / "model.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as made:
            made.add(training / "model", ".")
        document = self.evaluate(archive, champion, checked)
        if isinstance(document, str):
            return Ended({"Evaluate"}, document)
        steps = behind(self.plan, document)
        return Ended(names(steps), document["challenge"]["reason"], archive)

    def evaluate(self, archive: Path, champion: Path | None, data: Path) -> dict[str, Any] | str:
        """The document of the step Evaluate, or why there is none."""
        base = self.folder / "evaluation"
        shutil.rmtree(base, ignore_errors=True)
        inputs = base / "processing/input"
        for each in step(self.plan, "Evaluate")["Arguments"]["ProcessingInputs"]:
            (inputs / each["InputName"]).mkdir(parents=True)
            if (data / each["InputName"]).is_dir():
                shutil.copytree(data / each["InputName"], inputs / each["InputName"], dirs_exist_ok=True)
        shutil.copy(archive, inputs / "model/model.tar.gz")
        if champion is not None:
            shutil.copy(champion, inputs / "champion/model.tar.gz")
        said = _job(base, process, self._words("Evaluate"))
        return said or json.loads((base / "processing/output/report/evaluation.json").read_bytes())


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _job(base: Path, command: Any, words: list[str]) -> str | None:
    """Run a container's command; why it failed, or None."""
    silent = io.StringIO()
    with contextlib.ExitStack() as changed:
        changed.enter_context(mock.patch.dict("os.environ", {BASE_VARIABLE: str(base)}))
        changed.enter_context(contextlib.redirect_stdout(silent))
        changed.enter_context(contextlib.redirect_stderr(silent))
        code = command(words)
    return silent.getvalue() if code else None


def _honest(numbers: tuple[int, ...], seed: int) -> Files:
    return {use: {f"2013-{each:02}.csv": written(month(each, use, seed)) for each in numbers} for use in ROWS}


class World:
    """The model in service of one seed, and what comes to it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder / str(seed), seed
        self.pipeline = Pipeline(self.folder / "run")
        first = self.pipeline.run(_honest(CHAMPION, seed), None)
        if first.steps != REGISTERED or first.archive is None:
            raise AssertionError(f"the first model of seed {seed} does not pass: {first.steps} {first.said}")
        self.champion = self.folder / "champion.tar.gz"
        shutil.copy(first.archive, self.champion)

    def retrain(self) -> Ended:
        """An honest month comes."""
        return self.pipeline.run(_honest((*CHAMPION, NEWEST), self.seed), self.champion)

    def poison(self, name: str) -> tuple[Ended, bool]:
        """A bad month comes; how it ended, and whether a version got through that it ought not."""
        files = _honest((*CHAMPION, NEWEST), self.seed)
        for place, use in enumerate(ROWS):
            draw = np.random.default_rng([self.seed, place, *name.encode()])
            files[use][f"2013-{NEWEST:02}.csv"] = POISONS[name].apply(month(NEWEST, use, self.seed), draw)
        ended = self.pipeline.run(files, self.champion)
        return ended, ended.steps == REGISTERED and (not POISONS[name].subtle or self._is_worse(ended))

    def _is_worse(self, ended: Ended) -> bool:
        """Whether a version is worse than the one in service on true rows of the newest month."""
        archive = self.folder / "candidate.tar.gz"
        shutil.copy(ended.archive or self.champion, archive)
        data = self.pipeline.folder / "true"
        rows = {f"2013-{NEWEST:02}.csv": written(month(NEWEST, "train", self.seed + 1))}
        for use in ("validation", "test"):
            shutil.rmtree(data / use, ignore_errors=True)
            _fill(data / use, rows)
        document = self.pipeline.evaluate(archive, self.champion, data)
        return isinstance(document, str) or document["challenge"]["outcome"] == challenge.WORSE


@measure(
    25,
    "poisoned data",
    target="no version from a bad month, in 100 % of 58 kinds by 25 seeds; from a subtle one none that is worse",
    floor=len(POISONS),
    full=25 * len(POISONS),
)
def poisoned_data(run: Run) -> Count:
    """Every kind with one seed, then with the next."""
    ends, wrong = Counter[str](), list[str]()
    kinds = list(POISONS)
    for number in range(run.size):
        seed = run.seed + number // len(kinds)
        ended, failed = _world(run.folder, seed).poison(kinds[number % len(kinds)])
        ends[ended.kind] += 1
        if failed:
            wrong.append(f"{kinds[number % len(kinds)]}, seed {seed}: {ended.said}")
    detail = wrong[0] if wrong else f"{dict(ends)} of {len(kinds)} kinds"
    return Count(denominator=run.size, failures=len(wrong), detail=detail)


@measure(
    25,
    "honest data",
    target="at least 98 % of 200 honest months refused by neither contract nor gate",
    floor=5,
    full=200,
)
def honest_data(run: Run) -> Count:
    """One world each; a failure is more refusals than the share allows."""
    ends, refused = Counter[str](), list[str]()
    for seed in range(run.seed, run.seed + run.size):
        ended = World(run.folder, seed).retrain()
        ends[ended.kind] += 1
        if ended.steps not in (REGISTERED, NOTHING):
            refused.append(f"seed {seed}: {ended.steps} {ended.said}")
        shutil.rmtree(run.folder / str(seed))
    allowed = int((1 - HONEST_SHARE) * run.size)
    detail = f"{dict(ends)}; {len(refused)} refused, {allowed} allowed {refused[:1] or ''}"
    return Count(denominator=run.size, failures=max(len(refused) - allowed, 0), detail=detail)


@functools.lru_cache(maxsize=1)
def _world(folder: Path, seed: int) -> World:
    return World(folder, seed)
