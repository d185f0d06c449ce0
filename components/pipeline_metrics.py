"""What the model image reports of a training, by objective: its metrics in the log and in `evaluation.json`.

The program's side of the image's contract, as `functions/lifecycle/training_log.py` is that of the functions; neither
may import the other, and a test holds the two together.
"""

from __future__ import annotations

from typing import Final

_NUMBER: Final = r"(-?\d+\.\d+(?:e[-+]\d+)?)"

PROGRESS: Final = {
    "binary:logistic": ("auc", "logloss"),
    "multi:softprob": ("merror", "mlogloss"),
    "reg:squarederror": ("mae", "rmse"),
}
"""Objective → XGBoost's metrics after each round; the last one stops a training early."""
_FINAL: Final = {
    "binary:logistic": ("auc", "log_loss", "accuracy"),
    "multi:softprob": ("accuracy", "log_loss", "macro_f1", "weighted_f1"),
    "reg:squarederror": ("mae", "rmse", "r2"),
}
GROUPS: Final = {
    "binary:logistic": "binary_classification_metrics",
    "multi:softprob": "multiclass_classification_metrics",
    "reg:squarederror": "regression_metrics",
}
"""Objective → group of its metrics in an evaluation, by the names of SageMaker's model registry."""


def metric_definitions(objective: str) -> dict[str, str]:
    """SageMaker's metric definitions for a training: name, and the expression whose first group is the number."""
    found = {"train:round": r"^\[(\d+)\] "}
    found |= {f"validation:{name}": rf"\bvalidation-{name}={_NUMBER}" for name in PROGRESS[objective]}
    return found | {f"final:{name}": rf"\bfinal-{name}={_NUMBER}" for name in _FINAL[objective]}


def objective_metric(name: str) -> tuple[str, str]:
    """Name and expression of a metric that a search maximises: after each round where the image tells it, and at last.

    The last number that SageMaker finds is the one that counts, and the image tells that of the finished model last.
    """
    return f"objective:{name}", rf"\b(?:validation|final)-{name}={_NUMBER}"
