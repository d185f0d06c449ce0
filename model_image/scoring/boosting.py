"""The boosting loop: rounds, progress, early stopping, checkpoints and the stop signal.

Each round is a function of the model so far, the data, the hyperparameters and the round's number, so a run that
continues from a checkpoint ends with the same bytes as one that was never interrupted. XGBoost does not promise this
by itself: its random engine and, inside the tree updater, its column sampler carry state from round to round that no
model file holds. `seed_per_iteration` seeds the engine anew, and reading the configuration back builds a new updater.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from scoring import contract, devices, targets
from scoring.checkpoint import Checkpoint
from scoring.contract import BINARY, XGBOOST_VERSION
from scoring.errors import AlgorithmError, PlatformError
from scoring.pages import Pages
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scoring.checkpoint import Store
    from scoring.contract import Schema
    from scoring.hosts import Hosts
    from scoring.hyperparameters import Hyperparameters
    from scoring.stop import StopSignal

    Labels = NDArray[np.float32]
    # Features of shape (rows, features), and labels of shape (rows,).
    Samples = tuple[NDArray[np.float32], Labels]
    Matrix = xgboost.QuantileDMatrix | xgboost.ExtMemQuantileDMatrix

COLLECTIVE_SOURCE = "src/collective/"
"""Where, by the text of XGBoost's errors, those come from that are about other hosts."""

PROGRESS_ROUNDS = 10
PROGRESS_SECONDS = 2.0
"""A progress line appears at least every so many rounds, or seconds, whichever comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run meets besides its data."""

    hosts: Hosts
    store: Store | None
    """Where checkpoints go; None keeps none. Only the first host has one."""
    stop: StopSignal
    log: Callable[[str], None]


def threads(settings: Hyperparameters) -> int:
    """Tell how many threads a run uses."""
    return settings.nthread or len(os.sched_getaffinity(0))


def fit(
    settings: Hyperparameters, schema: Schema, train: Samples | Pages, validation: Samples, around: Surroundings
) -> bytes:
    """Boost until the validation loss stops falling, and keep the best rounds only.

    Returns:
        The model as UBJSON. It holds no rounds after the best one, so that every reader predicts the same.

    Raises:
        AlgorithmError: XGBoost failed.
        PlatformError: the job was told to stop; a checkpoint of the last finished round has been written.
    """
    if xgboost.__version__ != XGBOOST_VERSION:
        raise AlgorithmError(f"XGBoost {xgboost.__version__} is installed, this image trains with {XGBOOST_VERSION}")
    start = around.hosts.from_first(around.store.latest() if around.store else None)
    if start:
        around.log(f"continues after round {start.rounds} of {settings.num_round} from a checkpoint")
    try:
        known = _matrix(train, schema, settings)
        unseen = _matrix(validation, schema, settings, ref=known)
        labels = train.labels if isinstance(train, Pages) else train[1]
        weight = _weigh(settings, known, labels, around.hosts)
        with around.stop.deferred():
            run = _Run(settings, _params(settings, schema, weight), (known, unseen), start)
            _boost(run, settings, around)
        return run.best_model()
    except xgboost.core.XGBoostError as error:
        if around.hosts.size > 1 and COLLECTIVE_SOURCE in str(error):
            raise  # a lost host is no defect; whoever joined the hosts says so
        raise AlgorithmError(f"XGBoost: {error}") from error


def _matrix(data: Samples | Pages, schema: Schema, settings: Hyperparameters, ref: Matrix | None = None) -> Matrix:
    options: dict[str, Any] = {"max_bin": settings.max_bin, "nthread": threads(settings)}
    columns: dict[str, Any] = {"feature_names": schema.names, "feature_types": schema.xgboost_types}
    if isinstance(data, Pages):
        return data.matrix(columns, **options)
    return xgboost.QuantileDMatrix(*data, enable_categorical=True, ref=ref, **columns, **options)


def _weigh(settings: Hyperparameters, train: Matrix, labels: Labels, hosts: Hosts) -> float:
    """Weigh the classes: of two, by the weight of the ones, which is returned; of more, row by row."""
    if settings.class_weight != "balanced":
        return settings.scale_pos_weight
    if settings.objective == BINARY:
        zeros, ones = hosts.sum(np.bincount(labels.astype(np.intp), minlength=2).astype(np.float64))
        return float(zeros / ones)
    train.set_weight(targets.balanced(labels, settings.num_class, hosts)[labels.astype(np.intp)])
    return 1.0


