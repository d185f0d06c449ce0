"""Figure 24: a trainer that dies at a round, or while it writes that round's checkpoint, ends with the same model."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scoring import artifact, checkpoint
from tests.reliability.figures import Count, Run, measure
from tests.support.jobs import Job, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import NoReturn

    from scoring.checkpoint import Checkpoint, Store

SHORT, LONG = 50, 500
"""Rounds of a training: of a floor, and of the full size, where every one of them is died at."""

SECONDS = 120.0
LOG = "log.txt"


@dataclass(frozen=True)
class Death:
    """When and how a trainer dies, by SIGKILL."""

    round: int
    moment: str
    lost: int
    """Rounds that may have to be done again."""


MOMENTS: Final = {"finished": 1, "half written": 1, "renamed": 0, "damaged": 1}
"""After the round but before its checkpoint; when a part of the file is written; right after it got its name; and
after that, with a bit of the file turned. With the number of rounds that are lost by it."""


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _arm(death: Death, draw: random.Random) -> None:
    """Make this process die at a checkpoint."""
    write: Callable[[Store, Checkpoint], None] = checkpoint.Store.write

    def write_or_die(store: Store, point: Checkpoint) -> None:
        if point.rounds != death.round:
            write(store, point)
        elif death.moment == "finished":
            _die()
        else:
            checkpoint._write_durably = durably  # pyright: ignore[reportPrivateUsage] # dies inside it
            write(store, point)

    def durably(path: Path, data: bytes) -> None:
        cut, bit = draw.randrange(len(data)), draw.randrange(8 * len(data))
        partial = path.with_name(path.name + checkpoint.PARTIAL)
        if death.moment == "damaged":
            data = data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
        partial.write_bytes(data[:cut] if death.moment == "half written" else data)
        if death.moment != "half written":
            partial.rename(path)
        _die()

    checkpoint.Store.write = write_or_die  # pyright: ignore[reportAttributeAccessIssue] # the test's own double


def _train(base: str, death: Death | None, seed: int) -> None:
    """Be the trainer."""
    from scoring.__main__ import main  # noqa: PLC0415 # in the child only

    os.environ["SAGEMAKER_BASE_DIR"] = base
    log = os.open(f"{base}/{LOG}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if death:
        _arm(death, random.Random(f"{seed} {death.round}"))  # noqa: S311 # where a file is cut
    sys.exit(main(["train"]))


def _run(job: Job, death: Death | None, seed: int) -> tuple[int | None, str]:
    """Run a trainer in a process of its own; give its exit code and log."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scoring.train"])
    process = context.Process(target=_train, args=(str(job.base), death, seed))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode, (job.base / LOG).read_text()


def _files(job: Job) -> dict[str, bytes]:
    return {name: (job.base / "model" / name).read_bytes() for name in (*artifact.PAYLOAD, artifact.MANIFEST)}


def _job(template: Job, base: Path, rounds: int, seed: int) -> Job:
    shutil.copytree(template.base, base)
    job = Job(base)
    chosen = {"num_round": rounds, "early_stopping_rounds": 0, "eta": 0.05, "subsample": 0.8, "seed": seed}
    chosen |= {"colsample_bytree": 0.7, "max_depth": 4, "nthread": 1, "checkpoint_rounds": 1}
    job.write_config({"label": "late"} | {name: str(value) for name, value in chosen.items()})
    return job


def _deaths(rounds: int, count: int, draw: random.Random) -> Iterator[Death]:
    """Give the deaths in order; the first round, which has no checkpoint behind it, and the last are among them."""
    moments, ends = [*MOMENTS.items()], (1, rounds)[:count]
    between = draw.sample(range(2, rounds), count - len(ends))
    for place, number in enumerate(sorted([*ends, *between])):
        moment, lost = moments[place % len(moments)]
        yield Death(number, moment, lost)


def killed_training(folder: Path, rounds: int, seeds: dict[int, int]) -> Count:
    """Let trainers die at rounds and continue, and compare what they write at the end with an uninterrupted run.

    Args:
        folder: For the jobs.
        rounds: Of each training.
        seeds: Per seed, at how many of the rounds it dies: each death continues where the one before has left off.
    """
    template = prepare(folder / "template")
    problems: list[str] = []
    for seed, count in seeds.items():
        whole, job = (_job(template, folder / f"{seed}-{name}", rounds, seed) for name in ("whole", "killed"))
        if (ended := _run(whole, None, seed))[0] != 0:
            return Count(denominator=0, failures=1, detail=f"the uninterrupted run failed: {ended[1][-300:]}")
        (job.base / "checkpoints").mkdir()
        kept = 0
        for death in _deaths(rounds, count, random.Random(seed)):  # noqa: S311 # a choice of rounds
            code, log = _run(job, death, seed)
            problems += _wrong(death, code, log, kept)
            kept = death.round - death.lost
        code, log = _run(job, None, seed)
        if code != 0 or _began(log) != kept:
            problems.append(f"seed {seed}: the last run did not continue after round {kept}: {log[-200:]}")
        elif _files(job) != _files(whole):
            problems.append(f"seed {seed}: the model differs from the uninterrupted one")
    moments = ", ".join(MOMENTS)
    detail = problems[0] if problems else f"{len(seeds)} models of {rounds} rounds bit-equal; deaths: {moments}"
    return Count(denominator=sum(seeds.values()), failures=len(problems), detail=detail)


def _wrong(death: Death, code: int | None, log: str, kept: int) -> list[str]:
    """Tell what is wrong with a run that was to die: where it began, or how it ended."""
    began = _began(log)
    if code == -signal.SIGKILL and began == kept:
        return []
    return [f"round {death.round}, {death.moment}: began after {began} in place of {kept}, exit code {code}"]


def _began(log: str) -> int:
    """Give the round after which a run continued, 0 for one that began anew."""
    found = re.search(r"^continues after round (\d+) of", log, re.MULTILINE)
    return int(found[1]) if found else 0


@measure(
    24,
    "killed training",
    target="bit-equal model in 100 %, at most 1 round lost, damaged newest checkpoint passed over",
    floor=12,
    full=5 * LONG,
)
def measured(run: Run) -> Count:
    """Die at some rounds of a short training; at the full size at every round of long ones, with several seeds."""
    rounds = SHORT if run.size <= SHORT else LONG
    seeds: dict[int, int] = {}
    while (left := run.size - sum(seeds.values())) > 0:
        seeds[run.seed + len(seeds)] = min(left, rounds)
    return killed_training(run.folder, rounds, seeds)
