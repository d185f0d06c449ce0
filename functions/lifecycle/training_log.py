"""What the model image reports of a training: which metrics by objective, and how SageMaker finds them in the log.

This is the program's side of the image's contract (`scoring.contract`, `scoring.tasks`); tests hold the two together.
Source: Amazon SageMaker Developer Guide, "Define Training Metrics".
"""

from __future__ import annotations

from dataclasses import dataclass

_NUMBER = r"(-?\d+\.\d+(?:e[-+]\d+)?)"
"""The one form in which the image prints a metric."""

ROUND_METRIC = "train:round"


@dataclass(frozen=True, slots=True)
class Reported:
    """What a training of one objective reports."""

    group: str
    """Group of its metrics in `evaluation.json`, by the names of SageMaker's model registry."""
    progress: tuple[str, ...]
    """Metrics of the validation data after a round."""
    final: tuple[str, ...]
    """Metrics of the finished model; more of the first ones are in `evaluation.json`."""


REPORTED: dict[str, Reported] = {
    "binary:logistic": Reported("binary_classification_metrics", ("auc", "logloss"), ("auc", "log_loss", "accuracy")),
    "multi:softprob": Reported(
        "multiclass_classification_metrics", ("merror", "mlogloss"), ("accuracy", "log_loss", "macro_f1", "weighted_f1")
    ),
    "reg:squarederror": Reported("regression_metrics", ("mae", "rmse"), ("mae", "rmse", "r2")),
}
"""By objective."""


def metric_definitions(objective: str) -> dict[str, str]:
    """Give SageMaker's metric definitions for a training: name, and the expression whose first group is the number."""
    reported = REPORTED[objective]
    found = {ROUND_METRIC: r"^\[(\d+)\] "}
    found |= {f"validation:{name}": rf"\bvalidation-{name}={_NUMBER}" for name in reported.progress}
    return found | {f"final:{name}": rf"\bfinal-{name}={_NUMBER}" for name in reported.final}
