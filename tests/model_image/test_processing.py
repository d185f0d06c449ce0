"""The processing jobs of the pipeline: what is refused before training, and what is said about it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import duckdb
import pytest

from processing.__main__ import main
from processing.check import Contract, run
from processing.oddities import Limits
from processing.split import Shares
from scoring.channels import Format
from scoring.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(label_shift=0.2, column_shift=0.8, repeat_gain=0.1, column_auc=0.9, moving=("month",))
CONTRACT = Contract(
    label="late",
    objective="binary:logistic",
    form=Format.CSV,
    shares=Shares(test=0.5, validation=None, by=()),
    minimum_rows=4,
    missing_gain=0.25,
    smallest_part=0.6,
    limits=LIMITS,
)
ROWS = ["1,b", "1,c", "0,a", "0,f"]
JUDGING = {"1": ["1,c", "0,f"], "2": ["1,c", "0,a"]}
"""Rows of each file of `validation` that judge, as the hashes of what `base` makes of them have it."""


def month(base: Path, channel: str, name: str, rows: list[str], header: str = "late,x") -> None:
    path = base / "input" / channel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def sides(name: str) -> tuple[list[str], list[str]]:
    """Rows of a file of `validation` in `base`: those that judge, and the others."""
    judging = JUDGING[name.partition(".")[0]]
    others = [row for row in ROWS if row not in judging]
    return [f"{row}-validation-{name}" for row in judging], [f"{row}-validation-{name}" for row in others]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "processing"
    for channel in ("train", "validation"):
        for name in ("1.csv", "2.csv"):
            month(folder, channel, name, [f"{row}-{channel}-{name}" for row in ROWS])
    return folder


def test_what_keeps_its_contract_is_copied_or_dealt_out_file_by_file_with_a_report(base: Path) -> None:
    run(base, CONTRACT, "v1")

    report = json.loads((base / "output/report/data.json").read_text())
    assert report["data_version"] == "v1"
    assert {name: found["rows"] for name, found in report["channels"].items()} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    for name in ("1.csv", "2.csv"):
        written = {channel: (base / "output" / channel / name).read_bytes() for channel in report["channels"]}
        assert written["train"] == (base / "input/train" / name).read_bytes()
        judging, choosing = sides(name)
        assert written["validation"].decode().splitlines() == ["late,x", *choosing]
        assert written["test"].decode().splitlines() == ["late,x", *judging]
        for channel, content in written.items():
            told = {"rows": content.count(b"\n") - 1, "sha256": hashlib.sha256(content).hexdigest()}
            assert report["channels"][channel]["files"][name] == told


def test_one_delivered_channel_is_dealt_out_to_three(base: Path) -> None:
    one = dataclasses.replace(
        CONTRACT, shares=Shares(test=0.4, validation=0.4, by=()), minimum_rows=1, objective="reg:squarederror"
    )
    shutil.rmtree(base / "input/validation")
    month(base, "train", "1.csv", ["1,a", "1,b", "0,c", "0,d"])
    month(base, "train", "2.csv", ["1,e", "1,f", "0,g", "0,h"])
    run(base, one, "v1")

    written = {
        name: (base / "output" / name / "1.csv").read_text().split()[1:] for name in ("train", "validation", "test")
    }
    assert written == {"train": ["1,a", "0,c"], "validation": ["1,b"], "test": ["0,d"]}


@pytest.mark.parametrize(
    ("channel", "header", "rows", "message"),
    [
        ("train", "late,y", ROWS, "the header differs"),
        ("train", "late,x", ROWS[:2], "train/3.csv: 2 rows; half of the other files have 4 or more"),
        ("train", "late,x", ["1,", "0,", "1,c", "0,d"], "train/3.csv: 50% of 'x' is empty, 0% elsewhere"),
        ("validation", "late,x", ["2,a", *ROWS], "'late' has to be 0 and 1, both; found 0, 1, 2"),
        ("validation", "late,x", [",a", *ROWS], "'late' has to be 0 and 1, both; found , 0, 1"),
    ],
)
def test_a_breach_is_refused_with_the_file_and_nothing_is_copied(
    base: Path, channel: str, header: str, rows: list[str], message: str
) -> None:
    month(base, channel, "3.csv", rows, header)

    with pytest.raises(UserError, match="(?s)" + message.replace("(", r"\(")):
        run(base, CONTRACT, "v1")
    assert not (base / "output").exists()


def test_parquet_is_held_to_the_same_contract(base: Path) -> None:
    contract = dataclasses.replace(CONTRACT, form=Format.PARQUET)
    month(base, "train", "3.csv", ["1,", "0,", "1,c", "0,d"])
    with duckdb.connect() as database:
        for path in (base / "input").rglob("*.csv"):
            database.read_csv(str(path), header=True).write_parquet(str(path.with_suffix(".parquet")))
            path.unlink()
    with pytest.raises(UserError, match=r"train/3\.parquet: 50% of 'x' is empty, 0% elsewhere"):
        run(base, contract, "v1")
    (base / "input/train/3.parquet").unlink()
    run(base, contract, "v1")

    report = json.loads((base / "output/report/data.json").read_text())
    assert report["channels"]["train"]["rows"] == 8
    for path in (base / "input/train").rglob("*.parquet"):
        assert (base / "output/train" / path.name).read_bytes() == path.read_bytes()
    for channel, rows in zip(("test", "validation"), sides("2.csv"), strict=True):
        written = duckdb.read_parquet(str(base / "output" / channel / "2.parquet"))
        assert [f"{late},{x}" for late, x in written.fetchall()] == rows
        assert [str(kind) for kind in written.types] == ["BIGINT", "VARCHAR"]
    with pytest.raises(UserError, match=r"channel 'train' holds no \*\.csv file"):
        run(base, CONTRACT, "v1")


def test_channels_with_other_columns_too_few_rows_or_no_label_are_named_together(base: Path) -> None:
    for name in ("1.csv", "2.csv"):
        month(base, "validation", name, ["a,b"], "x,z")

    with pytest.raises(UserError) as refusal:
        run(base, CONTRACT, "v1")
    for expected in (
        "validation: 0 rows; at least 4",
        "test: 2 rows; at least 4",
        "'late', the label, is missing",
        "other columns than train",
    ):
        assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("rows", "by", "message"),
    [
        (["1,a", "0,c", "0,c", "1,a"], (), "test: 0 rows; at least 4"),
        (["1,a", "0,c", "1,b", "1,d"], (), "test: all rows have the same 'late'"),
        (["1,a", "1,b", "0,c", "0,d"], ("day",), "validation: column day, by which rows are dealt out, is missing"),
    ],
)
def test_rows_that_cannot_judge_are_refused_before_anything_is_trained(
    base: Path, rows: list[str], by: tuple[str, ...], message: str
) -> None:
    for name in ("1.csv", "2.csv"):
        month(base, "validation", name, rows)
    with pytest.raises(UserError, match=message):
        run(base, dataclasses.replace(CONTRACT, shares=dataclasses.replace(CONTRACT.shares, by=by)), "v1")
    assert not (base / "output").exists()


def test_why_a_job_failed_is_left_where_sagemaker_shows_it(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(base.parent))
    words = [
        "check",
        "--objective",
        "binary:logistic",
        "--label",
        "gone",
        "--format",
        "csv",
        "--minimum-rows",
        "1",
        "--missing-gain",
        "0.5",
        "--smallest-part",
        "0",
        *("--label-shift", "1", "--column-shift", "1", "--repeat-gain", "1", "--column-auc", "1"),
        "--test-share",
        "0.5",
    ]

    assert main(words) != 0
    assert "'gone', the label, is missing" in (base.parent / "output/message").read_text()
