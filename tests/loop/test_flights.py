from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from sandbox.loop import flights

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.loop.flights import Dataset

pytestmark = pytest.mark.loop

MONTHS, HOLDOUT = (2,), 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flights") / "data"


@pytest.fixture(scope="module")
def data(root: Path) -> Dataset:
    return flights.prepare(root, MONTHS, HOLDOUT)


@pytest.fixture(scope="module")
def source() -> list[dict[str, str]]:
    """The published flights of the months, read without pandas."""
    with zipfile.ZipFile(flights.data_folder() / "flights.csv.zip") as archive:
        name = next(iter(archive.namelist()))
        text = io.TextIOWrapper(archive.open(name), encoding="utf-8")
        wanted = {str(month) for month in (*MONTHS, HOLDOUT)}
        return [row for row in csv.DictReader(text) if row["month"] in wanted and row["arr_delay"] != "NA"]


def rows(data: Dataset, use: str) -> list[dict[str, str]]:
    files = data.files(use).values()
    return [row for path in files for row in csv.DictReader(io.StringIO(path.read_text()))]


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_months_are_written_once_and_byte_equal_anywhere(data: Dataset, tmp_path: Path) -> None:
    assert data.changed
    assert not flights.prepare(data.root, MONTHS, HOLDOUT).changed
    elsewhere = flights.prepare(tmp_path / "data", MONTHS, HOLDOUT)
    assert contents(elsewhere.root) == contents(data.root)
    assert set(contents(data.root)) == {
        "manifest.json",
        "train/2013-02.csv",
        "validation/2013-02.csv",
        "holdout/2013-03.csv",
    }


def test_every_flight_that_arrived_is_in_exactly_one_place(data: Dataset, source: list[dict[str, str]]) -> None:
    counts = {use: len(rows(data, use)) for use in ("train", "validation", "holdout")}

    assert counts["train"] + counts["validation"] == sum(row["month"] == "2" for row in source)
    assert counts["holdout"] == sum(row["month"] == "3" for row in source)
    assert 0.1 < counts["validation"] / counts["train"] < 0.4


def test_the_label_is_arrival_more_than_fifteen_minutes_late(data: Dataset, source: list[dict[str, str]]) -> None:
    late = [str(int(float(row["arr_delay"]) > 15)) for row in source if row["month"] == "3"]

    assert [row["late"] for row in rows(data, "holdout")] == late


def test_a_day_is_validated_or_trained_on_but_never_both(source: list[dict[str, str]], data: Dataset) -> None:
    days = {row["day"] for row in source if row["month"] == "2"}
    validated = {day for day in days if (31 + int(day)) % flights.VALIDATION_EVERY == 0}

    expected = sum(row["day"] in validated for row in source if row["month"] == "2")
    assert len(rows(data, "validation")) == expected
    assert len(validated) in {5, 6}


def test_no_column_tells_what_is_known_only_after_departure(data: Dataset) -> None:
    header = list(rows(data, "train")[0])

    assert header == ["late", *flights.FEATURES]
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(header)
    assert not any("delay" in name or "actual" in name for name in header)


def test_weather_and_aircraft_are_joined_to_most_flights(data: Dataset) -> None:
    train = rows(data, "train")

    for column, share in {"temp": 0.99, "visib": 0.99, "plane_age": 0.8, "seats": 0.8}.items():
        assert sum(bool(row[column]) for row in train) / len(train) > share, column


@pytest.mark.parametrize("damage", ["altered", "missing", "no manifest", "interrupted"])
def test_damaged_or_half_written_data_is_written_again(data: Dataset, damage: str) -> None:
    before = contents(data.root)
    month = data.root / "train" / "2013-02.csv"
    if damage == "altered":
        month.write_bytes(month.read_bytes()[:-1])
    elif damage == "missing":
        month.unlink()
    elif damage == "no manifest":
        (data.root / "manifest.json").unlink()
    else:
        data.root.rename(data.root.with_name("data.partial"))

    assert flights.prepare(data.root, MONTHS, HOLDOUT).changed
    assert contents(data.root) == before


def test_other_months_replace_the_data(tmp_path: Path) -> None:
    flights.prepare(tmp_path / "data", (2,), 3)

    assert flights.prepare(tmp_path / "data", (3,), 2).changed
    assert {name for name in contents(tmp_path / "data") if name.startswith("holdout")} == {"holdout/2013-02.csv"}
