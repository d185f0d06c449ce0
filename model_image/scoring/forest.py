"""Few rows at once, by Treelite's walk over the trees: XGBoost's own answers without the fixed cost of its call.

XGBoost prepares every tree anew for each call, which for one row takes many times what the walk takes. Treelite gives
each tree's value; they are summed up here as XGBoost does: in the order of the trees, as float32, from the base score.
Source: Treelite's C API reference ("General Tree Inference Library"); XGBoost's `src/common/math.h` for the logistic
function.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scoring.contract import Kind
from scoring.errors import AlgorithmError, ArtifactError
from scoring.libraries import open_library

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scoring.contract import Schema
    from scoring.native import Model

    Margins = NDArray[np.float32]

FEW: Final = 8
"""Rows up to which the walk is the faster way; from about twice as many on, XGBoost's blocks of rows win."""

PROBES: Final = 256
"""Rows on which a model has to answer as XGBoost does before it may answer by this way."""

CONFIG: Final = json.dumps({"predict_type": "score_per_tree", "nthread": 1}).encode()
LARGEST_EXPONENT: Final = np.float32(88.7)
"""XGBoost lets no larger number into the exponential function of its logistic one."""
ONE: Final = np.float32(1)
INFINITY: Final = np.float32(np.inf)
MISSING: Final = 0.1
"""Share of missing cells in the probes."""


class _Frame(ctypes.Structure):
    """Treelite's view of an array (`TreelitePyBufferFrame`)."""

    _fields_ = (
        ("buffer", ctypes.c_void_p),
        ("format", ctypes.c_char_p),
        ("item_size", ctypes.c_size_t),
        ("items", ctypes.c_size_t),
    )


def _library() -> ctypes.CDLL:
    library = open_library("treelite")
    library.TreeliteGetLastError.restype = ctypes.c_char_p
    library.TreeliteGTILPredict.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_uint64,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    library.TreeliteFreeModel.argtypes = (ctypes.c_void_p,)
    return library


def _exponential() -> Callable[[float], float]:
    """Give the C library's function, which XGBoost calls; NumPy's own differs in the last bit."""
    function = ctypes.CDLL(None).expf
    function.restype, function.argtypes = ctypes.c_float, (ctypes.c_float,)
    return function


_LIBRARY: Final = _library()
_EXP: Final = _exponential()


def _last_error() -> str:
    return _LIBRARY.TreeliteGetLastError().decode(errors="replace")


def _checked(status: int) -> None:
    if status != 0:
        raise AlgorithmError(f"Treelite: {_last_error()}")


def _configured() -> ctypes.c_void_p:
    config = ctypes.c_void_p()
    _checked(_LIBRARY.TreeliteGTILParseConfig(CONFIG, ctypes.byref(config)))
    return config


_CONFIGURED: Final = _configured()


def _logistic(margins: Margins) -> Margins:
    exponents = np.minimum(-margins, LARGEST_EXPONENT).tolist()
    return ONE / (np.array([_EXP(exponent) for exponent in exponents], np.float32) + ONE)


def _logit(probability: np.float32) -> np.float32:
    return -np.log(ONE / probability - ONE)


def _itself(margins: Margins) -> Margins:
    return margins


OBJECTIVES: Final[dict[str, tuple[Callable[[np.float32], np.float32], Callable[[Margins], Margins]]]] = {
    "binary:logistic": (_logit, _logistic),
    "reg:squarederror": (np.float32, _itself),
}
"""Objectives with one output: the base score as a margin, and the margin as an answer."""


class Forest:
    """A model's trees in Treelite; one instance is for one thread, because it reuses its buffer."""

    def __init__(self, model: bytes, known: Model, schema: Schema) -> None:
        """Load a model that XGBoost has read.

        Args:
            model: In the UBJSON format.
            known: The same model in XGBoost.
            schema: Its features.

        Raises:
            ArtifactError: The model is of a kind that only XGBoost itself answers.
        """
        learner = known.config["learner"]
        objective: str = learner["objective"]["name"]
        if objective not in OBJECTIVES:
            raise ArtifactError(f"objective {objective} is answered by XGBoost alone")
        to_margin, self._transform = OBJECTIVES[objective]
        scores: list[float] = json.loads(learner["learner_model_param"]["base_score"])
        if len(scores) > 1:
            raise ArtifactError("several targets are answered by XGBoost alone")
        self._base = to_margin(np.float32(scores[0]))
        self._handle = ctypes.c_void_p()
        size = ctypes.c_size_t(len(model))
        if _LIBRARY.TreeliteLoadXGBoostModelFromUBJSONString(model, size, b"{}", ctypes.byref(self._handle)) != 0:
            raise ArtifactError(f"Treelite does not read the model: {_last_error()}")
        weakref.finalize(self, _LIBRARY.TreeliteFreeModel, self._handle)
        self._schema = schema
        self._trees = self._count()
        coded = any(feature.kind is Kind.CATEGORICAL for feature in schema.features)
        if not coded and self._fields(b"has_categorical_split", np.bool_).any():
            raise ArtifactError("the schema does not say which features are codes of categories")
        self._values = np.empty((FEW, self._trees), np.float32)
        self._address = self._values.ctypes.data

    def _count(self) -> int:
        trees = ctypes.c_size_t()
        _checked(_LIBRARY.TreeliteQueryNumTree(self._handle, ctypes.byref(trees)))
        return trees.value

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict at most `FEW` rows.

        Args:
            rows: C-contiguous float32 of shape (n, features), NaN where missing.

        Returns:
            float32 of shape (n,), what XGBoost answers, in memory of their own.

        Raises:
            AlgorithmError: Treelite refused the rows.
        """
        count = len(rows)
        address: int = rows.__array_interface__["data"][0]
        _checked(_LIBRARY.TreeliteGTILPredict(self._handle, address, b"float32", count, self._address, _CONFIGURED))
        values = self._values[:count]
        values[:, 0] += self._base
        return self._transform(np.add.accumulate(values, axis=1)[:, -1])

    def probes(self) -> NDArray[np.float32]:
        """Make rows of thresholds, their neighbours below, codes of categories, and missing values; always the same."""
        draw = np.random.default_rng(0)
        features, thresholds = self._fields(b"split_index", np.int32), self._fields(b"threshold", np.float32)
        rows = np.zeros((PROBES, self._schema.width), np.float32)
        for place, feature in enumerate(self._schema.features):
            known = thresholds[features == place]
            if feature.kind is Kind.CATEGORICAL:
                rows[:, place] = draw.integers(0, len(feature.categories), PROBES)
            elif known.size:
                edges = draw.choice(known, PROBES)
                rows[:, place] = np.where(draw.random(PROBES) < 1 / 2, edges, np.nextafter(edges, -INFINITY))
        rows[draw.random(rows.shape) < MISSING] = np.nan
        return rows

    def _fields(self, name: bytes, kind: type[np.generic]) -> NDArray[Any]:
        """Read one field of all nodes of all trees."""
        return np.concatenate([self._field(tree, name, kind) for tree in range(self._trees)])

    def _field(self, tree: int, name: bytes, kind: type[np.generic]) -> NDArray[Any]:
        frame = _Frame()
        _checked(_LIBRARY.TreeliteGetTreeField(self._handle, ctypes.c_uint64(tree), name, ctypes.byref(frame)))
        return np.frombuffer(ctypes.string_at(frame.buffer, frame.items * frame.item_size), kind)
