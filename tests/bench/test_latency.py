"""`make latency` against the real server: what it counts, and what it says of files and ports that are no good."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bench import latency
from bench.load import Tally, post
from sandbox.loop.processes import free_port
from tests.support.servers import serving, write_model

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "a,label,b\n0.3,1,0.9\n0.4,0,0.1\n"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def test_every_request_that_is_due_is_answered_and_timed(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model", 1)
    with serving(tmp_path / "model") as server:
        words = ["--port", str(server.port), "--rows", str(rows), "--rates", "50,100", "--seconds", "1"]
        assert latency.main([*words, "--drop", "label", "--bound-ms", "5000"]) == 0
        *_, slow, fast = capsys.readouterr().out.splitlines()
        assert latency.main([*words, "--drop", "label", "--bound-ms", "0.001"]) == 1
        assert "p99 is above 0.001 ms at 50 requests a second" in capsys.readouterr().err
        assert latency.main(words) == 1, "the label is one column too many"
        assert "status 400" in capsys.readouterr().err
    assert [float(each.split()[0]) for each in (slow, fast)] == [50, 100]
    for told, rate in ((slow, 50), (fast, 100)):
        assert rate * 0.8 <= int(told.split()[1]) <= rate * 1.2
        assert told.split()[2] == "0"
        mean, *quantiles = [float(each) for each in told.split()[3:]]
        assert 0 < mean <= quantiles[-1]
        assert quantiles[0] > 0
        assert quantiles == sorted(quantiles)


def test_the_rate_may_be_a_share_of_the_capacity_which_is_measured_first(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model", 1)
    with serving(tmp_path / "model") as server:
        words = ["--port", str(server.port), "--rows", str(rows), "--share", "0.25", "--seconds", "1"]
        assert latency.main([*words, "--drop", "label", "--bound-ms", "5000"]) == 0
        *_, capacity, _, told = capsys.readouterr().out.splitlines()
        assert latency.main(words) == 1, "the label is one column too many"
    found = re.fullmatch(r"64 connections .*: ([\d,]+) answers a second, of which 25% follow", capacity)
    assert found is not None
    rate, answers = (float(word.replace(",", "")) for word in told.split()[:2])
    assert rate == pytest.approx(0.25 * float(found[1].replace(",", "")), abs=1)
    assert answers == pytest.approx(rate, rel=0.2)


def test_a_mean_is_of_the_answers_of_one_status() -> None:
    tally = Tally()
    tally.seconds[200].extend((0.1, 0.1, 0.4))
    tally.seconds[503].append(9.0)
    assert (tally.mean(), tally.mean(503), tally.mean(500)) == (pytest.approx(0.2), 9.0, 0.0)


def test_a_port_without_a_server_is_told(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--port", str(free_port()), "--rows", str(rows), "--rates", "50", "--seconds", "0.1"]
    assert latency.main(words) == 1
    assert "is a server up?" in capsys.readouterr().err
    assert latency.main([*words[:4], "--share", "0.7", "--seconds", "0.1"]) == 1
    assert "does not answer every request with 200" in capsys.readouterr().err


def test_rows_are_sent_without_the_columns_that_are_dropped(rows: Path) -> None:
    assert latency.requests(rows, ["label"]) == [
        post("/invocations", "text/csv", b"0.3,0.9"),
        post("/invocations", "text/csv", b"0.4,0.1"),
    ]


@pytest.mark.parametrize(
    ("text", "drop", "expected"),
    [
        (ROWS, "late", "has no column late; there are a, label, b"),
        ("a,b\n", "", "has a header and no row"),
        ("", "", "write a CSV file with a header and rows"),
        (None, "", "No such file"),
    ],
)
def test_a_file_that_is_no_good_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, drop: str, expected: str
) -> None:
    path = tmp_path / "rows.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert latency.main(["--port", "1", "--rows", str(path), "--drop", drop]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["--rates fast", "--rates 0", "--rates=-1,5", "--share 1.5", "--share=-1", "--share x"]
)
def test_rates_that_are_no_rates_are_refused(words: str, rows: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        latency.parse(["--port", "1", "--rows", str(rows), *words.split()])


def test_rates_are_the_usual_ones_unless_told(rows: Path) -> None:
    def rates(*words: str) -> list[float]:
        return latency.parse(["--port", "1", "--rows", str(rows), *words]).rates

    assert rates() == [200, 1000, 2000]
    assert rates("--share", "0.7") == []
    assert rates("--share", "0.7", "--rates", "5") == [5]
