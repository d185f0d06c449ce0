"""What an evaluation says."""

from __future__ import annotations

import pytest

from lifecycle.evaluation import metric_values


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
