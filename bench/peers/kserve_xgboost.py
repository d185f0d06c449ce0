"""KServe's Python model server over XGBoost, as its own XGBoost runtime predicts: `kserve_xgboost.py MODEL PORT`.

That runtime (kserve/kserve:python/xgbserver) is not on a package index; it loads a Booster and asks it with a DMatrix.
"""

import sys

import xgboost
from kserve import InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class XGBoostModel(Model):
    """One booster under the protocols of KServe."""

    def __init__(self, file: str) -> None:
        super().__init__("model")
        self.booster = xgboost.Booster({"nthread": 1}, model_file=file)
        self.ready = True

    def predict(
        self, payload: dict[str, object] | InferRequest, _headers: dict[str, str] | None = None
    ) -> dict[str, object] | InferResponse:
        """Answer one request."""
        found = self.booster.predict(xgboost.DMatrix(get_predict_input(payload), nthread=1))
        return get_predict_response(payload, found, self.name)


ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1).start([XGBoostModel(sys.argv[1])])
