"""The windows as a table for people and as JSON for programs; only what was measured."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.servers import OURS
from bench.windows import POINTS, QUIET_CORES
from bench.workload import FEATURES, SEED, TOLERANCE, TRAINING_ROWS, TREES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.windows import Contestant, Window

TITLE = "# Benchmarks of the model server"
NO_WINDOWS = "0 of 0"

TENTHS_BELOW_US = 100
"""Below it a tenth of a microsecond still tells something."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run found."""

    windows: Sequence[Window]
    contestants: Sequence[Contestant]
    skipped: Mapping[str, str]
    """Servers that could not be measured, with the reason."""
    model_bytes: int


def write(folder: Path, page: Path | None, found: Outcome) -> Path:
    """Write `report.json` and `report.md` into a folder, and the Markdown to a page of the documentation as well."""
    about = machine()
    model = {"trees": TREES, "features": FEATURES, "training_rows": TRAINING_ROWS, "seed": SEED}
    document = about | {
        "model": model | {"bytes": found.model_bytes},
        "servers": {one.kind.name: _server(one) for one in found.contestants},
        "skipped": dict(found.skipped),
        "windows": [dataclasses.asdict(window) for window in found.windows],
    }
    (folder / "report.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = markdown(about, found)
    for target in (folder / "report.md", *([page] if page else [])):
        target.write_text(text, encoding="utf-8")
    return folder / "report.md"


def machine() -> dict[str, object]:
    """What the figures were measured on, and when."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "processor": f"{names.get('model name', platform.processor())}, model {names.get('model', '?')}",
        "processors": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _server(one: Contestant) -> dict[str, object]:
    start = one.server.start
    return {"versions": one.versions, "note": one.kind.note, "start": dataclasses.asdict(start) if start else None}


def spread(values: Iterable[float], digits: int = 0) -> str:
    """Write median, least and greatest."""
    found = sorted(values)
    if not found:
        return "-"
    return f"{statistics.median(found):,.{digits}f} ({found[0]:,.{digits}f}-{found[-1]:,.{digits}f})"


def ratios(windows: Sequence[Window], point: str, peer: str, figure: Callable[[Window], float]) -> list[float]:
    """A peer's figure divided by ours, round by round: both were measured within seconds of each other."""
    by_round = {(one.round, one.server): figure(one) for one in windows if one.point == point and one.answered}
    rounds = sorted({number for number, _ in by_round})
    pairs = [(by_round.get((number, peer)), by_round.get((number, OURS))) for number in rounds]
    return [theirs / ours for theirs, ours in pairs if theirs and ours]


def markdown(about: Mapping[str, object], found: Outcome) -> str:
    """Write the whole page."""
    windows, contestants = found.windows, found.contestants
    rows = [_row(windows, point.name, one.kind.name) for point in POINTS for one in contestants if one.takes(point)]
    parts = [
        TITLE,
        _method(about, found.model_bytes),
        _load(windows),
        "## Servers",
        *_servers(contestants, found.skipped),
        "## Peers as multiples of ours",
        *_table(
            ("point", "peer", "its processor time per request / ours", "our rate / its rate"),
            [ratio for point in POINTS for one in contestants if (ratio := _ratio(windows, point.name, one.kind.name))],
        ),
        "## Each point",
        *_table(
            ("point", "server", "µs per request", "requests/s", "p50 ms", "p95 ms", "p99 ms", "foreign", "quiet"),
            [row for row in rows if row[-1] != NO_WINDOWS],
        ),
    ]
    return "\n".join(_spaced(parts))


def _method(about: Mapping[str, object], model_bytes: int) -> str:
    return (
        f"Measured {about['date']} with `make bench` on {about['processors']} processors ({about['processor']}), "
        f"{about['memory_gib']} GiB, {about['system']}, Python {about['python']}. Model: {TREES} trees of depth 6, "
        f"{FEATURES} features, {model_bytes:,} bytes, from seed {SEED}. All servers are up at the same time, pinned to "
        "one core, and held (SIGSTOP) except in their own windows; the client is pinned to another core, in a closed "
        "loop, and compares every answer with XGBoost's own: ours may not differ at all, peers by "
        f"{TOLERANCE}. Servers alternate within seconds, so that what else runs here meets all alike. Figures "
        "are median (least-greatest) over the rounds; ratios are made round by round. Points are format, rows per "
        "request, concurrent connections; v2 is the Open Inference Protocol."
    )


def _load(windows: Sequence[Window]) -> str:
    loaded = sum(not window.quiet for window in windows)
    foreign = statistics.median(window.foreign_cores for window in windows) if windows else 0.0
    return (
        f"Of {len(windows)} windows {loaded} were loaded: other programs used more than {QUIET_CORES} of a processor "
        f"(median over all windows: {foreign:.2f}). In those, rate and latencies are what was left for the server; "
        "processor time per request leaves waiting out, and is the figure to compare."
    )


def _ratio(windows: Sequence[Window], point: str, peer: str) -> tuple[str, ...] | None:
    cpu = ratios(windows, point, peer, lambda window: window.cpu_us)
    rate = ratios(windows, point, peer, lambda window: 1 / window.rate)
    return (point, peer, spread(cpu, 1), spread(rate, 1)) if cpu and peer != OURS else None


def _servers(contestants: Sequence[Contestant], skipped: Mapping[str, str]) -> list[str]:
    rows = [
        (
            one.kind.name,
            one.kind.note,
            ", ".join(f"{name} {version}" for name, version in one.versions.items()),
            f"{start.seconds:.2f}",
            f"{start.cpu_seconds:.2f}",
            f"{start.memory_mib:,.0f}",
        )
        for one in contestants
        if (start := one.server.start)
    ]
    head = ("server", "how", "versions", "first 200, s", "processor time, s", "MiB resident")
    return [*_table(head, rows), *(f"- {name}: skipped, {reason}" for name, reason in skipped.items())]


def _row(windows: Sequence[Window], point: str, server: str) -> tuple[str, ...]:
    found = [one for one in windows if (one.point, one.server) == (point, server)]
    wrong = sum(sum(one.failures.values()) for one in found)
    return (
        point,
        server + (f" ({wrong} wrong or missing)" if wrong else ""),
        spread((one.cpu_us for one in found), 1 if found and found[0].cpu_us < TENTHS_BELOW_US else 0),
        spread(one.rate for one in found),
        *(
            f"{statistics.median(values):.2f}" if (values := [getattr(one, name) for one in found]) else "-"
            for name in ("p50_ms", "p95_ms", "p99_ms")
        ),
        f"{statistics.median(one.foreign_cores for one in found):.2f}" if found else "-",
        f"{sum(one.quiet for one in found)} of {len(found)}",
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _spaced(parts: Sequence[str]) -> list[str]:
    """Put blank lines between everything except the lines of one table or list."""
    found: list[str] = []
    for part in parts:
        if found and not (part[0] in "|-" and found[-1][0] == part[0]):
            found.append("")
        found.append(part)
    return [*found, ""]
