"""One loaded model: few rows walk its trees (`scoring.forest`), more are asked of XGBoost (`scoring.native`).

Both ways give what ``Booster.inplace_predict`` gives on the same matrix, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring import native
from scoring.contract import XGBOOST_VERSION
from scoring.errors import AlgorithmError, ArtifactError
from scoring.forest import FEW, Forest
from scoring.native import NativeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema


class Predictor:
    """A model in memory; one instance is for one thread, because answers pass through buffers of its own."""

    def __init__(self, model: bytes, schema: Schema) -> None:
        """Load verified model bytes, with one thread per call.

        Raises:
            ArtifactError: XGBoost is of another version, does not read the model, or knows other features than the
                schema.
        """
        if (found := native.library_version()) != XGBOOST_VERSION:
            raise ArtifactError(f"XGBoost {found} is installed, this image serves {XGBOOST_VERSION}")
        self._schema = schema
        self.width = schema.width
        """Features of a row."""
        self.outputs = 1
        """Values of an answer: 1, or the number of classes."""
        try:
            self._model = native.Model(model)
        except NativeError as error:
            raise ArtifactError(f"XGBoost does not read the model: {error}") from error
        if (self._model.names, self._model.kinds) != (tuple(schema.names), tuple(schema.xgboost_types)):
            raise ArtifactError("model.ubj and schema.json disagree about names, order or kinds of the features")
        try:
            self.outputs = self._model.predict(np.zeros((1, self.width), np.float32)).size
        except NativeError as error:
            raise ArtifactError(f"the model cannot be served: {error}") from error
        self._forest = self._plant(model)

    @property
    def walks(self) -> bool:
        """Whether few rows are answered by walking the trees, without XGBoost."""
        return self._forest is not None

    def _plant(self, content: bytes) -> Forest | None:
        """Give the model's trees, if they answer bit for bit what XGBoost does."""
        try:
            forest = Forest(content, self._model, self._schema)
        except ArtifactError:
            return None
        probes = forest.probes()
        walked = [forest.predict(probes[start : start + FEW]) for start in range(0, len(probes), FEW)]
        return forest if np.concatenate(walked).tobytes() == self._model.predict(probes).tobytes() else None

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a batch.

        Args:
            rows: C-contiguous float32 of shape (n, features), NaN where missing, n ≥ 1.

        Returns:
            Probabilities, float32 of shape (n,), or (n, k) for a model with k > 1 outputs, in memory of their own.

        Raises:
            AlgorithmError: XGBoost or Treelite refused the batch.
        """
        count = len(rows)
        if rows.shape != (count, self.width) or rows.dtype != np.float32 or not rows.flags.c_contiguous:
            raise AlgorithmError(f"predict takes C-contiguous float32 of width {self.width}")
        if count <= FEW and self._forest is not None:
            return self._forest.predict(rows)
        try:
            answers = self._model.predict(rows)
        except NativeError as error:
            raise AlgorithmError(f"XGBoost: {error}") from error
        if answers.shape != ((count,) if self.outputs == 1 else (count, self.outputs)):
            raise AlgorithmError("XGBoost answered in another shape than one row of values per row")
        return answers

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
        try:
            return self._model.contributions(rows, self._schema.xgboost_types)
        except NativeError as error:
            raise AlgorithmError(f"XGBoost: {error}") from error
