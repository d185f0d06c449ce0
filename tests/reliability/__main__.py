"""`make reliability`: every figure, one line each; `make soak`: the server's memory and the loop's faults over hours.

python -m tests.reliability                      # at the size of `make test`
python -m tests.reliability --full               # at the size that the targets are for
python -m tests.reliability --only 13,19 --size 100000
python -m tests.reliability --only 19 --minutes 30
python -m tests.reliability --soak-minutes 30 --soak-of loop
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.reliability.figures import Count, Figure, Measure, Run, measures
from tests.reliability.loop_soak import loop_soak
from tests.reliability.measures.memory import soak

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[2] / ".slipway" / "reliability"
SOAK_REQUESTS = 100_000
"""Least size of a soak; its length is what is asked for."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability")
    parser.add_argument("--full", action="store_true", help="the sizes that the targets are for")
    parser.add_argument("--only", default="", help="numbers of figures, separated by commas")
    parser.add_argument("--size", type=int, help="trials per figure, in place of the floor or the full size")
    parser.add_argument("--minutes", type=float, default=0.0, help="least time of figure 19's overloads together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soak-minutes", type=float, help="only the soak, for so long")
    parser.add_argument("--soak-of", choices=("memory", "loop"), help="one half of the soak, for all of that time")
    return parser.parse_args(arguments)


def take(measure: Measure, size: int, seed: int, minutes: float = 0.0) -> Figure:
    """Measure one figure; a measurement that breaks off is a failure, told in the detail."""
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        began = time.monotonic()
        try:
            return measure.figure(Run(size=size, seed=seed, folder=Path(folder), timed=True, minutes=minutes))
        except Exception as error:  # noqa: BLE001 # the other figures are measured all the same
            broken = Count(denominator=0, failures=1, detail=f"broke off: {error!r}")
            return measure.with_count(broken, time.monotonic() - began)


def line(figure: Figure, seed: int) -> str:
    """Write a figure for people."""
    bound = f" (≤ {figure.bound:.1g})" if not figure.failures else ""
    got = f"{figure.failures} of {figure.denominator:,}{bound}"
    head = f"{figure.number:>3}  {figure.name}: {got}, seed {seed}, {figure.seconds:.0f} s"
    return f"{head}\n     target: {figure.target}\n     {figure.detail}"


def soak_for(minutes: float) -> Measure:
    """Make the soak a measurement of its own, of the given length."""

    def take_soak(run: Run) -> Count:
        return soak(run, minutes * 60)

    target = "at most 1 MiB per 10,000,000 requests at 95 % confidence, no descriptor"
    name = f"memory over {minutes:g} minutes"
    return Measure(number=17, name=name, target=target, floor=SOAK_REQUESTS, full=SOAK_REQUESTS, take=take_soak)


def soak_loop_for(minutes: float) -> Measure:
    """Make the faults of the whole loop a measurement of its own, of the given length."""

    def take_faults(run: Run) -> Count:
        return loop_soak(run, minutes * 60)

    target = "0 faults or histories after which something is lost, doubled or stuck"
    return Measure(number=23, name=f"faults over {minutes:g} minutes", target=target, floor=1, full=1, take=take_faults)


def soaks(minutes: float, of: str | None) -> list[Measure]:
    """The parts of a soak that together take so long."""
    made = {"memory": soak_for, "loop": soak_loop_for}
    return [made[of](minutes)] if of else [make(minutes / len(made)) for make in made.values()]


def main(arguments: Sequence[str]) -> int:
    """Measure, print as it goes, keep the raw results; 1 when any trial failed."""
    parsed = parse(arguments)
    wanted = {int(number) for number in parsed.only.split(",") if number}
    chosen = soaks(parsed.soak_minutes, parsed.soak_of) if parsed.soak_minutes else measures()
    found: list[Figure] = []
    for measure in chosen:
        if wanted and measure.number not in wanted:
            continue
        size = parsed.size or (measure.full if parsed.full else measure.floor)
        found.append(take(measure, size, parsed.seed, parsed.minutes))
        sys.stdout.write(line(found[-1], parsed.seed) + "\n")
        sys.stdout.flush()
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{when.replace(':', '')}.json"
    document = {"date": when, "seed": parsed.seed, "full": parsed.full, "processors": os.cpu_count()}
    document["figures"] = [dataclasses.asdict(figure) for figure in found]
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"  {target}\n")
    return 1 if not found or any(figure.failures for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
