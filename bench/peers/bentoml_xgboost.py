"""BentoML over XGBoost's Python API; its JSON has the shape of an Open Inference request, so that one body fits all.

`SLIPWAY_BENCH_MODEL=MODEL bentoml serve bentoml_xgboost:Scorer`
"""

import os
from typing import Any

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1)
class Scorer:
    """One booster."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["SLIPWAY_BENCH_MODEL"])

    @bentoml.api
    def infer(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer one request of one tensor."""
        rows = np.array(inputs[0]["data"], dtype=np.float32).reshape(inputs[0]["shape"])
        return {"outputs": [{"name": "predict", "data": self.booster.inplace_predict(rows).tolist()}]}
