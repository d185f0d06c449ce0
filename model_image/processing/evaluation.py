"""Evaluation of a trained model by the code that serves it: what the gate judges and the registry shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from processing import card
from processing.tables import read as read_table
from scoring import artifact, challenge, champion, document, evaluate, report
from scoring.channels import TEST
from scoring.contract import BINARY, MULTICLASS
from scoring.dataset import Column
from scoring.document import Document
from scoring.errors import UserError
from scoring.predictor import Predictor
from scoring.targets import FEWEST, Target
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.artifact import Artifact
    from scoring.challenge import Terms
    from scoring.channels import Format
    from scoring.dataset import Table
    from scoring.hyperparameters import Hyperparameters

REPORT = "evaluation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """How the new model is held against the one in service."""

    terms: Terms
    """What it has to show."""
    newest_files: int
    """On how many files of ``test``, the last ones by name."""


def run(base: Path, settings: Hyperparameters, form: Format, contest: Contest | None) -> str:
    """Evaluate ``base/input/model/model.tar.gz`` on the rows of ``base/input/test``.

    The report is the model image's evaluation document, slices and calibration included, with what the registry records
    of the model and its card as texts beside it; with a contest it also holds the verdict on the model beside that in
    ``base/input/champion``, where there is one.

    Returns:
        The verdict in words; empty without a contest.

    Raises:
        UserError: an archive is damaged or made for another image, the rows lack one of its columns, or the champion
            cannot be compared.
    """
    table = read_table(TEST, base / "input" / TEST, form, settings.label)
    archive = base / "input/model"
    trained = champion.load(archive, base / "scratch", table, settings)
    answers = Predictor(trained.model.model, trained.model.schema).predict(trained.rows)
    classes = FEWEST if settings.objective == BINARY else answers.shape[1] if answers.ndim > 1 else 0
    if settings.objective == MULTICLASS:
        settings = replace(settings, num_class=classes)
    labels = Target(settings.label, settings.objective, classes).labels(table)
    told = report.build(table, labels, answers, _sliced(settings, trained.model, contest, table))
    values = evaluate.values(TASKS[settings.objective], told)
    lineage = {name: f"{value:.6f}" for name, value in values.items()}
    lineage["model_sha256"] = hashlib.sha256((archive / champion.ARCHIVE).read_bytes()).hexdigest()
    lineage["manifest_sha256"] = trained.model.digest
    lineage["code_version"] = _text(trained.model.provenance["code_version"] or "")
    verdict = {} if contest is None else _challenge(base, table, contest, settings, labels=labels, answers=answers)
    if verdict:
        told["challenge"] = verdict
        lineage |= {name: _text(verdict[name]) for name in ("outcome", "difference", "p_value", "champion_sha256")}
    target = base / "output/report" / REPORT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(
        document.dump({**told, "lineage": lineage, "card": card.parts(trained.model.provenance, values)})
    )
    return str(verdict.get("reason", ""))


def _sliced(settings: Hyperparameters, model: Artifact, contest: Contest | None, table: Table) -> Hyperparameters:
    """The settings with every column to slice by: those that the training was given, and those of the contest."""
    trained = Document(artifact.MANIFEST, model.provenance["hyperparameters"]).values.get("slices")
    columns = dict.fromkeys([*str(trained or "").split(","), *(contest.terms.slices if contest else ())])
    if missing := [name for name in columns if name and name not in table.columns]:
        raise UserError(f"the slices name {', '.join(missing)}, which channel {table.channel!r} lacks")
    return replace(settings, slices=",".join(filter(None, columns)))


def _challenge(
    base: Path,
    table: Table,
    contest: Contest,
    settings: Hyperparameters,
    *,
    labels: NDArray[np.float32],
    answers: NDArray[np.float32],
) -> dict[str, object]:
    """The verdict, on the newest rows; the very first model has nobody to challenge."""
    folder, terms = base / "input/champion", contest.terms
    if not (folder / champion.ARCHIVE).is_file():
        nobody = "no model is in service yet"
        return {"outcome": challenge.FIRST, "reason": nobody, "difference": 0.0, "p_value": 1.0, "champion_sha256": ""}
    try:
        rival = champion.load(folder, base / "scratch", table, settings)
    except UserError as error:
        raise UserError(f"{error}\nset gate.champion to null for the one run whose model replaces it") from None
    theirs = Predictor(rival.model.model, rival.model.schema).predict(rival.rows)
    newest = np.arange(table.rows) >= sum(part.rows for part in table.parts[: -contest.newest_files])
    if not newest.any():
        raise UserError(
            f"no row of the {contest.newest_files} newest files judges; deal rows out by more columns, or none"
        )
    rows = challenge.Rows(labels=labels, champion=theirs, challenger=answers)
    columns = {name: _some(table.columns[name], newest) for name in terms.slices}
    older = None if newest.all() else rows.where(~newest)
    found = challenge.judge(TASKS[settings.objective], terms, rows.where(newest), columns, settings.seed, older=older)
    return {**found, "champion_sha256": rival.model.digest}


def _some(column: Column, chosen: NDArray[np.bool_]) -> Column:
    return Column(column.name, column.texts, column.codes[chosen])


def _text(value: object) -> str:
    """A value as the registry takes it, which refuses an empty text."""
    return f"{value:.6f}" if isinstance(value, float) else str(value) or "none"
