"""The processing jobs of the pipeline: what is refused before training, and what is said about it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import duckdb
import pytest

from processing.__main__ import main
from processing.check import Contract, run
from scoring.channels import Format
from scoring.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = Contract(
    label="late", objective="binary:logistic", form=Format.CSV, minimum_rows=4, missing_gain=0.25, smallest_part=0.6
)
ROWS = ["1,a", "0,b", "1,c", "0,d"]


def month(base: Path, channel: str, name: str, rows: list[str], header: str = "late,x") -> None:
    path = base / "input" / channel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "processing"
    for channel in ("train", "validation"):
        for name in ("1.csv", "2.csv"):
            month(folder, channel, name, ROWS)
    return folder


def test_data_that_keeps_its_contract_is_copied_byte_by_byte_with_a_report(base: Path) -> None:
    run(base, CONTRACT, "v1")

    report = json.loads((base / "output/report/data.json").read_text())
    assert report["data_version"] == "v1"
    assert report["channels"]["train"] | {"files": ...} == {"rows": 8, "files": ...}
    for path in (base / "input").rglob("*.csv"):
        assert (base / "output" / path.relative_to(base / "input")).read_bytes() == path.read_bytes()


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
    for path in (base / "input").rglob("*.parquet"):
        assert (base / "output" / path.relative_to(base / "input")).read_bytes() == path.read_bytes()
    with pytest.raises(UserError, match=r"channel 'train' holds no \*\.csv file"):
        run(base, CONTRACT, "v1")


def test_channels_with_other_columns_too_few_rows_or_no_label_are_named_together(base: Path) -> None:
    for name in ("1.csv", "2.csv"):
        month(base, "validation", name, ["a,b"], "x,z")

    with pytest.raises(UserError) as refusal:
        run(base, CONTRACT, "v1")
    for expected in ("validation: 2 rows; at least 4", "'late', the label, is missing", "other columns than train"):
        assert expected in str(refusal.value)


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
    ]

    assert main(words) != 0
    assert "'gone', the label, is missing" in (base.parent / "output/message").read_text()
