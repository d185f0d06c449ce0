"""Automatic model tuning: a search that SageMaker accepts, over values that the model image accepts.

Source: SageMaker API reference, `HyperParameterTuningJobConfig`, `HyperbandStrategyConfig` and `ParameterRange`;
SageMaker developer guide, "Understand the hyperparameter tuning strategies".
"""

import math
import operator
from collections.abc import Iterator
from typing import Any, Final

from settings.model import HyperparametersSpec, Settings, TuningSpec
from settings.problems import Finding, join, repeated
from settings.rules.models import ModelRule

PROGRESS_METRICS: Final = frozenset({"auc"})
"""Metrics of a gate that the image reports after each round, not only at the end."""
_BOUNDS: Final = (("ge", operator.ge, "at least"), ("gt", operator.gt, "more than"), ("le", operator.le, "at most"))
"""Bounds of a field as pydantic keeps them: name, test, and how it is said."""
Place = tuple[str | int, ...]
"""Path below a model's `training.tuning`."""


def _tuning(settings: Settings, index: int) -> Iterator[TuningSpec]:
    """The model's search, if it has one."""
    tuning = settings.models[index].training.tuning
    if tuning is not None:
        yield tuning


def _finding(index: int, path: Place, found: object, allowed: str, remedy: str) -> Finding:
    return Finding(
        path=("models", index, "training", "tuning", *path), found=str(found), allowed=allowed, remedy=remedy
    )


def _searched(tuning: TuningSpec) -> Iterator[tuple[str, Place, float]]:
    """Every value that bounds a search or is tried: hyperparameter, place, value."""
    for index, each in enumerate(tuning.ranges):
        yield each.name, ("ranges", index, "minimum"), each.minimum
        yield each.name, ("ranges", index, "maximum"), each.maximum
    for index, each in enumerate(tuning.choices):
        for at, value in enumerate(each.values):
            yield each.name, ("choices", index, "values", at), value