def _params(settings: Hyperparameters, schema: Schema, positive_weight: float) -> list[tuple[str, object]]:
    """Give what XGBoost is told; a name that comes twice has several values."""
    params: list[tuple[str, object]] = [*settings.xgboost_params().items(), ("nthread", threads(settings))]
    params += [("seed_per_iteration", True), ("device", devices.choose(settings.device))]
    if settings.objective == BINARY:
        params += [("scale_pos_weight", positive_weight)]
    if directions := settings.constraints:
        params += [("monotone_constraints", f"({','.join(str(directions.get(name, 0)) for name in schema.names)})")]
    return params + [("eval_metric", metric) for metric in TASKS[settings.objective].progress]


def _boost(run: _Run, settings: Hyperparameters, around: Surroundings) -> None:
    progress, pace = _Progress(around.log), _Pace(settings, run.rounds)
    kept = around.hosts.from_first(around.store is not None)
    while not run.finished:
        run.step()
        progress.show(run)
        stopped = around.hosts.any(around.stop.asked)
        if around.store and (stopped or run.finished or pace.due(run.rounds)):
            around.store.write(run.checkpoint())
            pace.reset(run.rounds)
        if stopped:
            hope = "a restart continues there" if kept else "there is no folder for checkpoints"
            raise PlatformError(f"stopped by SIGTERM after round {run.rounds}; {hope}; no model was written")
    progress.end(run)


class _Run:
    """A booster and its history."""

    def __init__(
        self,
        settings: Hyperparameters,
        params: list[tuple[str, object]],
        data: tuple[Matrix, Matrix],
        start: Checkpoint | None,
    ) -> None:
        task = TASKS[settings.objective]
        model = bytearray(start.model) if start else None
        self._booster = xgboost.Booster(params, data, model_file=model)
        self._train, self._validation = data
        self._most, self._patience = settings.num_round, settings.early_stopping_rounds
        self.history: dict[str, list[float]] = dict(start.history) if start else {name: [] for name in task.progress}
        """Validation metrics, one value a round."""
        self._losses = self.history[task.stopping]

    @property
    def rounds(self) -> int:
        """Finished rounds."""
        return len(self._losses)

    @property
    def best(self) -> int:
        """The first round, from 0, with the least loss."""
        return int(np.argmin(self._losses))

    @property
    def finished(self) -> bool:
        """Whether no further round is to come."""
        patient = not self._patience or not self.rounds or self.rounds - 1 - self.best < self._patience
        return self.rounds >= self._most or not patient

    def step(self) -> None:
        """Add a round and evaluate it."""
        self._booster.load_config(self._booster.save_config())
        self._booster.update(self._train, self.rounds)
        text = self._booster.eval_set([(self._validation, "validation")], self.rounds)
        for entry in text.split("\t")[1:]:
            name, _, value = entry.removeprefix("validation-").partition(":")
            self.history[name].append(float(value))

    def checkpoint(self) -> Checkpoint:
        """Give the run as it is now."""
        return Checkpoint(bytes(self._booster.save_raw(raw_format="ubj")), self.history)

    def best_model(self) -> bytes:
        """Give the rounds up to the best one, or all of them if early stopping is off."""
        kept = self._booster[: self.best + 1] if self._patience else self._booster
        return bytes(kept.save_raw(raw_format="ubj"))


class _Pace:
    """Tells when the next checkpoint is due."""

    def __init__(self, settings: Hyperparameters, rounds: int) -> None:
        self._rounds, self._seconds = settings.checkpoint_rounds, settings.checkpoint_seconds
        self.reset(rounds)

    def due(self, rounds: int) -> bool:
        return rounds - self._last >= self._rounds or time.monotonic() - self._since >= self._seconds

    def reset(self, rounds: int) -> None:
        self._last, self._since = rounds, time.monotonic()


class _Progress:
    """Prints the validation metrics in the form ``[12] validation-auc=0.7421 validation-logloss=0.5432``."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._last = -PROGRESS_SECONDS
        self._shown = -1

    def show(self, run: _Run) -> None:
        """Print the first round and then one in ten, or one every two seconds."""
        if (run.rounds - 1) % PROGRESS_ROUNDS == 0 or time.monotonic() - self._last >= PROGRESS_SECONDS:
            self._print(run)

    def end(self, run: _Run) -> None:
        """Print the last round, if it has not been."""
        if self._shown != run.rounds:
            self._print(run)

    def _print(self, run: _Run) -> None:
        latest = {name: values[-1] for name, values in run.history.items()}
        self._log(f"[{run.rounds - 1}] {contract.metric_words('validation', latest)}")
        self._last, self._shown = time.monotonic(), run.rounds
