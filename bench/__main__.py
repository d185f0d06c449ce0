"""`make bench`: our server and its peers, one core each, the same model and requests, alternating in short windows."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bench import report, servers, windows, workload
from bench.install import Installer, versions
from bench.processes import ServerError
from bench.windows import POINTS, Contestant
from tools.commands import SetupError
from tools.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.servers import Kind
    from bench.windows import Point, Window
    from bench.workload import Workload

FOLDER = ROOT / ".slipway" / "bench"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; an empty list of servers or points means all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--peers", default="", help="servers beside ours, separated by commas: " + ",".join(peers()))
    parser.add_argument("--points", default="", help="separated by commas: " + ",".join(p.name for p in POINTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one window")
    parser.add_argument("--out", default="", help="Markdown file to write as well, such as docs/benchmarks.md")
    parsed = parser.parse_args(arguments)
    parsed.peers = _chosen(parser, "server", parsed.peers, peers())
    parsed.points = _chosen(parser, "point", parsed.points, [point.name for point in POINTS])
    return parsed


def peers() -> list[str]:
    """Names of the servers that are not ours."""
    return [name for name in servers.NAMES if name != servers.OURS]


def _chosen(parser: argparse.ArgumentParser, what: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(known):
        parser.error(f"no {what} {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return names or list(known)


def bring_up(kinds: Sequence[Kind], made: Workload, core: int, started: list[Contestant]) -> dict[str, str]:
    """Install and start the servers one after the other; those that cannot are named with the reason."""
    installer, skipped = Installer(), dict[str, str]()
    for kind in kinds:
        try:
            program = installer.program(kind)
            server = servers.launch(kind, program, made, FOLDER / "run" / kind.name, core)
        except (SetupError, ServerError) as error:
            skipped[kind.name] = str(error).splitlines()[0]
            say(f"  {kind.name}: skipped, {skipped[kind.name]}")
            continue
        started.append(Contestant(kind, server, versions(kind, program)))
        server.signal(signal.SIGSTOP)
        cold = server.start
        if cold is not None:
            say(f"  {kind.name}: first 200 after {cold.seconds:.1f} s, {cold.cpu_seconds:.2f} s of processor time")
    return skipped


def measure(
    contestants: Sequence[Contestant], points: Sequence[Point], made: Workload, rounds: int, seconds: float
) -> list[Window]:
    """Take every window; who goes first rotates. An interrupt ends it with the complete rounds."""
    found: list[Window] = []
    for number in range(rounds):
        begun = time.monotonic()
        taken: list[Window] = []
        try:
            for place, point in enumerate(points):
                able = [one for one in contestants if one.takes(point)]
                turn = (number + place) % len(able) if able else 0
                taken += [windows.take(one, point, made, number, seconds) for one in able[turn:] + able[:turn]]
        except KeyboardInterrupt:
            say("  interrupted: the report has the complete rounds")
            return found
        found += taken
        quiet = sum(window.quiet for window in taken)
        spent = time.monotonic() - begun
        say(f"  round {number + 1} of {rounds}: {quiet} of {len(taken)} windows quiet, {spent:.0f} s")
    return found


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Measure and report; 1 when an answer was wrong or missing."""
    parsed = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    cores = sorted(os.sched_getaffinity(0))
    made = workload.make(FOLDER)
    os.sched_setaffinity(0, {cores[-1]})
    kinds = [kind for kind in servers.KINDS if kind.name in (servers.OURS, *parsed.peers)]
    points = [point for point in POINTS if point.name in parsed.points]
    contestants: list[Contestant] = []
    try:
        skipped = bring_up(kinds, made, cores[0], contestants)
        found = measure(contestants, points, made, parsed.rounds, parsed.seconds)
    finally:
        for contestant in contestants:
            contestant.server.stop()
    outcome = report.Outcome(found, contestants, skipped, made.model.stat().st_size)
    written = report.write(FOLDER, Path(parsed.out) if parsed.out else None, outcome)
    say(f"  {written}")
    wrong = sum(sum(window.failures.values()) for window in found)
    say(f"  {wrong} of {sum(window.answered for window in found)} answers wrong or missing")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
