"""What stands for a value in a pipeline definition, and how conditions compare values."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.loop.conditions import holds
from sandbox.loop.execution_parts import values_of
from sandbox.loop.references import Scope, UnresolvedError, resolve, steps_named

OUTPUTS: list[dict[str, Any]] = [
    {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}},
    {"OutputName": "report", "S3Output": {}},
]
SCOPE = Scope(
    parameters={"Rows": 3, "Name": "x"},
    execution={"PipelineExecutionId": "e1"},
    steps={"Process": {"ProcessingOutputConfig": {"Outputs": OUTPUTS}, "Names": ["a", "b"]}},
    property_file=lambda step, name: {"metrics": {"auc": {"value": 0.7}}, "from": f"{step}/{name}"},
)


def get(path: str) -> dict[str, str]:
    return {"Get": path}


def in_file(path: str) -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": get("Steps.Process.PropertyFiles.found"), "Path": path}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (get("Parameters.Rows"), 3),
        (get("Execution.PipelineExecutionId"), "e1"),
        (get("Steps.Process.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"), "s3://b/train"),
        (get("Steps.Process.Names[1]"), "b"),
        ({"Std:Join": {"On": "/", "Values": ["a", get("Parameters.Rows"), get("Parameters.Name")]}}, "a/3/x"),
        (in_file("metrics.auc.value"), 0.7),
        (in_file("from"), "Process/found"),
        ({"a": [get("Parameters.Name")], "Get": "text", "b": 1}, {"a": ["x"], "Get": "text", "b": 1}),
    ],
)
def test_a_reference_becomes_what_stands_behind_it(value: object, expected: object) -> None:
    assert resolve(value, SCOPE) == expected


@pytest.mark.parametrize(
    "path",
    [
        "Parameters.Missing",
        "Steps.Train.ModelArtifacts",
        "Steps.Process.ProcessingOutputConfig.Outputs['model'].S3Output.S3Uri",
        "Steps.Process.Names[2]",
        "Steps.Process.Names..x",
        "Somewhere.Else",
    ],
)
def test_a_reference_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(UnresolvedError):
        resolve(get(path), SCOPE)


def test_the_steps_that_a_value_waits_for_are_found_wherever_they_are_named() -> None:
    value = {"a": [{"Std:Join": {"On": "", "Values": [get("Steps.One.X"), "Steps.No.X"]}}, in_file("x")]}
    assert steps_named(value) == {"One", "Process"}


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        ("GreaterThan", 0.7, 0.68, True),
        ("GreaterThan", 0.68, 0.68, False),
        ("GreaterThanOrEqualTo", 0.68, 0.68, True),
        ("LessThan", 1, 2, True),
        ("Equals", "a", "a", True),
    ],
)
def test_a_condition_compares_its_two_sides(kind: str, left: object, right: object, *, expected: bool) -> None:
    assert holds({"Type": kind, "LeftValue": left, "RightValue": right}, SCOPE) is expected


@pytest.mark.parametrize("left", [float("nan"), float("inf"), "0.9"])
def test_what_is_no_measurement_passes_no_condition(left: object) -> None:
    with pytest.raises(UnresolvedError, match="cannot be compared"):
        holds({"Type": "GreaterThan", "LeftValue": left, "RightValue": 0.68}, SCOPE)


def test_conditions_can_be_combined() -> None:
    yes, no = ({"Type": "Equals", "LeftValue": 1, "RightValue": right} for right in (1, 2))
    assert holds({"Type": "Or", "Conditions": [no, yes]}, SCOPE)
    assert holds({"Type": "Not", "Expression": no}, SCOPE)
    assert holds({"Type": "In", "QueryValue": get("Parameters.Name"), "Values": ["x", "y"]}, SCOPE)


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, "no default"), ({"Rows": "many", "Name": "x"}, "is no Integer"), ({"Rows": "1", "Other": "2"}, "Other")],
)
def test_an_execution_starts_with_the_parameters_of_its_definition_and_no_others(
    given: dict[str, str], message: str
) -> None:
    definition = {
        "Parameters": [{"Name": "Rows", "Type": "Integer"}, {"Name": "Name", "Type": "String", "DefaultValue": "y"}]
    }
    assert values_of(definition, {"Rows": "3"}) == {"Rows": 3, "Name": "y"}
    with pytest.raises(UnresolvedError, match=message):
        values_of(definition, given)
