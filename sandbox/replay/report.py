"""What the year showed: a table for the console, a page with its curves, and the promises that it kept or broke."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.replay.chart import Curve, chart
from sandbox.replay.months import month_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.replay.player import Chapter, Watched
    from sandbox.replay.watching import Seen

HEAD: Final = (
    "arrives",
    "challenger",
    "champion",
    "decision",
    "then asked",
    "requests",
    "failed",
    "serves",
    "data drift",
    "predictions",
    "AUC",
    "frozen drift",
    "frozen AUC",
)
_NONE: Final = "-"
MONTHS: Final = 12
"""Of a whole year."""
_ABBREVIATED: Final = 3


@dataclass(frozen=True, slots=True)
class Year:
    """All chapters, and what follows from them."""

    chapters: Sequence[Chapter]
    metric: str
    """The gate's metric."""

    @property
    def watched(self) -> list[Watched]:
        """The months that were asked about."""
        return [chapter.watched for chapter in self.chapters if chapter.watched is not None]

    def curves(self) -> tuple[list[float], list[float]]:
        """The metric of what the loop served and of the frozen model, month by month, on the same flights."""
        loop = [float(each.served.summary["quality"][self.metric]) for each in self.watched]
        return loop, [each.frozen_quality.auc for each in self.watched]

    def later(self) -> list[tuple[float, float]]:
        """Both values of the months in which another version than the frozen one was in service."""
        first = self.chapters[0].serving
        pairs = zip(*self.curves(), strict=True)
        served = [chapter.serving for chapter in self.chapters if chapter.watched is not None]
        return [pair for pair, version in zip(pairs, served, strict=True) if version != first]

    def totals(self) -> dict[str, str]:
        """The numbers that the loop promises something about."""
        later = self.later()
        means = [sum(values) / len(later) for values in zip(*later, strict=True)]
        compared = f"{means[0]:.4f} by the loop, {means[1]:.4f} frozen" if means else "nothing to compare"
        beaten = sum(loop > frozen for loop, frozen in later)
        return {
            "Events": f"{self.events} deliveries in {len(self.chapters)} months, {self.lost} lost",
            "Trainings": f"{self.trainings} for {len(self.chapters)} data sets, {self.doubled} of them twice",
            "Requests": f"{self.requests:,}, {self.failed:,} failed",
            "Explained": f"{self.explained} of {len(self.chapters)} decisions",
            "Taken back": "; ".join(text.partition(";")[0] for text in self.recalled()) or "nothing",
            f"Mean {self.metric}": f"{compared}, in the {len(later)} months after another version took over",
            "Months": f"the loop is ahead of the frozen model in {beaten} of {len(later)}",
        }

    def recalled(self) -> list[str]:
        """How versions went when the truth had come."""
        return [chapter.recalled for chapter in self.chapters if chapter.recalled]

    @property
    def events(self) -> int:
        """Deliveries."""
        return sum(chapter.decision.events for chapter in self.chapters)

    @property
    def lost(self) -> int:
        """Reasons to retrain that nobody acted upon, and months that led to no execution."""
        return sum(chapter.decision.lost + (not chapter.decision.executions) for chapter in self.chapters)

    @property
    def trainings(self) -> int:
        """Training jobs."""
        return sum(chapter.decision.trainings for chapter in self.chapters)

    @property
    def doubled(self) -> int:
        """Training jobs beyond the first of a month."""
        return sum(max(chapter.decision.trainings - 1, 0) for chapter in self.chapters)

    @property
    def requests(self) -> int:
        """Requests that callers sent."""
        return sum(chapter.asked.sent for chapter in self.chapters)

    @property
    def failed(self) -> int:
        """Of these, answered wrongly or not at all."""
        return sum(chapter.asked.failures.total() for chapter in self.chapters)

    @property
    def explained(self) -> int:
        """Decisions with a reason."""
        return sum(bool(chapter.decision.why and chapter.decision.reason) for chapter in self.chapters)

    def broken(self) -> list[str]:
        """Promises that this year broke."""
        later = self.later()
        found = {
            f"{self.lost} events were lost": self.lost > 0,
            f"{self.doubled} trainings were doubled": self.doubled > 0,
            f"{self.failed} requests failed": self.failed > 0,
            "a decision has no reason": self.explained < len(self.chapters),
            "a version that truth found worse serves on": any(
                chapter.spoiled and not chapter.recalled for chapter in self.chapters
            ),
            "the frozen model is as good as the loop": sum(loop - frozen for loop, frozen in later) <= 0 < len(later),
            **(self._unseen() if len(self.chapters) == MONTHS else {}),
        }
        return [text for text, true in found.items() if true]

    def _unseen(self) -> dict[str, bool]:
        """What a whole year has to show: some months alone may be too few for it."""
        return {
            "in a whole year no version took over": not self.later(),
            "in a whole year no version was served wrongly and taken back": not self.recalled(),
            "in a whole year nobody found that the data of the frozen model drifted": not any(
                each.frozen.moved for each in self.watched
            ),
        }