def a_search_chooses_each_hyperparameter_once(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses a search without ranges, and one that names a hyperparameter twice."""
    for tuning in _tuning(settings, index):
        names = [each.name for each in (*tuning.ranges, *tuning.choices)]
        if not names:
            allowed = "at least one hyperparameter to search"
            remedy = "write a range, of eta for example, or tuning: null"
            yield _finding(index, ("ranges",), "none, and no choices", allowed, remedy)
        places = [("ranges", at) for at in range(len(tuning.ranges))]
        places += [("choices", at) for at in range(len(tuning.choices))]
        for again in repeated(names):
            allowed = "a hyperparameter that is searched nowhere else"
            yield _finding(index, (*places[again], "name"), f"{names[again]} again", allowed, "remove one of the two")


def the_image_takes_what_is_searched(settings: Settings, index: int) -> Iterator[Finding]:
    """A training with a value that the image refuses fails, and is paid."""
    for tuning in _tuning(settings, index):
        for name, path, value in _searched(tuning):
            if allowed := _allowed(name, value):
                remedy = f"stay within the values of {name}"
                yield _finding(index, path, f"{value:g}", f"{allowed}, as the image takes {name}", remedy)


def _allowed(hyperparameter: str, value: float) -> str:
    """What a hyperparameter has to be, if `value` is not; else empty."""
    field: Any = HyperparametersSpec.model_fields[hyperparameter]
    tests: list[tuple[bool, str]] = [(field.annotation is not int or value == int(value), "a whole number")]
    for bound in field.metadata:
        for name, holds, words in _BOUNDS:
            limit = getattr(bound, name, None)
            if limit is not None:
                tests.append((holds(value, limit), f"{words} {limit:g}"))
    return next((words for holds, words in tests if not holds), "")


def searched_leaves_end_a_lossguided_tree(settings: Settings, index: int) -> Iterator[Finding]:
    """The image refuses a training that grows leaf by leaf to no end."""
    for tuning in _tuning(settings, index):
        lossguided = settings.models[index].training.hyperparameters.grow_policy == "lossguide"
        for name, path, value in _searched(tuning):
            if lossguided and name == "max_leaves" and value == 0:
                remedy = "begin with 2, or remove grow_policy"
                yield _finding(index, path, "0", "1 and more with grow_policy lossguide", remedy)


def a_range_can_be_spread(settings: Settings, index: int) -> Iterator[Finding]:
    """A range has an inside, and values whose logarithm there is."""
    for tuning in _tuning(settings, index):
        for at, each in enumerate(tuning.ranges):
            if each.minimum >= each.maximum:
                allowed = f"less than maximum ({each.maximum:g})"
                remedy = "exchange the two, or write the one value under hyperparameters"
                yield _finding(index, ("ranges", at, "minimum"), f"{each.minimum:g}", allowed, remedy)
            whole = HyperparametersSpec.model_fields[each.name].annotation is int
            allowed = ""
            if each.scaling == "logarithmic" and each.minimum <= 0:
                allowed = "linear or auto for a range that begins at 0"
            elif each.scaling == "reverse-logarithmic" and (whole or each.maximum >= 1):
                allowed = "auto, linear or logarithmic for whole numbers and for ranges that reach 1"
            if allowed:
                yield _finding(index, ("ranges", at, "scaling"), each.scaling, allowed, "write scaling: auto")


def a_search_fits_its_budget(settings: Settings, index: int) -> Iterator[Finding]:
    """More trainings at a time than there are is refused by SageMaker."""
    for tuning in _tuning(settings, index):
        if tuning.parallel_jobs > tuning.jobs:
            remedy = "lower parallelJobs; a bayesian search learns more from fewer at a time"
            yield _finding(index, ("parallelJobs",), tuning.parallel_jobs, f"at most jobs ({tuning.jobs})", remedy)


def a_grid_is_whole(settings: Settings, index: int) -> Iterator[Finding]:
    """A grid search tries every combination of single values, neither more nor fewer."""
    for tuning in _tuning(settings, index):
        if tuning.strategy != "grid":
            continue
        combinations = math.prod(len(each.values) for each in tuning.choices)
        if tuning.ranges:
            found, allowed = join(each.name for each in tuning.ranges), "an empty list with strategy grid"
            remedy = "list single values under choices, or choose another strategy"
            yield _finding(index, ("ranges",), found, allowed, remedy)
        elif tuning.choices and tuning.jobs != combinations:
            allowed = f"{combinations}, the number of combinations of choices"
            yield _finding(index, ("jobs",), tuning.jobs, allowed, f"write {combinations}, or choose other values")


def hyperband_counts_rounds(settings: Settings, index: int) -> Iterator[Finding]:
    """Hyperband compares trainings while they run: between `minimumRounds` and `num_round`, which must not move."""
    rounds = settings.models[index].training.hyperparameters.num_round
    for tuning in _tuning(settings, index):
        minimum = tuning.minimum_rounds
        if tuning.strategy != "hyperband":
            if minimum is not None:
                allowed = f"null with strategy {tuning.strategy}"
                yield _finding(index, ("minimumRounds",), minimum, allowed, "write null, or strategy: hyperband")
            continue
        if minimum is None or minimum >= rounds:
            found, allowed = minimum or "null", f"less than num_round ({rounds}) with strategy hyperband"
            yield _finding(index, ("minimumRounds",), found, allowed, "write a tenth of num_round, for example")
        moved = [path[:2] for name, path, _ in _searched(tuning) if name == "num_round"]
        for path in moved[:1]:
            allowed = "another hyperparameter with strategy hyperband, which counts rounds itself"
            yield _finding(index, (*path, "name"), "num_round", allowed, "remove num_round from the search")


def hyperband_stops_trainings_itself(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses Hyperband together with its other way of stopping trainings."""
    for tuning in _tuning(settings, index):
        if tuning.strategy == "hyperband" and tuning.early_stopping:
            yield _finding(index, ("earlyStopping",), "true", "false with strategy hyperband", "write false")


def trainings_can_be_compared_early(settings: Settings, index: int) -> Iterator[Finding]:
    """Whoever stops a training early has to see the metric after each round."""
    for tuning in _tuning(settings, index):
        metric, hyperband = settings.models[index].gate.metric, tuning.strategy == "hyperband"
        if metric in PROGRESS_METRICS or not (hyperband or tuning.early_stopping):
            continue
        path, found, allowed = (
            (("strategy",), "hyperband", "bayesian, random or grid")
            if hyperband
            else (("earlyStopping",), "true", "false")
        )
        allowed += f" while the gate asks for {metric}, which is known at the end only"
        yield _finding(index, path, found, allowed, f"write {allowed.partition(' ')[0].rstrip(',')}, or a gate on auc")


def rounds_leave_room_for_patience(settings: Settings, index: int) -> Iterator[Finding]:
    """Patience as long as the shortest training never runs out."""
    for tuning in _tuning(settings, index):
        patience = settings.models[index].training.hyperparameters.early_stopping_rounds
        for name, path, value in _searched(tuning):
            if name == "num_round" and value <= patience:
                allowed = f"more than early_stopping_rounds ({patience})"
                yield _finding(index, path, f"{value:g}", allowed, "raise it, or lower early_stopping_rounds")


def a_search_starts_from_different_ones(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses a parent that is named twice; whether it exists, only SageMaker knows."""
    for tuning in _tuning(settings, index):
        for again in repeated(tuning.warm_start_from):
            found = f"{tuning.warm_start_from[again]} again"
            yield _finding(index, ("warmStartFrom", again), found, "tuning jobs that differ", "remove one of the two")


def tuned_hosts_are_not_kept(settings: Settings, index: int) -> Iterator[Finding]:
    """Hosts of a tuning job end with it: the pipeline starts no training of its own that could take them."""
    for _ in _tuning(settings, index):
        seconds = settings.models[index].training.keep_alive_seconds
        if seconds is not None:
            yield Finding(
                path=("models", index, "training", "keepAliveSeconds"),
                found=str(seconds),
                allowed="null while tuning is set",
                remedy="write null, or tuning: null",
            )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    a_search_chooses_each_hyperparameter_once,
    the_image_takes_what_is_searched,
    searched_leaves_end_a_lossguided_tree,
    a_range_can_be_spread,
    a_search_fits_its_budget,
    a_grid_is_whole,
    hyperband_counts_rounds,
    hyperband_stops_trainings_itself,
    trainings_can_be_compared_early,
    rounds_leave_room_for_patience,
    a_search_starts_from_different_ones,
    tuned_hosts_are_not_kept,
)
