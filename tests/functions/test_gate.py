import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.gate import decide, metric_values

VALUES = st.floats(min_value=0, max_value=1)


def test_a_value_equal_to_the_minimum_is_not_enough() -> None:
    decision = decide({"accuracy": 0.9}, metric="accuracy", minimum=0.9)

    assert not decision.passed
    assert decision.reasons == ("accuracy 0.9000 does not exceed the minimum 0.9000",)


def test_the_smallest_step_above_the_minimum_is_enough() -> None:
    decision = decide({"accuracy": 0.9001}, metric="accuracy", minimum=0.9)

    assert decision.passed
    assert decision.reasons == ("accuracy 0.9001 is above the minimum 0.9000",)


@given(value=VALUES, minimum=VALUES)
def test_the_gate_is_exactly_the_strict_comparison(value: float, minimum: float) -> None:
    assert decide({"auc": value}, metric="auc", minimum=minimum).passed == (value > minimum)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_measurement_does_not_pass(value: float) -> None:
    decision = decide({"auc": value}, metric="auc", minimum=0.1)

    assert not decision.passed
    assert "no measurement" in decision.reasons[0]


def test_a_missing_metric_does_not_pass_and_the_reason_names_those_that_exist() -> None:
    decision = decide({"recall": 1.0, "accuracy": 1.0}, metric="auc", minimum=0.1)

    assert not decision.passed
    assert decision.reasons == ("the evaluation has no metric 'auc'; it has: accuracy, recall",)


def test_metrics_are_read_from_the_registrys_schema_and_what_is_no_number_is_left_out() -> None:
    document = {
        "binary_classification_metrics": {
            "auc": {"value": 0.75, "standard_deviation": "NaN"},
            "accuracy": {"value": 1},
            "confusion_matrix": {"0": {"0": 5}},
            "recall": {"value": "NaN"},
        }
    }

    assert metric_values(document) == {"auc": 0.75, "accuracy": 1.0}


@pytest.mark.parametrize("document", [None, [], "text", {}, {"binary_classification_metrics": []}])
def test_a_document_of_another_shape_has_no_metrics(document: object) -> None:
    assert metric_values(document) == {}
