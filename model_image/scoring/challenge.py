"""The verdict on a new model beside the one in service, both asked about the same rows.

A gain counts when it exceeds what it has to be worth and is hardly chance; a loss counts in total, and in every slice
that is large enough to tell. The more slices are looked at, the less chance each of them is allowed (Bonferroni).
Where the model in service itself fails on rows that it used to know, the rows are bad or the world has changed: what
was learnt from them is for a person to judge.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scoring import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from scoring.compare import Comparison
    from scoring.dataset import Column
    from scoring.tasks import Task

FIRST, BETTER, EQUAL, WORSE = "first", "better", "no better", "worse"
"""Verdicts; the first where no model is in service yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a new model has to show."""

    metric: str
    """A metric of which more is better and which the task can test."""
    minimum_gain: float
    """The gain has to exceed this."""
    significance: float
    """Largest chance of such a difference between models that are equally good."""
    slices: tuple[str, ...]
    """Columns, none of whose values may lose."""
    slice_rows: int
    """Rows from which a value is looked at."""
    slice_loss: float
    """A slice may lose this much."""
    collapse: float
    """The champion may be below its metric on other rows by this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What both models were asked, and what they answered."""

    labels: NDArray[np.floating]
    """Shape (rows,)."""
    champion: NDArray[np.floating]
    """Its predictions, shape (rows,), or (rows, classes)."""
    challenger: NDArray[np.floating]
    """Those of the new model."""

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(labels=self.labels[chosen], champion=self.champion[chosen], challenger=self.challenger[chosen])


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows with one value in one column."""

    column: str
    value: str
    rows: int
    both: Comparison
    """The two models on these rows."""


def judge(
    task: Task, terms: Terms, rows: Rows, columns: Mapping[str, Column], seed: int, *, older: Rows | None = None
) -> dict[str, object]:
    """Give the verdict, what it rests on, and why in words; a part of ``evaluation.json``.

    Args:
        task: What both have learnt.
        terms: What is asked.
        rows: Labels and predictions.
        columns: Those of ``terms.slices``, of the same rows.
        seed: Decides the bootstrap's samples.
        older: Rows that came before, to see whether the champion fails on the new ones; None does not ask.
    """

    def compared(some: Rows) -> Comparison:
        return compare.by_metric(task, terms.metric, some.labels, some.champion, some.challenger, seed=seed)

    whole = compared(rows)
    slices = [
        Slice(name, value, len(some.labels), compared(some))
        for name in terms.slices
        for value, some in _large(task, terms, rows, columns[name])
    ]
    slices = [each for each in slices if not math.isnan(each.both.p_value)]
    chance = terms.significance / max(len(slices), 1)
    harmed = [each for each in slices if each.both.difference < -terms.slice_loss and each.both.p_value < chance]
    before = math.nan if older is None else task.metrics[terms.metric](older.labels, older.champion)
    collapsed = before - whole.champion > terms.collapse
    return {
        "outcome": WORSE if collapsed else _outcome(terms, whole, harmed=bool(harmed)),
        "reason": _reason(terms, whole, harmed) + (_collapse(before) if collapsed else ""),
        "champion_before": None if math.isnan(before) else before,
        "rows": len(rows.labels),
        "metric": terms.metric,
        **asdict(whole),
        "slices": [
            {"column": each.column, "value": each.value, "rows": each.rows, **asdict(each.both)} for each in slices
        ],
    }


def _outcome(terms: Terms, whole: Comparison, *, harmed: bool) -> str:
    told_apart = whole.p_value < terms.significance
    if harmed or (told_apart and whole.difference < 0):
        return WORSE
    return BETTER if told_apart and whole.difference > terms.minimum_gain else EQUAL


def _reason(terms: Terms, whole: Comparison, harmed: list[Slice]) -> str:
    wanted = f"more than {terms.minimum_gain} with p below {terms.significance} is wanted"
    text = (
        f"{terms.metric} is {whole.challenger:.6f}, that of the champion {whole.champion:.6f}: "
        f"{whole.difference:+.6f} with p {whole.p_value:.6f}; {wanted}"
    )
    lost = (f"{each.column} {each.value} {each.both.difference:+.6f}" for each in harmed)
    return "; ".join([text, f"lost in {', '.join(lost)}"]) if harmed else text


def _collapse(before: float) -> str:
    return f"; the champion reaches {before:.6f} on older rows: these are bad, or the world has changed"


def _large(task: Task, terms: Terms, rows: Rows, column: Column) -> list[tuple[str, Rows]]:
    """Rows of each value that has enough of them, and for which the metric has a value."""
    least = max(terms.slice_rows, 1)
    chosen = [(text, own) for code, text in enumerate(column.texts) if (own := column.codes == code).sum() >= least]
    found = [(text, rows.where(own)) for text, own in chosen]
    return [
        (text, some) for text, some in found if not math.isnan(task.metrics[terms.metric](some.labels, some.champion))
    ]
