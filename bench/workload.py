"""The model, the requests and the right answers that all servers share; made from a seed, the same in every run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xgboost

from bench.load import post

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 20_261_122
FEATURES, TREES, DEPTH = 30, 200, 6
TRAINING_ROWS = 100_000
BODIES: Mapping[int, int] = {1: 256, 100: 16}
"""Different bodies per number of rows: as many as keep a server from answering out of a cache of its processor."""
TENSOR = "input-0"
TOLERANCE = 1e-4
"""Largest deviation from XGBoost's own float32 answer that a peer may have: ONNX sums in another order."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The model file, and rows with their answers."""

    model: Path
    """UBJSON; beside it lies the same model as JSON."""
    rows: Mapping[int, NDArray[np.float32]]
    """By rows per body, of shape (bodies, rows per body, features)."""
    answers: Mapping[int, NDArray[np.float32]]
    """What `Booster.predict` gives for them, of shape (bodies, rows per body)."""

    def wires(self, rows: int, form: str, path: str) -> list[bytes]:
        """Write the requests of one size in one format: ``csv``, ``json`` or ``v2``."""
        media, write = FORMS[form]
        return [post(path, media, write(body)) for body in self.rows[rows]]


def csv_body(rows: NDArray[np.float32]) -> bytes:
    """Write rows without a header, each number as short as float32 allows."""
    return b"\n".join(b",".join(str(value).encode() for value in row) for row in rows)


def json_body(rows: NDArray[np.float32]) -> bytes:
    """Write rows as ``instances``, as SageMaker's and TensorFlow Serving's clients do."""
    return json.dumps({"instances": _numbers(rows)}).encode()


def v2_body(rows: NDArray[np.float32]) -> bytes:
    """Write rows as one tensor of the Open Inference Protocol."""
    flat = _numbers(rows.reshape(1, -1))[0]
    tensor = {"name": TENSOR, "shape": list(rows.shape), "datatype": "FP32", "data": flat}
    return json.dumps({"inputs": [tensor]}).encode()


def _numbers(rows: NDArray[np.float32]) -> list[list[float]]:
    return [[float(str(value)) for value in row] for row in rows]


FORMS = {
    "csv": ("text/csv", csv_body),
    "json": ("application/json", json_body),
    "v2": ("application/json", v2_body),
}


def make(folder: Path, training_rows: int = TRAINING_ROWS) -> Workload:
    """Train the model into a folder unless it is there already, and ask XGBoost for the right answers."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"model-{SEED}-{training_rows}.ubj"
    if not model.exists() or not model.with_suffix(".json").exists():
        booster = train(training_rows)
        booster.save_model(model.with_suffix(".json"))
        booster.save_model(model)
    booster = xgboost.Booster(params={"nthread": 1}, model_file=model)
    draw = np.random.default_rng(SEED + 1)
    rows = {
        size: _rounded(draw.normal(size=(bodies * size, FEATURES))).reshape(bodies, size, FEATURES)
        for size, bodies in BODIES.items()
    }
    answers = {
        size: booster.predict(xgboost.DMatrix(found.reshape(-1, FEATURES), nthread=1)).reshape(found.shape[:2])
        for size, found in rows.items()
    }
    return Workload(model, rows, answers)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.round(4).astype(np.float32)


def train(count: int) -> xgboost.Booster:
    """Train the model on so many rows; fewer give smaller trees, as many of them."""
    draw = np.random.default_rng(SEED)
    rows = _rounded(draw.normal(size=(count, FEATURES)))
    weights = draw.normal(size=FEATURES)
    signal = rows @ weights + 2 * np.sin(3 * rows[:, 0]) * rows[:, 1] + rows[:, 2] ** 2
    labels = (signal + draw.normal(size=count) > np.median(signal)).astype(np.float32)
    data = xgboost.DMatrix(rows, labels)
    params = {"objective": "binary:logistic", "max_depth": DEPTH, "eta": 0.1, "seed": SEED, "tree_method": "hist"}
    return xgboost.train(params, data, TREES)
