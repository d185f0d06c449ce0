"""What the benchmark says follows from its windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench import report, servers
from bench.answers import Oracle
from bench.windows import POINTS, Window
from bench.workload import FEATURES, csv_body, json_body, v2_body
from tests.reliability.measures.memory import Samples
from tools.environments import BENCH_GROUPS, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def window(number: int, server: str, cpu_us: float, foreign: float = 0.0) -> Window:
    return Window(
        round=number,
        point="csv-1:c1",
        server=server,
        answered=10,
        failures={},
        cpu_us=cpu_us,
        rate=1e6 / cpu_us,
        p50_ms=1,
        p95_ms=2,
        p99_ms=3,
        server_cores=1,
        client_cores=0.5,
        foreign_cores=foreign,
        deviation=0,
    )


def test_ratios_are_made_within_a_round_and_only_where_both_were_measured() -> None:
    windows = [
        *(window(0, servers.OURS, 10), window(0, "kserve", 50)),
        *(window(1, "kserve", 300), window(1, servers.OURS, 100)),
        window(2, "kserve", 1),
    ]
    assert report.ratios(windows, "csv-1:c1", "kserve", lambda one: one.cpu_us) == [5, 3]


def test_the_page_tells_how_much_of_it_was_measured_beside_other_load() -> None:
    windows = [window(0, servers.OURS, 10), window(1, servers.OURS, 12, foreign=1.5)]
    text = report.markdown(report.machine(), report.Outcome(windows, [], {"kserve": "no network"}, 1))
    assert "Of 2 windows 1 were loaded" in text
    assert "- kserve: skipped, no network" in text


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"outputs":[{"name":"p","data":[0.25,0.5]}]}', ""),
        (b'{"outputs":[{"data": [0.25, 0.50000001] }]}', ""),
        (b'{"outputs":[{"data":[0.25,0.501]}]}', "wrong"),
        (b'{"outputs":[{"data":[0.25]}]}', "wrong count"),
        (b'{"outputs":[{"data":[0.25,null]}]}', "wrong"),
        (b'{"outputs":[]}', "unreadable"),
    ],
)
def test_an_answer_is_right_only_with_the_right_numbers(body: bytes, problem: str) -> None:
    oracle = Oracle(np.array([[0.25, 0.5]], np.float32), b'"data"', 1e-4)
    assert oracle(0, 200, b"", body) == problem
    assert oracle(0, 200, b"", body) == problem, "and is judged alike when it comes again"
    assert oracle(0, 500, b"", body) == "status 500"


@pytest.mark.parametrize(("write", "marker"), [(csv_body, b""), (json_body, b'"instances"'), (v2_body, b'"data"')])
def test_bodies_hold_every_value_to_the_last_bit(write: Callable[[NDArray[np.float32]], bytes], marker: bytes) -> None:
    rows = np.random.default_rng(3).normal(size=(1, FEATURES)).astype(np.float32)
    body = write(rows).replace(b"[[", b"[").replace(b",", b"\n" if not marker else b",")
    assert Oracle(rows, marker, 0.0)(0, 200, b"", body) == ""


def test_every_server_has_an_environment_of_its_own_and_a_point_to_be_measured_at() -> None:
    assert {kind.group for kind in servers.KINDS if kind.group.startswith("bench-")} == set(BENCH_GROUPS)
    forms = {point.form for point in POINTS}
    for kind in servers.KINDS:
        assert kind.routes.keys() <= forms
        assert kind.points is None or kind.points <= {point.name for point in POINTS}


def test_the_committed_page_is_one_that_the_benchmark_wrote() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert text.startswith(report.TITLE)
    assert " 0 of 0 " not in text
    for kind in servers.KINDS:
        assert f"| {kind.name} |" in text or f"- {kind.name}: skipped" in text
    assert not (ROOT / "bench" / "rust_peer" / "target").exists()
    assert Path(ROOT / "bench" / "rust_peer" / "Cargo.lock").is_file()


def test_growth_is_told_from_noise_by_its_confidence_interval() -> None:
    draw = np.random.default_rng(1)
    requests = list(range(0, 100_000, 100))
    noise = draw.normal(0, 4096, len(requests))
    leaking = Samples(requests, [int(1e8 + 2 * n + e) for n, e in zip(requests, noise, strict=True)])
    steady = Samples(requests, [int(1e8 + e) for e in noise])
    slope, margin = leaking.slope()
    assert slope - margin > 1.9
    assert slope + margin < 2.1
    slope, margin = steady.slope()
    assert abs(slope) < 2 * margin
    assert Samples([1], [1]).slope()[1] == float("inf")
