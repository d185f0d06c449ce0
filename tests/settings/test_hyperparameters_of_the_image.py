"""The settings and the model image define hyperparameters twice, for neither may import the other: they must agree."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import Any

import pytest

from scoring.hyperparameters import PARSERS, Choice, Hyperparameters, Real, Whole, parse
from settings.model.models import HyperparametersSpec

ELSEWHERE = {"label": "a setting of the model, not of its training", "nthread": "0, every core of the chosen host"}
"""Hyperparameters of the image that stack files do not name, and where their value comes from."""

DIRECTIONS = "monotone_constraints"
"""Is a map in stack files and its JSON in the image."""

LONGEST_VALUE = 2500
"""Characters of a hyperparameter (SageMaker API reference, `CreateTrainingJob`)."""

PROPERTIES: dict[str, dict[str, Any]] = HyperparametersSpec.model_json_schema()["properties"]


def test_the_settings_name_every_hyperparameter_of_the_image_and_no_other() -> None:
    assert PROPERTIES.keys() | ELSEWHERE.keys() == {item.name for item in fields(Hyperparameters)}
    assert not PROPERTIES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_a_hyperparameter_has_the_bounds_that_the_image_has(name: str) -> None:
    if name == DIRECTIONS:
        return
    parser, found = PARSERS[name], PROPERTIES[name]
    expected: dict[str, Any]
    if isinstance(parser, Whole):
        expected = {"type": "integer", "minimum": parser.low, "maximum": parser.high}
    elif isinstance(parser, Real):
        expected = {"type": "number", "minimum" if parser.low_allowed else "exclusiveMinimum": parser.low}
        expected |= {"maximum": parser.high} if parser.high < math.inf else {}
    elif isinstance(parser, Choice):
        expected = {"type": "string", "enum": list(parser.allowed)}
    else:
        expected = {"type": "string"}
    bounds = {key: value for key, value in found.items() if key not in {"default", "title", "description"}}
    if "const" in bounds:  # how JSON Schema is written for a choice of one
        bounds["enum"] = [bounds.pop("const")]
    assert bounds == expected


def test_what_stack_files_may_leave_out_is_the_images_default() -> None:
    defaults = {item.name: item.default for item in fields(Hyperparameters) if item.default is not MISSING}
    optional = {name: found["default"] for name, found in PROPERTIES.items() if "default" in found}
    assert HyperparametersSpec.model_fields[DIRECTIONS].get_default(call_default_factory=True) == {}
    assert defaults[DIRECTIONS] == "{}"
    assert optional
    assert optional == {name: defaults[name] for name in optional}


def test_the_image_takes_what_the_settings_send_when_everything_is_left_to_the_defaults() -> None:
    required = {"num_round": 9, "max_depth": 3, "eta": 0.1, "subsample": 1.0, "colsample_bytree": 1.0}
    chosen = {"min_child_weight": 0.0, "early_stopping_rounds": 0, "seed": 0, "class_weight": "balanced"}
    spec = HyperparametersSpec.model_validate(required | chosen)
    assert parse({"label": "y"} | spec.told()).class_weight == "balanced"


def test_directions_arrive_as_the_settings_give_them_however_many_there_are() -> None:
    required = {"num_round": 9, "max_depth": 3, "eta": 0.1, "subsample": 1.0, "colsample_bytree": 1.0}
    chosen = {"min_child_weight": 0.0, "early_stopping_rounds": 0, "seed": 0}
    named = {f"{number:064}".replace("0", "a", 1): -1 for number in range(32)}
    sent = HyperparametersSpec.model_validate(required | chosen | {DIRECTIONS: named}).told()
    assert parse({"label": "y"} | sent).constraints == named
    assert len(sent[DIRECTIONS]) <= LONGEST_VALUE
