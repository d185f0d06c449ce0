"""XGBoost's C interface, as far as a server needs it.

The Python package brings SciPy's matrices and what both import: half of a server's memory and of its start. Of the
package only the shared library is used here. Source: XGBoost's C API reference; the functions are those that the
package's own classes call, so what they answer is the same.
"""

from __future__ import annotations

import ctypes
import json
import math
import weakref
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from scoring.libraries import open_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MATRIX: Final = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'
"""NumPy's array interface for a row-major float32 matrix: address, rows, columns."""

_PREDICTION: Final[dict[str, object]] = {
    "type": 0,  # the transformed value, a probability for binary:logistic
    "training": False,
    "iteration_begin": 0,
    "iteration_end": 0,  # 0: every round; training kept only the best ones
    "strict_shape": False,
}
PREDICT: Final = json.dumps({**_PREDICTION, "cache_id": 0, "missing": math.nan}).encode()
CONTRIBUTIONS: Final = json.dumps({**_PREDICTION, "type": 2, "strict_shape": True}).encode()
DENSE: Final = json.dumps({"missing": math.nan, "nthread": 1}).encode()


class NativeError(Exception):
    """XGBoost refused a call; the text is its own."""


def _library() -> ctypes.CDLL:
    library = open_library("xgboost")
    pointer = ctypes.POINTER
    result = (pointer(pointer(ctypes.c_uint64)), pointer(ctypes.c_uint64), pointer(pointer(ctypes.c_float)))
    library.XGBGetLastError.restype = ctypes.c_char_p
    library.XGBoosterFree.argtypes = library.XGDMatrixFree.argtypes = (ctypes.c_void_p,)
    library.XGBoosterPredictFromDense.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_void_p,
        *result,
    )
    library.XGBoosterPredictFromDMatrix.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, *result)
    return library


_LIBRARY: Final = _library()


def _checked(status: int) -> None:
    if status != 0:
        raise NativeError(_LIBRARY.XGBGetLastError().decode(errors="replace"))


def library_version() -> str:
    """Give the version of the library, not of the package around it."""
    parts = [ctypes.c_int() for _ in range(3)]
    _LIBRARY.XGBoostVersion(*map(ctypes.byref, parts))
    return ".".join(str(part.value) for part in parts)


def _names(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(texts))(*[text.encode() for text in texts])


class Model:
    """A model in memory, predicting on one thread; one instance is for one thread, whose answers XGBoost reuses."""

    def __init__(self, content: bytes) -> None:
        """Load a model in one of XGBoost's formats.

        Raises:
            NativeError: XGBoost does not read it.
        """
        self._handle = ctypes.c_void_p()
        _checked(_LIBRARY.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self._handle)))
        weakref.finalize(self, _LIBRARY.XGBoosterFree, self._handle)
        _checked(_LIBRARY.XGBoosterLoadModelFromBuffer(self._handle, content, ctypes.c_uint64(len(content))))
        _checked(_LIBRARY.XGBoosterSetParam(self._handle, b"nthread", b"1"))
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        self._answers = ctypes.POINTER(ctypes.c_float)()
        self._results = (ctypes.byref(self._shape), ctypes.byref(self._dimensions), ctypes.byref(self._answers))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features; empty when the model has none."""
        return self._texts(b"feature_name")

    @property
    def kinds(self) -> tuple[str, ...]:
        """XGBoost's letters for the features' kinds; empty when the model has none."""
        return self._texts(b"feature_type")

    def _texts(self, field: bytes) -> tuple[str, ...]:
        count, texts = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_char_p)()
        found = (ctypes.byref(count), ctypes.byref(texts))
        _checked(_LIBRARY.XGBoosterGetStrFeatureInfo(self._handle, field, *found))
        return tuple(cast("bytes", texts[place]).decode() for place in range(count.value))

    @property
    def config(self) -> dict[str, Any]:
        """Everything that XGBoost knows about the model beside its trees, as it writes it."""
        size, text = ctypes.c_uint64(), ctypes.c_char_p()
        _checked(_LIBRARY.XGBoosterSaveJsonConfig(self._handle, ctypes.byref(size), ctypes.byref(text)))
        return json.loads(cast("bytes", text.value))

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a batch.

        Args:
            rows: C-contiguous float32 of shape (n, features), NaN where missing, n ≥ 1.

        Returns:
            float32 of shape (n,), or (n, k) for a model with k > 1 outputs, in memory of their own.

        Raises:
            NativeError: XGBoost refused the batch.
        """
        _checked(_LIBRARY.XGBoosterPredictFromDense(self._handle, _interface(rows), PREDICT, None, *self._results))
        return self._answer()

    def contributions(self, rows: NDArray[np.float32], kinds: Sequence[str]) -> NDArray[np.float32]:
        """Tell what each feature adds to each answer.

        Args:
            rows: As for `predict`.
            kinds: XGBoost's letters for the features' kinds.

        Returns:
            float32 of shape (n, outputs, features + 1).

        Raises:
            NativeError: XGBoost refused the batch.
        """
        matrix = ctypes.c_void_p()
        _checked(_LIBRARY.XGDMatrixCreateFromDense(_interface(rows), DENSE, ctypes.byref(matrix)))
        try:
            for field, texts in ((b"feature_name", self.names), (b"feature_type", kinds)):
                size = ctypes.c_uint64(len(texts))
                _checked(_LIBRARY.XGDMatrixSetStrFeatureInfo(matrix, field, _names(texts), size))
            _checked(_LIBRARY.XGBoosterPredictFromDMatrix(self._handle, matrix, CONTRIBUTIONS, *self._results))
            return self._answer()
        finally:
            _LIBRARY.XGDMatrixFree(matrix)

    def _answer(self) -> NDArray[np.float32]:
        shape = self._shape[: self._dimensions.value]
        return np.frombuffer(ctypes.string_at(self._answers, 4 * math.prod(shape)), np.float32).reshape(shape)


def _interface(rows: NDArray[np.float32]) -> bytes:
    return MATRIX % (rows.__array_interface__["data"][0], *rows.shape)
