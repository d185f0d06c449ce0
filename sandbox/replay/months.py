"""The year as it arrives: what a month's flights are asked, what became of them, and what time it is meanwhile."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from bench.load import post
from sandbox.loop import evaluate, flights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sandbox.loop.evaluate import Values

USES: Final = ("train", "validation")
IDENTIFIED_BY: Final = "X-Amzn-SageMaker-Inference-Id"
BOARD: Final = 20
"""Flights of one request: somebody asks about the next departures."""


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the year."""

    number: int
    """1 to 12."""
    questions: tuple[str, ...]
    """Bodies of the requests, CSV with up to `BOARD` rows."""
    labels: tuple[tuple[float, ...], ...]
    """What became of the flights of each request."""
    skipped: int = 0
    """Requests of the month that come before these."""

    @classmethod
    def read(cls, data: Path, number: int) -> Month:
        """Read a month, the days that train and those that validate."""
        rows: list[str] = []
        labels: list[float] = []
        for use in USES:
            truth, questions = evaluate.split_label(data / use / file_name(number))
            rows += questions
            labels += truth.tolist()
        starts = range(0, len(rows), BOARD)
        return cls(
            number,
            tuple("\n".join(rows[start : start + BOARD]) for start in starts),
            tuple(tuple(labels[start : start + BOARD]) for start in starts),
        )

    @property
    def name(self) -> str:
        """In English."""
        return month_name(self.number)

    @property
    def end(self) -> datetime:
        """When it is over: the clock of everything that is stored by the hour."""
        last = calendar.monthrange(flights.YEAR, self.number)[1]
        return datetime(flights.YEAR, self.number, last, 23, tzinfo=UTC)

    @property
    def hours(self) -> int:
        """How long it is."""
        return 24 * calendar.monthrange(flights.YEAR, self.number)[1]

    def identifier(self, place: int) -> str:
        """What the caller calls a request, by which the truth is joined later."""
        return f"{flights.YEAR}-{self.number:02}-{place + self.skipped:05}"

    def split(self, count: int) -> tuple[Month, Month]:
        """The first requests, and the rest."""
        first = replace(self, questions=self.questions[:count], labels=self.labels[:count])
        return first, replace(self, questions=self.questions[count:], labels=self.labels[count:], skipped=count)

    def wires(self) -> list[bytes]:
        """The requests, by name."""
        return [
            post("/invocations", "text/csv", question.encode(), f"{IDENTIFIED_BY}: {self.identifier(place)}\r\n")
            for place, question in enumerate(self.questions)
        ]

    def glances(self) -> list[bytes]:
        """Requests about the first flight of each board, without a name: never joined with the truth."""
        return [post("/invocations", "text/csv", question.partition("\n")[0].encode()) for question in self.questions]

    def flights(self) -> tuple[Values, list[str]]:
        """What became of all flights, and their rows, one by one."""
        labels = np.array([label for labels in self.labels for label in labels])
        return labels, [row for question in self.questions for row in question.split("\n")]

    def truth(self) -> list[dict[str, object]]:
        """What became of all flights, as records that Model Monitor would merge."""
        return [
            {
                "groundTruthData": {"data": "\n".join(f"{label:g}" for label in labels), "encoding": "CSV"},
                "eventMetadata": {"eventId": self.identifier(place), "inferenceId": self.identifier(place)},
                "eventVersion": "0",
            }
            for place, labels in enumerate(self.labels)
        ]


def month_name(number: int) -> str:
    """A month's English name."""
    return calendar.month_name[number]


def file_name(number: int) -> str:
    """Name of a month's file."""
    return f"{flights.YEAR}-{number:02}.csv"


def files(data: Path, numbers: Sequence[int]) -> dict[str, Path]:
    """Files of some months by their key below the model's prefix."""
    return {f"{use}/{file_name(number)}": data / use / file_name(number) for number in numbers for use in USES}
