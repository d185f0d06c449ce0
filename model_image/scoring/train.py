"""Training under SageMaker's container contract: folders in, a verified model directory and metrics out."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, NoReturn

import xgboost
from xgboost.callback import EarlyStopping, TrainingCallback

from scoring import artifact, channels, dataset, document, evaluate, features, hyperparameters
from scoring.contract import XGBOOST_VERSION
from scoring.errors import AlgorithmError, PlatformError, UserError
from scoring.log import say
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from scoring.contract import Schema
    from scoring.dataset import Table
    from scoring.hyperparameters import Hyperparameters
    from scoring.settings import ContainerPaths

    Samples = tuple[NDArray[np.float32], NDArray[np.float32]]

PROGRESS_ROUNDS = 10
PROGRESS_SECONDS = 2.0
"""A progress line appears at least every so many rounds, or seconds, whichever comes first."""


def run(paths: ContainerPaths, code_version: str | None) -> None:
    """Train one model.

    Reads hyperparameters and the channels ``train`` and ``validation``; writes the model directory and a copy of the
    metrics under ``output/data``. Equal inputs, seed and thread count give equal bytes.

    Raises:
        UserError: data or configuration is wrong.
        AlgorithmError: XGBoost failed, or the written model does not read back.
        PlatformError: the job was told to stop.
    """
    signal.signal(signal.SIGTERM, _stopped)
    paths.failure.unlink(missing_ok=True)
    started = time.monotonic()
    settings = hyperparameters.parse(document.load(paths.hyperparameters).values)
    found = channels.find(paths.channels, paths.data)
    train, validation = (_read(channel) for channel in found.values())
    schema = features.infer_schema(train, settings.label)
    for line in features.warnings(train, schema):
        say(f"warning: {line}")
    features.check_columns(validation, schema)
    train_samples, validation_samples = _samples(train, schema), _samples(validation, schema)
    say(f"read {train.rows} + {validation.rows} rows, {schema.width} features in {time.monotonic() - started:.1f} s")

    model = fit(settings, schema, train_samples, validation_samples, say)
    rows, labels = validation_samples
    evaluation = evaluate.evaluate(labels, Predictor(model, schema).predict(rows), settings.seed)
    metrics = evaluate.values(evaluation)
    provenance = artifact.Provenance(
        hyperparameters=hyperparameters.as_mapping(settings),
        seed=settings.seed,
        code_version=code_version,
        data={table.channel: _origin(table) for table in (train, validation)},
        metrics=metrics,
    )
    artifact.write(paths.model, model, schema, evaluation, provenance)
    try:
        written = artifact.read(paths.model)
    except UserError as error:
        raise AlgorithmError(f"the model that was just written is refused: {error}") from error
    paths.output_data.mkdir(parents=True, exist_ok=True)
    (paths.output_data / artifact.EVALUATION).write_bytes(document.dump(evaluation))
    say(" ".join(f"final-{name}={value:.4f}" for name, value in metrics.items()))
    say(f"model {written.version} written in {time.monotonic() - started:.1f} s")


def fit(
    settings: Hyperparameters, schema: Schema, train: Samples, validation: Samples, log: Callable[[str], None]
) -> bytes:
    """Boost until the validation log loss stops falling, and keep the best rounds only.

    Returns:
        The model as UBJSON. It holds no rounds after the best one, so that every reader predicts the same.

    Raises:
        AlgorithmError: XGBoost failed.
    """
    if xgboost.__version__ != XGBOOST_VERSION:
        raise AlgorithmError(f"XGBoost {xgboost.__version__} is installed, this image trains with {XGBOOST_VERSION}")
    threads = settings.nthread or len(os.sched_getaffinity(0))
    callbacks: list[TrainingCallback] = [_Progress(log)]
    if settings.early_stopping_rounds:
        rounds = settings.early_stopping_rounds
        callbacks.append(EarlyStopping(rounds=rounds, metric_name="logloss", data_name="validation", save_best=True))
    try:
        known = _matrix(train, schema, settings, threads)
        unseen = _matrix(validation, schema, settings, threads, ref=known)
        booster = xgboost.train(
            settings.xgboost_params() | {"nthread": threads, "eval_metric": ["auc", "logloss"]},
            known,
            settings.num_round,
            evals=[(unseen, "validation")],
            callbacks=callbacks,
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise AlgorithmError(f"XGBoost: {error}") from error
    return bytes(booster.save_raw(raw_format="ubj"))


def _matrix(
    samples: Samples,
    schema: Schema,
    settings: Hyperparameters,
    threads: int,
    ref: xgboost.QuantileDMatrix | None = None,
) -> xgboost.QuantileDMatrix:
    rows, labels = samples
    return xgboost.QuantileDMatrix(
        rows,
        labels,
        feature_names=schema.names,
        feature_types=schema.xgboost_types,
        enable_categorical=True,
        max_bin=settings.max_bin,
        nthread=threads,
        ref=ref,
    )


def _read(channel: channels.Channel) -> Table:
    for name in channel.ignored:
        say(f"warning: {channel.name}/{name} is not a *.csv file and is not read")
    return dataset.read(channel)


def _samples(table: Table, schema: Schema) -> Samples:
    return features.matrix(table, schema), features.labels(table, schema.label)


def _origin(table: Table) -> dict[str, object]:
    parts = [{"name": part.path.name, "rows": part.rows, "sha256": part.sha256} for part in table.parts]
    return {"rows": table.rows, "parts": parts}


def _stopped(_signal: int, _frame: object) -> NoReturn:
    raise PlatformError("stopped by SIGTERM before training ended; no model was written")


class _Progress(TrainingCallback):
    """Prints the validation metrics in the form ``[12] validation-auc=0.7421 validation-logloss=0.5432``."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._last = -PROGRESS_SECONDS
        self._pending = ""

    def after_iteration(
        self,
        model: xgboost.Booster,  # noqa: ARG002 # XGBoost's callback signature
        epoch: int,
        evals_log: TrainingCallback.EvalsLog,
    ) -> bool:
        """Print the first round and then one in ten, or one every two seconds; never stop the training."""
        scores = (
            f"{data}-{name}={log[-1]:.4f}" for data, metrics in evals_log.items() for name, log in metrics.items()
        )
        self._pending = f"[{epoch}] {' '.join(scores)}"
        if epoch % PROGRESS_ROUNDS == 0 or time.monotonic() - self._last >= PROGRESS_SECONDS:
            self._print()
        return False

    def after_training(self, model: xgboost.Booster) -> xgboost.Booster:
        """Print the last round, if it has not been."""
        if self._pending:
            self._print()
        return model

    def _print(self) -> None:
        self._log(self._pending)
        self._pending, self._last = "", time.monotonic()
