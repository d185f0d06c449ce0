"""`make latency`: how long a running server takes for one row, at rates that callers keep whatever it does.

Requests are due at a fixed rate and a latency begins when its request was due (`bench.load`), so a server that falls
behind is charged for it. With `--share` the rate is that share of what the server answers when every connection asks
again as soon as it is answered, which is measured first: its capacity, as far as this client, on this machine, lets it.
Rows are those of a CSV file with a header, one by one, again from the first when they end.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import platform
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import Load, Tally, post

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECTIONS = 64
MOST_ROWS = 5_000
WARM_SECONDS = 1.0
RATES = "200,1000,2000"
CAPACITY_SECONDS = 10.0
"""At most; a shorter measurement at each rate makes this one shorter as well."""
SHARES = (0.5, 0.95, 0.99, 0.999)


class LatencyError(Exception):
    """Nothing can be measured; the message says why."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of a server on loopback, such as that of `make up`")
    parser.add_argument("--rows", type=Path, required=True, help="CSV file with a header")
    parser.add_argument("--drop", default="", help="columns that the model does not take, separated by commas")
    parser.add_argument("--rates", default="", help=f"requests a second, separated by commas; {RATES} without --share")
    parser.add_argument("--share", type=float, default=0.0, help="of the capacity, such as 0.7: one more rate")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each rate")
    parser.add_argument("--bound-ms", type=float, default=100.0, help="end with an error where p99 is above it")
    parsed = parser.parse_args(arguments)
    try:
        wanted = parsed.rates or ("" if parsed.share else RATES)
        parsed.rates = [float(each) for each in wanted.split(",")] if wanted else []
    except ValueError:
        parser.error(f"--rates {parsed.rates}: write numbers separated by commas, such as 200,1000")
    if not 0 <= parsed.share <= 1:
        parser.error(f"--share {parsed.share:g}: write a share of the capacity above 0 and up to 1, such as 0.7")
    if min(parsed.rates, default=1) <= 0 or parsed.seconds <= 0:
        parser.error("--rates and --seconds are above 0")
    return parsed


def requests(rows: Path, drop: Sequence[str]) -> list[bytes]:
    """One request for each of the first rows of a file, without the columns to drop.

    Raises:
        LatencyError: The file cannot be read, holds no row, or lacks a column to drop.
    """
    try:
        with rows.open(newline="", encoding="utf-8") as file:
            header, *lines = [row for row, _ in zip(csv.reader(file), range(MOST_ROWS + 1), strict=False)]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise LatencyError(f"{rows}: {error or 'no header'}; write a CSV file with a header and rows") from None
    if strange := [name for name in drop if name not in header]:
        raise LatencyError(f"{rows} has no column {', '.join(strange)}; there are {', '.join(header)}")
    if not lines:
        raise LatencyError(f"{rows} has a header and no row")
    kept = [place for place, name in enumerate(header) if name not in drop]
    return [post("/invocations", "text/csv", ",".join(row[place] for place in kept).encode()) for row in lines]


def judge(_place: int, status: int, _head: bytes, body: bytes) -> str:
    """An answer is good when it is 200 with something in it; what it predicts is other tests' business."""
    return "" if status == HTTPStatus.OK and body else f"status {status}: {body[:200].decode(errors='replace')}"


async def measure(port: int, wires: Sequence[bytes], rate: float, seconds: float) -> Tally:
    """Ask at a rate, after a second that does not count."""
    load = Load(lambda: port, wires, judge, connections=CONNECTIONS)
    return await load.open(rate, _warmed(load, seconds))


async def capacity(port: int, wires: Sequence[bytes], seconds: float) -> float:
    """Tell how many requests a second are answered when every connection asks again at once; 0 if one fails."""
    load = Load(lambda: port, wires, judge, connections=CONNECTIONS)
    tally = await load.closed(_warmed(load, seconds))
    return 0.0 if tally.failures else tally.answers.total() / seconds


def _warmed(load: Load, seconds: float) -> Callable[[], bool]:
    """Tell whether so many seconds are over, after one that does not count."""
    warm = time.monotonic() + WARM_SECONDS
    counted = False

    def over() -> bool:
        nonlocal counted
        if not counted and time.monotonic() >= warm:
            counted = True
            load.reset()
        return time.monotonic() >= warm + seconds

    return over


def line(rate: float, tally: Tally) -> str:
    """A row of the table."""
    times = "".join(f"{each * 1000:>10.2f}" for each in (tally.mean(), *map(tally.quantile, SHARES)))
    return f"{rate:>10,.0f}{tally.answers.total():>12,}{tally.failures.total() + tally.unsent:>9,}{times}"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 when a request failed or p99 is above the bound, 2 when nothing could be measured."""
    parsed = parse(arguments)
    try:
        wires = requests(parsed.rows, [name for name in parsed.drop.split(",") if name])
    except LatencyError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    titles = "".join(f"{title:>10}" for title in ("mean ms", *(f"p{share * 100:g} ms" for share in SHARES)))
    sys.stdout.write(f"one row of {parsed.rows.name} on {platform.machine()}, {os.cpu_count()} cores\n")
    if parsed.share:
        most = asyncio.run(capacity(parsed.port, wires, min(parsed.seconds, CAPACITY_SECONDS)))
        if not most:
            sys.stderr.write(f"port {parsed.port} of loopback does not answer every request with 200: ask at --rates\n")
            return 1
        told = f"{CONNECTIONS} connections that ask again at once: {most:,.0f} answers a second, of which"
        sys.stdout.write(f"{told} {parsed.share:.0%} follow\n")
        parsed.rates.append(parsed.share * most)
    sys.stdout.write(f"{'rate 1/s':>10}{'answers':>12}{'failed':>9}{titles}\n")
    bad = False
    for rate in parsed.rates:
        tally = asyncio.run(measure(parsed.port, wires, rate, parsed.seconds))
        sys.stdout.write(f"{line(rate, tally)}\n")
        for kind, count in tally.failures.items():
            sys.stderr.write(f"{count} requests failed: {kind}\n")
        if not tally.answers:
            sys.stderr.write(f"no answer from port {parsed.port} of loopback: is a server up? `make status` says\n")
        late = tally.quantile(0.99) * 1000 > parsed.bound_ms
        if late:
            sys.stderr.write(f"p99 is above {parsed.bound_ms:g} ms at {rate:g} requests a second\n")
        bad = bad or late or bool(tally.failures) or not tally.answers
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
