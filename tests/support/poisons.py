"""Months of a small world, and what can go wrong with one before it reaches the pipeline.

The world has the columns that prod's gate slices by, seasons, and a signal that forty rounds of boosting find.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pandas import DataFrame

    Draw = np.random.Generator
    Cells = pd.Series | NDArray[np.generic] | list[str]
    Change = Callable[[DataFrame, Draw], DataFrame]
    Damage = Callable[[bytes, Draw], bytes]

LABEL = "late"
ROWS = {"train": 3000, "validation": 1500}
CARRIERS = {"AA": 0.0, "B6": 0.5, "DL": -0.4, "EV": 0.8, "UA": 0.1}
ORIGINS = {"EWR": 0.3, "JFK": 0.0, "LGA": -0.2}


def month(number: int, use: str, seed: int) -> DataFrame:
    """One file of the world; equal arguments give equal rows."""
    draw = np.random.default_rng([seed, number, *use.encode()])
    rows = ROWS[use]
    carrier, origin = (draw.choice(list(names), rows) for names in (CARRIERS, ORIGINS))
    minute, wind = draw.uniform(300, 1380, rows).round(), draw.gamma(3.0, 4.0, rows).round(2)
    distance = draw.lognormal(6.6, 0.6, rows).round(1)
    rain = np.where(draw.random(rows) < 0.15, draw.exponential(0.2, rows), 0.0).round(3)
    warm = 55 - 22 * np.cos(2 * np.pi * (number - 1) / 12)
    effects = np.vectorize(CARRIERS.get)(carrier) + np.vectorize(ORIGINS.get)(origin)
    season = 0.2 * np.sin(number)
    odds = -2.6 + season + effects + 0.0034 * (minute - 700) + 0.06 * wind + 2.5 * rain - 0.0002 * distance
    return pd.DataFrame(
        {
            LABEL: (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(int),
            "month": number,
            "minute": minute,
            "carrier": carrier,
            "origin": origin,
            "distance": distance,
            "temp": draw.normal(warm, 8, rows).round(1),
            "wind": wind,
            "rain": rain,
        }
    )


def written(rows: DataFrame) -> bytes:
    """A file as it is uploaded."""
    return rows.to_csv(index=False, lineterminator="\n").encode()


@dataclass(frozen=True, slots=True)
class Poison:
    """One way for a month to be bad; in the rows, or in the bytes of its files."""

    rows: Change | None = None
    content: Damage | None = None
    subtle: bool = False
    """Too little, or too much like a change of the world, to be told from honest data: what counts is that no version
    gets through that is worse on true rows."""

    def apply(self, rows: DataFrame, draw: Draw) -> bytes:
        """The bad file."""
        content = written(rows if self.rows is None else self.rows(rows.copy(), draw))
        return content if self.content is None else self.content(content, draw)


def _cells(column: str, change: Callable[[pd.Series[float], Draw], Cells]) -> Change:
    return lambda rows, draw: rows.assign(**{column: change(rows[column], draw)})


def _flip(share: float) -> Change:
    return _cells(LABEL, lambda labels, draw: labels.where(draw.random(len(labels)) >= share, 1 - labels))


def _some(share: float, value: object, column: str = "distance") -> Change:
    """Put a value into a share of the cells."""
    return _cells(column, lambda cells, draw: cells.astype(object).mask(draw.random(len(cells)) < share, value))


def _swap(one: str, other: str) -> Change:
    return lambda rows, _: rows.rename(columns={one: other, other: one})[list(rows.columns)]


def _told(noise: float, yes: str | float, no: str | float, column: str) -> Change:
    """Let a column give the answer away."""

    def change(rows: DataFrame, draw: Draw) -> DataFrame:
        truth = (rows[LABEL] == 1) ^ (draw.random(len(rows)) < noise)
        return rows.assign(**{column: np.where(truth, np.array(yes), np.array(no))})

    return change


POISONS: dict[str, Poison] = {
    # files
    "empty file": Poison(content=lambda _, __: b""),
    "header only": Poison(rows=lambda rows, _: rows.head(0)),
    "cut in a row": Poison(content=lambda content, _: content[: len(content) * 9 // 10].rsplit(b",", 3)[0]),
    "compressed": Poison(content=lambda content, _: gzip.compress(content)),
    "random bytes": Poison(content=lambda content, draw: draw.bytes(len(content))),
    "UTF-16": Poison(content=lambda content, _: content.decode().encode("utf-16")),
    "semicolons": Poison(content=lambda content, _: content.replace(b",", b";")),
    "a stray quote": Poison(content=lambda content, _: content.replace(b"AA", b'"AA', 1)),
    "a page of an error": Poison(content=lambda _, __: b"<html><body>503 Service Unavailable</body></html>\n"),
    "a row too wide": Poison(content=lambda content, _: content + content.splitlines()[-1] + b",1\n"),
    "header twice": Poison(content=lambda content, _: content.splitlines(keepends=True)[0] + content),
    "no header": Poison(content=lambda content, _: content.split(b"\n", 1)[1]),
    # columns
    "column lost": Poison(rows=lambda rows, _: rows.drop(columns="wind")),
    "column renamed": Poison(rows=lambda rows, _: rows.rename(columns={"wind": "wind_speed"})),
    "column added": Poison(rows=lambda rows, _: rows.assign(gate="A1")),
    "columns in another order": Poison(rows=lambda rows, _: rows[rows.columns[::-1]]),
    "label lost": Poison(rows=lambda rows, _: rows.drop(columns=LABEL)),
    # rows
    "half of the rows": Poison(rows=lambda rows, _: rows.head(len(rows) // 2)),
    "every row twice": Poison(rows=lambda rows, _: pd.concat([rows.head(len(rows) // 2)] * 2)),
    "one row again and again": Poison(rows=lambda rows, _: pd.concat([rows.head(1)] * len(rows))),
    "sorted and cut": Poison(rows=lambda rows, _: rows.sort_values(LABEL).head(len(rows) * 2 // 3)),
    "a tenth of the rows twice": Poison(
        rows=lambda rows, _: pd.concat([rows, rows.head(len(rows) // 10)]), subtle=True
    ),
    # labels
    "all on time": Poison(rows=_cells(LABEL, lambda labels, _: labels * 0)),
    "all late": Poison(rows=_cells(LABEL, lambda labels, _: labels * 0 + 1)),
    "inverted": Poison(rows=_flip(1.0)),
    "words": Poison(rows=_cells(LABEL, lambda labels, _: np.where(labels == 1, "yes", "no"))),
    "a third class": Poison(rows=_some(0.05, 2, LABEL)),
    "labels missing": Poison(rows=_some(0.2, "", LABEL)),
    "shuffled": Poison(rows=_cells(LABEL, lambda labels, draw: draw.permutation(labels.to_numpy())), subtle=True),
    "of the row before": Poison(rows=_cells(LABEL, lambda labels, _: np.roll(labels.to_numpy(), 1)), subtle=True),
    "coin tosses": Poison(rows=_flip(0.5), subtle=True),
    "flipped, 40 %": Poison(rows=_flip(0.4), subtle=True),
    "flipped, 20 %": Poison(rows=_flip(0.2), subtle=True),
    "flipped, 10 %": Poison(rows=_flip(0.1), subtle=True),
    "flipped, 5 %": Poison(rows=_flip(0.05), subtle=True),
    "flipped, 1 %": Poison(rows=_flip(0.01), subtle=True),
    # values
    "constant": Poison(rows=_cells("minute", lambda cells, _: cells * 0 + 720)),
    "constant word": Poison(rows=_cells("carrier", lambda cells, _: ["AA"] * len(cells))),
    "emptied": Poison(rows=_cells("wind", lambda cells, _: [""] * len(cells))),
    "half empty": Poison(rows=_some(0.5, "")),
    "nan in half": Poison(rows=_some(0.5, "nan")),
    "a word among numbers": Poison(rows=_some(0.01, "N/A")),
    "infinite": Poison(rows=_some(0.02, "inf")),
    "beyond float": Poison(rows=_some(0.02, "1e300")),
    "minutes as seconds": Poison(rows=_cells("minute", lambda cells, _: cells * 60)),
    "metres": Poison(rows=_cells("distance", lambda cells, _: cells * 1609.34)),
    "another sign": Poison(rows=_cells("wind", lambda cells, _: -cells)),
    "lower case": Poison(rows=_cells("carrier", lambda cells, _: [str(cell).lower() for cell in cells])),
    "codes as hashes": Poison(
        rows=_cells("origin", lambda cells, _: [str(zlib.crc32(str(cell).encode())) for cell in cells])
    ),
    "columns swapped": Poison(rows=_swap("minute", "wind")),
    "words swapped": Poison(rows=_swap("carrier", "origin")),
    "a column shuffled": Poison(rows=_cells("minute", lambda cells, draw: draw.permutation(cells)), subtle=True),
    "kilometres": Poison(rows=_cells("distance", lambda cells, _: cells * 1.609), subtle=True),
    "spikes": Poison(rows=_some(0.03, 99999.0), subtle=True),
    # answers given away
    "leak as a number": Poison(rows=_told(0.0, 1.0, 2.0, "distance")),
    "leak as a word": Poison(rows=_told(0.0, "AA", "UA", "carrier")),
    "leak as an empty cell": Poison(rows=_told(0.0, "", 5.0, "wind")),
    "leak with noise": Poison(rows=_told(0.03, 1.0, 2.0, "distance")),
}
"""By name; what is poisoned is the newest month, its `train` and its `validation`."""