def rows(year: Year) -> Iterator[tuple[str, ...]]:
    """The table, a row for each month that arrived."""
    curves = dict(zip((each.month for each in year.watched), zip(*year.curves(), strict=True), strict=True))
    for chapter in year.chapters:
        decision, watched = chapter.decision, chapter.watched
        champion = decision.challenge.get("champion")
        challenger = decision.challenge.get("challenger", decision.metric)
        seen = (_NONE,) * 7
        if watched is not None:
            loop, frozen = curves[watched.month]
            predictions = watched.served.distances["answers"]
            seen = (
                month_name(watched.month)[:_ABBREVIATED],
                str(chapter.serving),
                _drift(watched.served),
                f"{predictions:.3f}{'!' if watched.served.summary['raised']['prediction'] else ''}",
                f"{loop:.4f}",
                _drift(watched.frozen),
                f"{frozen:.4f}",
            )
        yield (
            month_name(chapter.arrived)[:_ABBREVIATED],
            _value(challenger),
            _value(champion),
            "back" if chapter.recalled else (chapter.rollout or "kept").partition(" ")[0],
            seen[0],
            f"{chapter.asked.sent:,}",
            f"{chapter.asked.failures.total():,}",
            *seen[1:],
        )


def _value(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else _NONE


def _drift(seen: Seen) -> str:
    """The feature that moved farthest, and how many did."""
    moved = seen.moved
    return f"{moved[0]} {seen.distances[moved[0]]:.2f} of {len(moved)}" if moved else "quiet"


def lines(year: Year) -> list[str]:
    """The table as text, and why each month ended as it did."""
    table = [HEAD, *rows(year)]
    widths = [max(len(row[place]) for row in table) for place in range(len(HEAD))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return [*shown, "", *(f"{month_name(number)}: {reason}" for number, reason in _reasons(year))]


def _reasons(year: Year) -> Iterator[tuple[int, str]]:
    for chapter in year.chapters:
        decision = chapter.decision
        told = [*decision.why, decision.reason, chapter.rollout, chapter.recalled]
        yield chapter.arrived, "; ".join(filter(None, told))


def page(year: Year) -> str:
    """The year as an HTML page that needs nothing else."""
    months = [month_name(each.month)[:_ABBREVIATED] for each in year.watched]
    loop, frozen = year.curves()
    drifts = [[_largest(seen) for seen in side] for side in _sides(year)]
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in HEAD)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows(year))
    totals = "".join(f"<li>{html.escape(f'{name}: {text}')}</li>" for name, text in year.totals().items())
    reasons = "".join(f"<li>{html.escape(f'{month_name(number)}: {text}')}</li>" for number, text in _reasons(year))
    quality = chart(f"{year.metric} on the month's flights", months, [Curve("loop", loop), Curve("frozen", frozen)])
    drift = chart(
        "Largest stability index of a feature", months, [Curve("loop", drifts[0]), Curve("frozen", drifts[1])]
    )
    style = "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .7em;text-align:left;border-bottom:1px solid #ddd}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A year of flights</title><style>{style}</style>'
        f"<h1>A year of flights</h1><ul>{totals}</ul>{quality}{drift}<table><tr>{head}</tr>{body}</table>"
        f"<h2>Why</h2><ul>{reasons}</ul></html>\n"
    )


def _sides(year: Year) -> tuple[list[Seen], list[Seen]]:
    return [each.served for each in year.watched], [each.frozen for each in year.watched]


def _largest(seen: Seen) -> float:
    return max(value for name, value in seen.distances.items() if name != "answers")
