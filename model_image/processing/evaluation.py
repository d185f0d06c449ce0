"""Evaluation of a trained model by the code that serves it: what the gate judges and the registry shows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from processing.tables import read as read_table
from scoring import champion, document, evaluate
from scoring.contract import BINARY
from scoring.predictor import Predictor
from scoring.targets import FEWEST, Target
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.channels import Format
    from scoring.hyperparameters import Hyperparameters

REPORT = "evaluation.json"


def run(base: Path, settings: Hyperparameters, form: Format) -> None:
    """Evaluate ``base/input/model/model.tar.gz`` on the rows of ``base/input/validation``.

    The report is the model image's evaluation document, with what the registry records of the model as texts beside it.

    Raises:
        UserError: the archive is damaged or made for another image, or the rows lack one of its columns.
    """
    table = read_table("validation", base / "input/validation", form, settings.label)
    archive = base / "input/model"
    trained = champion.load(archive, base / "scratch", table, settings)
    answers = Predictor(trained.model.model, trained.model.schema).predict(trained.rows)
    classes = FEWEST if settings.objective == BINARY else answers.shape[1] if answers.ndim > 1 else 0
    task, labels = TASKS[settings.objective], Target(settings.label, settings.objective, classes).labels(table)
    report = evaluate.evaluate(task, labels, answers, settings.seed)
    content = (archive / champion.ARCHIVE).read_bytes()
    metrics = {name: f"{value:.6f}" for name, value in evaluate.values(task, report).items()}
    lineage = metrics | {"model_sha256": hashlib.sha256(content).hexdigest(), "manifest_sha256": trained.model.digest}
    target = base / "output/report" / REPORT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(document.dump({**report, "lineage": lineage}))
