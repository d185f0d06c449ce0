"""Automatic model tuning: which hyperparameters are searched, how far, and with how many trainings."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import TUNING_JOB

Tunable = Literal[
    "num_round",
    "max_depth",
    "eta",
    "subsample",
    "colsample_bytree",
    "colsample_bylevel",
    "colsample_bynode",
    "min_child_weight",
    "gamma",
    "max_delta_step",
    "max_leaves",
    "reg_lambda",
    "reg_alpha",
    "max_bin",
]
"""Hyperparameters of the model image that a search may choose.

The others say what is learnt, how classes are weighed (which moves the probabilities, and the metric with them), or how
the job runs.
"""
TuningJob = Annotated[str, Field(pattern=TUNING_JOB, max_length=32)]
"""Name of a SageMaker tuning job."""


class RangeSpec(Section):
    """An interval of one hyperparameter, whole numbers or not as the hyperparameter is."""

    name: Tunable
    """The hyperparameter."""
    minimum: float
    """Smallest value that is tried."""
    maximum: float
    """Largest value that is tried."""
    scaling: Literal["auto", "linear", "logarithmic", "reverse-logarithmic"]
    """How values are spread: `logarithmic` finds small ones sooner, `reverse-logarithmic` those that are nearly 1."""


class ChoiceSpec(Section):
    """Single values of one hyperparameter."""

    name: Tunable
    """The hyperparameter."""
    values: Annotated[tuple[float, ...], Field(strict=False, min_length=2, max_length=30)]
    """The values that are tried."""


class TuningSpec(Section):
    """A search in place of the one training; what it does not choose stays as `hyperparameters` says.

    It looks for the most of the gate's metric.
    """

    strategy: Literal["bayesian", "random", "hyperband", "grid"]
    """How the next values are chosen; `grid` tries all `choices`."""
    jobs: Annotated[int, Field(ge=1, le=750)]
    """Trainings at most, each of them at most `maxRuntimeSeconds` long: the budget of a run."""
    parallel_jobs: Annotated[int, Field(ge=1, le=100)]
    """Trainings at a time; those that run together do not learn from one another."""
    ranges: Annotated[tuple[RangeSpec, ...], Field(strict=False, max_length=30)]
    """Intervals to search."""
    choices: Annotated[tuple[ChoiceSpec, ...], Field(strict=False, max_length=30)]
    """Single values to search."""
    minimum_rounds: Annotated[int, Field(ge=1, le=10_000)] | None
    """`hyperband` only: boosting rounds that every training may run before it is compared."""
    early_stopping: bool
    """Whether a training that falls behind the others is stopped."""
    warm_start_from: Annotated[tuple[TuningJob, ...], Field(strict=False, max_length=5)]
    """Tuning jobs whose results the search begins with; empty starts from nothing."""
