"""The parts of a model card that only the model knows, each as JSON text that a pipeline puts into the card as it is.

Source: SageMaker developer guide, "Model package model card schema", for the keys and bounds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scoring import artifact, document
from scoring.document import Document

if TYPE_CHECKING:
    from collections.abc import Mapping


def parts(provenance: dict[str, object], found: Mapping[str, float]) -> dict[str, str]:
    """What the manifest tells of the training, and what the evaluation has found.

    Args:
        provenance: Where the model comes from, as its manifest holds it (`artifact.Provenance`).
        found: Metrics of the evaluation by name; one that has no value is left out.
    """
    told = Document(artifact.MANIFEST, provenance)
    data, chosen = told.child("data"), told.child("hyperparameters").values
    rows = [f"{data.child(name).get('rows', int)} rows of {name}" for name in sorted(data.values)]
    trained = told.child("metrics").values
    return {
        "training_observations": _text(", ".join(rows)),
        "training_metrics": _text([{"name": name, "value": value} for name, value in sorted(trained.items())]),
        "code_version": _text(told.values["code_version"] or "none"),
        "hyper_parameters": _text(
            [{"name": name, "value": str(value)} for name, value in sorted(chosen.items()) if value != ""]
        ),
        "metric_data": _text(
            [
                {"name": name, "type": "number", "value": value}
                for name, value in sorted(found.items())
                if math.isfinite(value)
            ]
        ),
    }


def _text(value: object) -> str:
    return document.dump(value).decode().strip()
