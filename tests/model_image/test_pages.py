"""Training data that stay on disk: the same model as from memory, and memory for one part file."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from scoring import artifact, features, pages, train
from scoring.__main__ import main
from scoring.channels import Channel, Format
from tests.support.servers import environment

if TYPE_CHECKING:
    from pathlib import Path

ROWS, PARTS = 900, 4
SETTINGS = {"label": "y", "num_round": "8", "max_depth": "4", "seed": "3", "nthread": "2", "subsample": "0.8"}
QUERY = """
    FROM range({start}, {end}) numbers(i) SELECT (hash(i) % 99991) / 7.0 AS a, i % 13 + hash(i + 1) % 5 AS b,
        CASE WHEN {start} = 0 OR i % 6 > 0 THEN (i % 4)::VARCHAR ELSE 'k' || (i // 6 % 4) END AS late_text, {label} AS y
"""
LABELS = {
    "binary:logistic": "((hash(i) % 99991) > 30000 + 8000 * (i % 5))::INT",
    "multi:softprob": "(hash(i) % 99991 // 25000)::INT % 3",
    "reg:squarederror": "(hash(i) % 99991) / 1000.0 + i % 13",
}


def write(path: Path, start: int, end: int, kind: str, objective: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        query = QUERY.format(start=start, end=end, label=LABELS[objective])
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT {kind})")


def prepare(job: Any, kind: str, objective: str) -> None:
    shutil.rmtree(job.base / "input/data")
    for part in range(PARTS):
        name = f"part-{part}.{kind}"
        write(job.base / "input/data/train" / name, part * ROWS, (part + 1) * ROWS, kind, objective)
    write(job.base / "input/data/validation/p.csv", 100_000, 100_400, "csv", objective)


def fit(job: Any, **settings: str) -> tuple[artifact.Artifact, list[str]]:
    """Train in this process."""
    kind = "application/x-parquet" if [*job.base.glob("input/data/train/*.parquet")] else "text/csv"
    job.write_config(SETTINGS | settings, {"train": {"ContentType": kind}, "validation": {}})
    lines: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        patch.setattr(train, "say", lines.append)
        code = main(["train"])
    signal.signal(signal.SIGTERM, before)
    failure = job.base / "output/failure"
    assert code == 0, failure.read_text()
    return artifact.read(job.base / "model"), lines


@pytest.mark.loop
@pytest.mark.parametrize(
    ("kind", "objective"), [("csv", "binary:logistic"), ("parquet", "multi:softprob"), ("csv", "reg:squarederror")]
)
def test_data_on_disk_give_the_model_that_data_in_memory_give(job: Any, kind: str, objective: str) -> None:
    prepare(job, kind, objective)
    weight = "none" if objective == "reg:squarederror" else "balanced"
    within, quiet = fit(job, objective=objective, class_weight=weight)
    beyond, told = fit(job, objective=objective, class_weight=weight, memory_limit_mib="0.001")
    assert not any("stays on disk" in line for line in quiet)
    assert any("stays on disk, one part file at a time" in line for line in told)
    warning = f"warning: train/part-1.{kind} "
    (warned,) = [line for line in told if "most of it is numbers" in line]
    assert warned.startswith(warning)
    assert warned in quiet
    assert beyond.model == within.model
    assert beyond.schema == within.schema
    assert beyond.schema.features[2].categories == ("0", "1", "2", "3", "k0", "k1", "k2", "k3"), "some texts came late"
    assert beyond.evaluation == within.evaluation
    data: Any = beyond.provenance["data"]
    assert data["train"]["external_memory"] is True
    assert [part["rows"] for part in data["train"]["parts"]] == [ROWS] * PARTS
    assert {entry.name for entry in (job.base / "output").iterdir()} == {"data"}, "what lay on disk is gone"


@pytest.mark.loop
def test_a_run_on_disk_continues_from_its_checkpoints_and_not_from_those_of_a_run_in_memory(job: Any) -> None:
    prepare(job, "csv", "binary:logistic")
    folder = job.base / "checkpoints"
    folder.mkdir()
    limit = {"memory_limit_mib": "0.001", "checkpoint_rounds": "1", "checkpoint_keep": "100"}
    whole, _ = fit(job, **limit)
    for path in sorted(folder.iterdir())[4:]:
        path.unlink()
    resumed, lines = fit(job, **limit)
    assert "continues after round 4 of 8 from a checkpoint" in lines
    assert resumed.model == whole.model
    _, lines = fit(job, checkpoint_rounds="1")
    assert any("another run, which differs in data of channel train" in line for line in lines)


@pytest.mark.loop
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("a,b,late_text,y\n1,2,0,maybe\n", "train/part-2.csv line 2, column 'y': expected 0 or 1, found 'maybe'"),
        ("a,b,y\n1,2,0\n", "train/part-2.csv: the columns differ from part-0.csv: without late_text"),
    ],
)
def test_wrong_data_on_disk_are_named_by_file_line_and_column(job: Any, damage: str, message: str) -> None:
    prepare(job, "csv", "binary:logistic")
    (job.base / "input/data/train/part-2.csv").write_text(damage)
    with pytest.raises(AssertionError, match=message.replace(".", r"\.")):
        fit(job, memory_limit_mib="0.001")


@pytest.mark.loop
@pytest.mark.parametrize("limit", ["0", "0.001"])
def test_a_bad_cell_among_more_numbers_than_there_may_be_categories_is_named(job: Any, limit: str) -> None:
    folder = job.base / "input/data/train"
    shutil.rmtree(folder)
    rows = [f"{row / 7},{row % 2}" for row in range(features.MAX_CATEGORIES + 10)]
    job.write_channel("train", a="\n".join(["a,y", *rows[:9000], ""]), b="\n".join(["a,y", *rows[9000:], "12;5,0", ""]))
    place = f"train/b.csv line {len(rows) - 9000 + 2}, column 'a': '12;5' is not a number, but {len(rows)} of its "
    with pytest.raises(AssertionError, match=re.escape(place)) as caught:
        fit(job, memory_limit_mib=limit)
    assert "correct the cell" in str(caught.value)
    assert "identifier" not in str(caught.value)


def test_the_estimate_decides_by_size_format_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(bytes(2**20))
    csv = Channel("train", (path, path), ())
    per_mib = 2 * pages.MEMORY_PER_BYTE[Format.CSV]
    assert pages.needed(csv, per_mib - 1)
    assert not pages.needed(csv, per_mib + 1)
    assert not pages.needed(csv, 0), "this machine has more"
    assert not pages.needed(Channel("train", (path,), (), format=Format.LIBSVM), 0.001)
    limit = tmp_path / "memory.max"
    limit.write_text(f"{int(per_mib * 2**20)}\n")
    monkeypatch.setattr(pages, "CGROUP_LIMITS", (str(limit), str(tmp_path / "none")))
    assert pages.needed(csv, 0)
    limit.write_text("max\n")
    assert not pages.needed(csv, 0)


GROWTHS = """
import sys
from pathlib import Path
from scoring import pages, part_files
from scoring.channels import Channel

def highest():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

folder, before, files = Path(sys.argv[1]), highest(), tuple(map(Path, sys.argv[2:]))
for number, some in enumerate([files[:1], files]):
    place = folder / str(number)
    place.mkdir()
    for table in pages.Spill(Channel("train", some, ()), lambda part: part_files.read(part, "y"), place).tables():
        del table
    print(highest() - before)
"""
"""Tells by how much, in KiB, memory grew at most: by one part file that is kept on disk, and then by all of them."""


def test_part_files_that_stay_on_disk_need_the_memory_of_one(tmp_path: Path) -> None:
    files = [tmp_path / f"{part}.csv" for part in range(6)]
    for part, file in enumerate(files):
        rows = np.random.default_rng(part).random((12_000, 5))
        np.savetxt(file, rows, "%.6f", ",", header="a,b,c,d,y", comments="")
    command = [sys.executable, "-c", GROWTHS, str(tmp_path), *map(str, files)]
    told = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    one, all_of_them = map(int, told.split())
    assert all_of_them < 2 * one, f"{one} KiB for one file, {all_of_them} for {len(files)}"
