"""The drift job: captures of a window against what the model was trained on, and against the truth where it is known.

It reads ``input/captures`` (any depth), ``input/truth``, ``input/model/model.tar.gz`` and ``input/memory/memory.json``;
it writes the two reports in the layout of Model Monitor's own container, the memory for the next run, and the metrics
as one line of its log, from which CloudWatch takes them.
Sources: Amazon SageMaker Developer Guide, "Schema for Statistics", "Schema for Violations"; Amazon CloudWatch User
Guide, "Embedded metric format specification".
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from processing import shifts
from processing.captures import Captures, Window, read_truth
from processing.comparison import Comparison
from processing.shifts import Memory
from scoring import champion, document
from scoring.errors import UserError
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from processing.comparison import Finding, Limits
    from scoring.artifact import Artifact

KINDS: Final = ("data", "prediction", "quality")
NAMESPACE: Final = "Slipway/Drift"
"""CloudWatch namespace; dimensions are environment, model and kind."""
RISING: Final = frozenset({"auc", "accuracy", "macro_f1", "weighted_f1", "r2"})
"""Metrics of which more is better, those of the gate."""
MALFORMED_SHARE: Final = 0.01
"""Share of records that break the schema from which the data are at fault, not one caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is looked at."""

    environment: str
    model: str
    version: str
    """Only captures of this version are compared; empty takes all."""
    without: frozenset[str]
    """Features that are not captured."""
    now: datetime


def run(base: Path, limits: Limits, subject: Subject) -> None:
    """Compare, write the reports below ``base/output/report``, and say the metrics.

    Raises:
        UserError: the model cannot be read, or has no metric of that name.
    """
    model = champion.read(base / "input/model", base / "scratch")
    _check_metric(model, limits.metric)
    window = Window.before(subject.now, limits.window_hours)
    truth = read_truth(window.files(base / "input/truth"))
    captures, comparison = Captures(model.schema, subject.version), Comparison(model, limits, subject.without)
    for record in captures.records(window.files(base / "input/captures")):
        comparison.count(record.rows, record.answers)
        labels = truth.labels.get(record.identifier, ())
        if len(labels) == len(record.answers):
            comparison.judged.append((record.answers, np.array(labels, dtype=np.float32)))
    quality, value = comparison.quality()
    findings = {"data": comparison.data(), "prediction": comparison.prediction(), "quality": quality}
    seen = captures.outcomes["read"] + captures.outcomes["malformed"]
    if seen >= limits.minimum_rows:
        share = captures.outcomes["malformed"] / seen
        findings["data"].take("", "data_type_check", share, MALFORMED_SHARE, "share of records that break the schema")
    memories = {kind: _remembered(base, kind, findings[kind], limits) for kind in KINDS}
    summary: dict[str, object] = {
        "environment": subject.environment,
        "model": subject.model,
        "version": subject.version,
        "window": {"start": window.start.isoformat(), "end": window.end.isoformat()},
        "records": dict(captures.outcomes),
        "answered": dict(captures.answered),
        "rows": comparison.rows,
        "labels": sum(len(labels) for _, labels in comparison.judged),
        "labels_unused": truth.unused,
        "quality": {limits.metric: value},
        "scores": {kind: findings[kind].score for kind in KINDS},
        "raised": {kind: memories[kind].raised for kind in KINDS},
    }
    _write(base, summary, comparison, findings, memories)
    sys.stdout.write(orjson.dumps(metrics(subject, findings, memories)).decode() + "\n")


def _check_metric(model: Artifact, metric: str) -> None:
    """Refuse a metric that the model's task does not have, or of which less is better.

    Raises:
        UserError: naming those that it has.
    """
    settings: Any = model.provenance["hyperparameters"]
    known = [name for name in TASKS[settings["objective"]].metrics if name in RISING]
    if metric not in known:
        raise UserError(f"--metric is {metric!r}; a model of {settings['objective']} has {', '.join(known)}")


def _remembered(base: Path, kind: str, finding: Finding, limits: Limits) -> Memory:
    path = base / "input/memory/memory.json"
    stored: Any = document.load(path).values.get(kind, {}) if path.is_file() else {}
    return shifts.remember(Memory.of(stored), finding.score, runs=limits.runs, clear_below=limits.clear_below)


def _write(
    base: Path,
    summary: dict[str, object],
    comparison: Comparison,
    findings: dict[str, Finding],
    memories: dict[str, Memory],
) -> None:
    names = ("feature_name", "constraint_check_type", "description")
    violations = [
        dict(zip(names, violation, strict=True)) | {"kind": kind}
        for kind, finding in findings.items()
        for violation in finding.violations
    ]
    documents: dict[str, object] = {
        "report/statistics.json": {
            "version": 0.0,
            "dataset": {"item_count": comparison.rows},
            "features": list(comparison.statistics()),
        },
        "report/constraint_violations.json": {"violations": violations},
        "report/drift.json": summary,
        "memory/memory.json": {kind: memory.to_json() for kind, memory in memories.items()},
    }
    for name, content in documents.items():
        path = base / "output" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.dump(content))


def metrics(subject: Subject, findings: dict[str, Finding], memories: dict[str, Memory]) -> dict[str, object]:
    """One line of the log with all metrics: per kind whether it is raised, and its score where there is one."""
    values: dict[str, float] = {}
    for kind in KINDS:
        values[f"{kind}-raised"] = float(memories[kind].raised)
        score = findings[kind].score
        if score is not None:
            values[f"{kind}-score"] = round(score, 6)
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Environment", "Model"]],
        "Metrics": [{"Name": name, "Unit": "None"} for name in values],
    }
    timestamp = int(subject.now.astimezone(UTC).timestamp() * 1000)
    return {
        "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [directive]},
        "Environment": subject.environment,
        "Model": subject.model,
        **values,
    }
