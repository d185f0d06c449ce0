"""Evaluation of a trained model by the code that serves it: what the gate judges and the registry shows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from scoring import champion, dataset, document, evaluate, features
from scoring.channels import Channel
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "evaluation.json"


def run(base: Path, label: str, seed: int) -> None:
    """Evaluate ``base/input/model/model.tar.gz`` on the rows of ``base/input/validation``.

    The report is the model image's evaluation document, with what the registry records of the model as texts beside it.

    Raises:
        UserError: the archive is damaged or made for another image, or the rows lack one of its columns.
    """
    folder = base / "input/validation"
    table = dataset.read(Channel("validation", tuple(sorted(folder.rglob("*.csv"))), ()))
    archive = base / "input/model"
    trained = champion.load(archive, base / "scratch", table)
    answers = Predictor(trained.model.model, trained.model.schema).predict(trained.rows)
    report = evaluate.evaluate(features.labels(table, label), answers, seed)
    content = (archive / champion.ARCHIVE).read_bytes()
    metrics = {name: f"{value:.6f}" for name, value in evaluate.values(report).items()}
    lineage = metrics | {"model_sha256": hashlib.sha256(content).hexdigest(), "manifest_sha256": trained.model.digest}
    target = base / "output/report" / REPORT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(document.dump({**report, "lineage": lineage}))
