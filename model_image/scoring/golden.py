"""Golden answers: rows that reach the leaves of the model, with what it answered for them when it was trained.

A checksum shows that the bytes are the trained ones; golden answers show that this machine and this library make the
same model of them. They are kept as one float32 matrix in NumPy's file format: the features of a row, then its answer.
`scoring.leaves` makes them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scoring.errors import ArtifactError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.predictor import Predictor

ULPS = 2
"""Distance between equal answers, in units of the last place: the exponential function of the C library differs by
one between processor architectures, and a model may be trained on one and served on another."""

MATRIX_AXES = 2
"""Rows and columns."""


def read(golden: bytes) -> NDArray[np.float32]:
    """Give the matrix of a golden file whose checksum has been verified.

    Raises:
        ArtifactError: it is no such file.
    """
    try:
        matrix = cast("NDArray[Any]", np.load(io.BytesIO(golden), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise ArtifactError(f"golden.npy: {error}") from None
    if matrix.ndim != MATRIX_AXES or matrix.dtype != np.float32:
        raise ArtifactError("golden.npy: expected a matrix of float32")
    return matrix


def check(predictor: Predictor, golden: bytes) -> int:
    """Ask a loaded model for the golden rows and compare.

    Returns:
        The number of rows.

    Raises:
        ArtifactError: an answer differs; the message counts them.
    """
    matrix = read(golden)
    width = predictor.width
    rows = np.ascontiguousarray(matrix[:, :width])
    expected = np.ascontiguousarray(matrix[:, width:])
    found = predictor.predict(rows).reshape(len(rows), -1)
    if not len(rows) or found.shape != expected.shape:
        raise ArtifactError(f"golden.npy: expected rows of {width} features and {found.shape[1]} answers")
    wrong = int(np.count_nonzero(np.any(_distance(found, expected) > ULPS, axis=1)))
    if wrong:
        raise ArtifactError(f"the model answers {wrong} of {len(rows)} golden rows otherwise than when it was trained")
    return len(rows)


def _distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the number of floats between two, which for IEEE 754 is the difference of their bits, read as integers."""
    bits = [values.view(np.int32).astype(np.int64) for values in (found, expected)]
    ordered = [np.where(part < 0, -(part & 0x7FFF_FFFF), part) for part in bits]
    return np.abs(ordered[0] - ordered[1])
