"""One loaded model, asked through XGBoost's C interface.

``Booster.inplace_predict`` builds the same call, but spends several times the C call's own time in Python on a small
batch. The public parts used here are the library's path, the booster's handle and ``XGBoosterPredictFromDense``.
Source: XGBoost's C API reference; its answers are bit-equal to ``inplace_predict`` on the same matrix.
"""

from __future__ import annotations

import ctypes
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import xgboost
from xgboost.libpath import find_lib_path

from scoring.contract import XGBOOST_VERSION
from scoring.errors import AlgorithmError, ArtifactError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema

PREDICT_CONFIG = json.dumps(
    {
        "type": 0,  # the transformed value, a probability for binary:logistic
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,  # 0: every round; training kept only the best ones
        "strict_shape": False,
        "cache_id": 0,
        "missing": math.nan,
    }
).encode()

MATRIX = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'
"""NumPy's array interface for a row-major float32 matrix: address, rows, columns."""


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(find_lib_path()[0])  # the file that the xgboost package has already loaded
    pointer = ctypes.POINTER
    library.XGBGetLastError.restype = ctypes.c_char_p
    library.XGBoosterPredictFromDense.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_void_p,
        pointer(pointer(ctypes.c_uint64)),
        pointer(ctypes.c_uint64),
        pointer(pointer(ctypes.c_float)),
    )
    return library


class Predictor:
    """A model in memory; one instance is for one thread, because XGBoost reuses the answer's buffer per thread."""

    def __init__(self, model: bytes, schema: Schema) -> None:
        """Load verified model bytes, with one thread per call.

        Raises:
            ArtifactError: XGBoost is of another version, does not read the model, or knows other features than the
                schema.
        """
        if xgboost.__version__ != XGBOOST_VERSION:
            raise ArtifactError(f"XGBoost {xgboost.__version__} is installed, this image serves {XGBOOST_VERSION}")
        self._schema = schema
        self.width = schema.width
        """Features of a row."""
        self.outputs = 1
        """Values of an answer: 1, or the number of classes."""
        try:
            self._booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(model))
        except xgboost.core.XGBoostError as error:
            raise ArtifactError(f"XGBoost does not read the model: {error}") from error
        found = (tuple(self._booster.feature_names or ()), self._booster.feature_types)
        if found != (schema.names, schema.xgboost_types):
            raise ArtifactError("model.ubj and schema.json disagree about names, order or kinds of the features")
        self._handle = self._booster.handle
        self._library = _library()
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        self._answers = ctypes.POINTER(ctypes.c_float)()
        self._results = (
            ctypes.byref(self._shape),
            ctypes.byref(self._dimensions),
            ctypes.byref(self._answers),
        )
        try:
            self.outputs = self.predict(np.zeros((1, self.width), np.float32)).size
        except AlgorithmError as error:
            raise ArtifactError(f"the model cannot be served: {error}") from error

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a batch.

        Args:
            rows: C-contiguous float32 of shape (n, features), NaN where missing, n ≥ 1.

        Returns:
            Probabilities, float32 of shape (n,), or (n, k) for a model with k > 1 outputs, in memory of their own.

        Raises:
            AlgorithmError: XGBoost refused the batch.
        """
        count = len(rows)
        if rows.shape != (count, self.width) or rows.dtype != np.float32 or not rows.flags.c_contiguous:
            raise AlgorithmError(f"predict takes C-contiguous float32 of width {self.width}")
        matrix = MATRIX % (rows.__array_interface__["data"][0], count, self.width)
        status = self._library.XGBoosterPredictFromDense(self._handle, matrix, PREDICT_CONFIG, None, *self._results)
        if status != 0:
            raise AlgorithmError(f"XGBoost: {self._library.XGBGetLastError().decode(errors='replace')}")
        dimensions = self._dimensions.value
        if self._shape[0] != count or dimensions > 2:  # noqa: PLR2004 # rows and outputs
            raise AlgorithmError("XGBoost answered in another shape than one row of values per row")
        outputs = 1 if dimensions == 1 else self._shape[1]
        answers = np.frombuffer(ctypes.string_at(self._answers, 4 * count * outputs), dtype=np.float32)
        return answers if dimensions == 1 else answers.reshape(count, outputs)

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tell what each feature adds to each answer, before the objective's transformation (TreeSHAP).

        It takes XGBoost's slow way, through a matrix of its own, and many times the time of `predict`.
        Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees"
        (Nature Machine Intelligence 2, 2020); XGBoost's Python API reference, ``pred_contribs``.

        Args:
            rows: As for `predict`.

        Returns:
            float32 of shape (n, outputs, features + 1): the last is the model's mean answer, and all of them sum up to
            the margin, of which the answer is the logistic function, the softmax, or the value itself.

        Raises:
            AlgorithmError: XGBoost refused the batch.
        """
        names, kinds = self._schema.names, self._schema.xgboost_types
        try:
            data = xgboost.DMatrix(rows, feature_names=names, feature_types=kinds, enable_categorical=True, nthread=1)
            found = self._booster.predict(data, pred_contribs=True, strict_shape=True)
        except xgboost.core.XGBoostError as error:
            raise AlgorithmError(f"XGBoost: {error}") from error
        return found.astype(np.float32, copy=False)
