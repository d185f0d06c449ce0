"""The values that a local tuning job tries: every combination of a grid, else seeded random draws.

SageMaker's Bayesian search and Hyperband learn from the trainings before; here both are random search, whose draws the
`RandomSeed` of the request fixes.
Source: SageMaker API reference, `ParameterRanges`; developer guide, "Define hyperparameter ranges".
"""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Drawn = dict[str, str]


def trials(config: Mapping[str, Any]) -> Iterator[Drawn]:
    """Values of one training after another, by hyperparameter, as many as the request allows.

    Args:
        config: `HyperParameterTuningJobConfig` of the request.
    """
    ranges, count = config["ParameterRanges"], config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    endless = _combinations(ranges) if config["Strategy"] == "Grid" else _draws(ranges, config.get("RandomSeed", 0))
    return itertools.islice(endless, count)


def _combinations(ranges: Mapping[str, Any]) -> Iterator[Drawn]:
    choices = ranges.get("CategoricalParameterRanges", [])
    names = [each["Name"] for each in choices]
    for values in itertools.product(*(each["Values"] for each in choices)):
        yield dict(zip(names, values, strict=True))


def _draws(ranges: Mapping[str, Any], seed: int) -> Iterator[Drawn]:
    draw = random.Random(seed)  # noqa: S311 - a search, not a secret
    while True:
        found: Drawn = {}
        for each in ranges.get("IntegerParameterRanges", []):
            found[each["Name"]] = str(round(_between(draw, each)))
        for each in ranges.get("ContinuousParameterRanges", []):
            found[each["Name"]] = repr(_between(draw, each))
        for each in ranges.get("CategoricalParameterRanges", []):
            found[each["Name"]] = draw.choice(each["Values"])
        yield found


def _between(draw: random.Random, spec: Mapping[str, str]) -> float:
    """A value of a range, spread as its scaling says; `Auto` is linear here."""
    low, high = float(spec["MinValue"]), float(spec["MaxValue"])
    match spec.get("ScalingType"):
        case "Logarithmic":
            value = math.exp(draw.uniform(math.log(low), math.log(high)))
        case "ReverseLogarithmic":
            value = 1 - math.exp(draw.uniform(math.log(1 - high), math.log(1 - low)))
        case _:
            value = draw.uniform(low, high)
    return min(max(value, low), high)
