"""What a window of captured rows says: of features, of answers, and of quality where the truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from processing import shifts
from scoring.contract import Kind
from scoring.drift import Bins
from scoring.errors import UserError, summarize
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scoring.artifact import Artifact

ANSWERS: Final = "answers"
"""Name of the prediction among the features of the reports, and of its reference in the evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is borne."""

    window_hours: int
    """Hours of captures that are compared."""
    minimum_rows: int
    """Captured rows before anything is said about data and predictions."""
    minimum_labels: int
    """Rows whose truth is known before anything is said about the quality."""
    false_alarms: float
    """Chance per run and kind that captures like the training data are called drifted."""
    effect: float
    """Least population stability index of a feature that matters."""
    answers_effect: float
    """The same of the answers."""
    missing_gain: float
    """By how much the share of missing or unknown values of a feature may differ from training."""
    metric: str
    """Metric of the quality, of which more is better."""
    drop: float
    """By how much it may be below that of the evaluation at training."""
    runs: int
    """Runs in a row that it takes to raise or to clear an alarm."""
    clear_below: float
    """Share of a limit below which an alarm is cleared."""

    def __post_init__(self) -> None:
        """Refuse limits that everything or nothing would exceed."""
        problems = [
            f"--{each.name.replace('_', '-')} is {value}; expected a number above 0"
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), (int, float)) and not 0 < value < math.inf
        ]
        if problems:
            raise UserError(summarize(problems))


class Violation(NamedTuple):
    """One statistic beyond its limit."""

    feature: str
    check: str
    description: str


@dataclass(slots=True)
class Finding:
    """What was found about one kind of drift."""

    score: float | None = None
    """The largest statistic as a share of its limit; None where there were too few samples."""
    violations: list[Violation] = field(default_factory=list[Violation])

    def take(self, feature: str, check: str, value: float, limit: float, what: str) -> None:
        """Take a statistic into account."""
        score = value / limit
        self.score = max(self.score or 0.0, score)
        if score > shifts.SAME:
            self.violations.append(Violation(feature, check, f"{what} is {value:.4g}, the limit {limit:.4g}"))


class Comparison:
    """Counts the rows of a window beside the model's reference."""

    def __init__(self, model: Artifact, limits: Limits, without: frozenset[str]) -> None:
        """Start without rows; features of `without` are not captured, and therefore not compared."""
        reference: Any = model.provenance.get("reference") or {}
        self._limits, self._model = limits, model
        self._kinds = {feature.name: feature.kind for feature in model.schema.features}
        self._places = {name: place for place, name in enumerate(model.schema.names) if name not in without}
        self._bins = {name: Bins(reference[name]) for name in self._places if name in reference}
        answers: Any = model.evaluation.get(ANSWERS)
        self._answers = Bins(answers) if answers else None
        self.rows = 0
        """Rows counted."""
        self.judged: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        """Answers whose truth is known, and the truth."""

    def count(self, rows: NDArray[np.float32], answers: NDArray[np.float32]) -> None:
        """Count the rows of a request."""
        self.rows += len(rows)
        for name, bins in self._bins.items():
            bins.count(rows[:, self._places[name]])
        if self._answers is not None:
            self._answers.count(answers.argmax(axis=1).astype(np.float32) if answers.ndim > 1 else answers)

    def data(self) -> Finding:
        """What the features say."""
        finding = Finding()
        if self.rows < self._limits.minimum_rows:
            return finding
        for name, bins in self._bins.items():
            self._index(finding, name, bins, len(self._bins), self._limits.effect)
            trained = float(bins.expected[-1] / max(bins.expected.sum(), 1.0))
            gain = abs(bins.missing - trained)
            finding.take(
                name, "completeness_check", gain, self._limits.missing_gain, "change of the share of missing values"
            )
        return finding

    def prediction(self) -> Finding:
        """What the answers say."""
        finding = Finding()
        if self._answers is not None and self.rows >= self._limits.minimum_rows:
            self._index(finding, ANSWERS, self._answers, 1, self._limits.answers_effect)
        return finding

    def _index(self, finding: Finding, name: str, bins: Bins, tests: int, effect: float) -> None:
        """Take an index into account; the false alarms of a run are shared by its tests (Bonferroni)."""
        limit = max(effect, shifts.chance(bins.expected, bins.counts, self._limits.false_alarms / tests))
        finding.take(name, "baseline_drift_check", bins.index, limit, "population stability index")

    def quality(self) -> tuple[Finding, float | None]:
        """What the truth says; the metric too."""
        finding = Finding()
        if sum(len(labels) for _, labels in self.judged) < max(self._limits.minimum_labels, 1):
            return finding, None
        answers, labels = (np.concatenate(part) for part in zip(*self.judged, strict=True))
        settings: Any = self._model.provenance["hyperparameters"]
        task = TASKS[settings["objective"]]
        value = task.metrics[self._limits.metric](labels, answers)
        evaluation: Any = self._model.evaluation[task.group]
        trained = float(evaluation[self._limits.metric]["value"])
        what = f"loss of {self._limits.metric}, {value:.4f} against {trained:.4f} at training,"
        finding.take(self._limits.metric, "LessThanThreshold", max(trained - value, 0.0), self._limits.drop, what)
        return finding, value

    def statistics(self) -> Iterator[dict[str, object]]:
        """Statistics of every feature and of the answers."""
        both = self._bins | ({ANSWERS: self._answers} if self._answers else {})
        for name, bins in both.items():
            if not self.rows:
                continue
            numeric = self._kinds.get(name, Kind.NUMERIC) is Kind.NUMERIC
            missing = int(bins.counts[-1])
            common = {"num_present": int(bins.counts.sum()) - missing, "num_missing": missing}
            distances = {
                "population_stability_index": bins.index,
                "jensen_shannon_distance": shifts.jensen_shannon(bins.expected, bins.counts),
                "kolmogorov_smirnov": shifts.kolmogorov(bins.expected, bins.counts) if numeric else None,
            }
            kind = "numerical_statistics" if numeric else "string_statistics"
            yield {
                "name": name,
                "inferred_type": "Fractional" if numeric else "String",
                kind: {"common": common},
                "distances": distances,
            }
