"""What each learning objective predicts, and how its predictions are watched, judged and compared: one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scoring import binary, calibration, compare, multiclass, regression
from scoring.contract import BINARY, MULTICLASS, REGRESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from scoring.compare import Comparison

    Labels = NDArray[np.floating]
    Predictions = NDArray[np.floating]
    Metric = Callable[[Labels, Predictions], float]
    RowValues = Callable[[Labels, Predictions], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of problem."""

    group: str
    """Name of the metrics in ``evaluation.json``, as SageMaker's model registry knows it."""
    progress: tuple[str, ...]
    """XGBoost's metrics of each round."""
    stopping: str
    """That of ``progress`` which early stopping waits for to fall."""
    metrics: Mapping[str, Metric]
    """Metrics of the final evaluation."""
    slice_metrics: tuple[str, ...]
    """Those of ``metrics`` that each slice has too."""
    row_values: Mapping[str, RowValues]
    """What of each row, averaged, is compared between champion and challenger by a paired bootstrap."""
    comparisons: Mapping[str, Callable[[Labels, Predictions, Predictions], Comparison]] = field(
        default_factory=dict[str, "Callable[[Labels, Predictions, Predictions], Comparison]"]
    )
    """What else is compared, with a test of its own."""
    baselines: Mapping[str, Metric] = field(default_factory=dict[str, "Metric"])
    """Metrics of the best constant answers."""
    constant: Callable[[Labels, Predictions], Predictions] | None = None
    """Gives those answers."""
    confusion: Callable[[Labels, Predictions], dict[str, dict[str, int]]] | None = None
    reliability: Callable[[Labels, Predictions], list[dict[str, float | int]]] | None = None
    """Gives the bins of the calibration; None where nothing predicted is a probability."""
    of_labels: Mapping[str, Callable[[Labels], float]] = field(default_factory=dict[str, "Callable[[Labels], float]"])
    """What a slice says about its labels alone."""


def _baselines(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    return {f"{name}_best_constant_classifier": metric for name, metric in metrics.items()}


TASKS: dict[str, Task] = {
    BINARY: Task(
        group="binary_classification_metrics",
        progress=("auc", "logloss"),
        stopping="logloss",
        metrics={
            "auc": binary.auc,
            "log_loss": binary.log_loss,
            "accuracy": binary.accuracy,
            "precision": binary.precision,
            "recall": binary.recall,
            "expected_calibration_error": calibration.expected_calibration_error,
        },
        slice_metrics=("auc", "log_loss", "accuracy", "expected_calibration_error"),
        row_values={"log_loss": binary.row_losses, "accuracy": binary.row_hits},
        comparisons={"auc": compare.delong},
        baselines=_baselines({"log_loss": binary.log_loss, "accuracy": binary.accuracy}),
        constant=binary.constant,
        confusion=binary.confusion,
        reliability=calibration.reliability,
        of_labels={"share_of_ones": binary.share_of_ones},
    ),
    MULTICLASS: Task(
        group="multiclass_classification_metrics",
        progress=("merror", "mlogloss"),
        stopping="mlogloss",
        metrics={
            "accuracy": multiclass.accuracy,
            "log_loss": multiclass.log_loss,
            **multiclass.AVERAGES,
            "expected_calibration_error": multiclass.top_calibration_error,
        },
        slice_metrics=("accuracy", "log_loss", "macro_f1", "expected_calibration_error"),
        row_values={"log_loss": multiclass.row_losses, "accuracy": multiclass.row_hits},
        baselines=_baselines({"log_loss": multiclass.log_loss, "accuracy": multiclass.accuracy}),
        constant=multiclass.constant,
        confusion=multiclass.confusion,
        reliability=multiclass.top_reliability,
    ),
    REGRESSION: Task(
        group="regression_metrics",
        progress=("mae", "rmse"),
        stopping="rmse",
        metrics={
            "mae": regression.mae,
            "mse": regression.mse,
            "rmse": regression.rmse,
            "r2": regression.r2,
        },
        slice_metrics=("mae", "rmse"),
        row_values={
            "mae": regression.row_absolute_errors,
            "mse": regression.row_squared_errors,
            "r2": regression.row_r2,
        },
        of_labels={"mean_label": regression.mean_label},
    ),
}
"""By learning objective."""
