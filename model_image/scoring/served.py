"""One version of the model in memory, with everything that depends on the version.

A request takes the version once, when it arrives, and is decoded, predicted and answered by it; another version may
take over in between.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from scoring import codec, explained, golden
from scoring.batcher import Batcher
from scoring.codec import Decoder
from scoring.contract import XGBOOST_VERSION
from scoring.drift import Drift
from scoring.errors import Fault, RequestError
from scoring.messages import CSV, JSON, NPY
from scoring.predictions import Predictions
from scoring.predictor import Predictor
from scoring.tensors import MAX_EXPLAINED_ROWS, TensorCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scoring.artifact import Artifact
    from scoring.codec import Rows
    from scoring.settings import ServerSettings

    Explain = Callable[[list[bytes], NDArray[np.float32]], bytes]


class Format(NamedTuple):
    """One media type of ``/invocations``."""

    content_type: bytes
    decode: Callable[[bytes], Rows]
    encode: Callable[[list[bytes]], bytes]
    explain: Explain | None = None
    """Writes the answers with what each feature adds to them, float32 of shape (n, outputs, features + 1)."""


class Limits(NamedTuple):
    """Of one model's queue."""

    max_batch_rows: int
    """Most rows in one call of the model."""
    max_queued_bytes: int
    """Most parsed rows waiting for a prediction."""


def load(
    artifact: Artifact,
    settings: ServerSettings,
    schedule: Callable[[Callable[[], None]], object],
    on_batch: Callable[[int], None],
    limits: Limits | None = None,
) -> ServedModel:
    """Load a verified model behind a queue of its own, and compare its golden answers.

    Args:
        artifact: The model.
        settings: Limits and names.
        schedule: ``loop.call_soon`` of the loop that will answer.
        on_batch: Told the rows of every call of the model.
        limits: Of this model's queue; without them, those of the settings.

    Raises:
        ArtifactError: XGBoost does not take the model, or answers otherwise than at training.
    """
    predictor = Predictor(artifact.model, artifact.schema)
    if artifact.golden:
        golden.check(predictor, artifact.golden)
    limits = limits or Limits(settings.max_batch_rows, settings.max_queued_bytes)
    batcher = Batcher(predictor.predict, predictor.width, schedule, on_batch=on_batch, **limits._asdict())
    decoder = Decoder(artifact.schema, settings.max_rows)
    names = {"name": settings.model_name, "version": settings.model_version}
    return ServedModel(artifact, decoder, batcher, outputs=predictor.outputs, **names)


class ServedModel:
    """A version that can answer."""

    def __init__(
        self, artifact: Artifact, decoder: Decoder, batcher: Batcher, *, name: str, version: str = "", outputs: int = 1
    ) -> None:
        """Describe the version.

        Args:
            artifact: What was loaded.
            decoder: Reads bodies for the artifact's schema.
            batcher: In front of the artifact's predictor.
            name: Name of the model in paths and answers of the Open Inference Protocol.
            version: Name of the version; empty means the first characters of the manifest's digest.
            outputs: Values of one answer.
        """
        self.name = name
        self.version = version or artifact.version
        self.identity = {
            "model_version": self.version,
            "manifest_sha256": artifact.digest,
            "xgboost": XGBOOST_VERSION,
        }
        self.header = b"Model-Version: %b\r\n" % self.version.encode("ascii", "replace")
        self.names = artifact.schema.names
        self.batcher = batcher
        as_json = codec.encode_json if outputs == 1 else codec.encode_json_lists
        self.formats = {
            CSV: Format(CSV, decoder.csv, codec.encode_csv, explained.write_csv),
            JSON: Format(JSON, decoder.json, as_json, functools.partial(explained.write_json, as_json)),
            NPY: Format(NPY, decoder.npy, codec.encode_npy),
        }
        self.predictions = Predictions()
        """How its answers are distributed."""
        batcher.around(self.predictions.watching)
        reference = cast("dict[str, Any]", artifact.provenance.get("reference") or {})
        covered = reference.keys() >= set(artifact.schema.names)
        self.drift = Drift(reference, artifact.schema) if covered else None
        """Compares what is asked with the training data, if the manifest describes them."""
        if self.drift is not None:
            batcher.around(self.drift.watching)
        self._artifact = artifact
        self._explainer: Predictor | None = None
        self.tensors = TensorCodec(artifact.schema, decoder.max_rows, name, self.version, outputs)

    def explain(self, rows: Rows) -> NDArray[np.float32]:
        """Tell what each feature adds to each answer; to be called from one thread, and not from the event loop.

        The first call loads the model once more: the copy that predicts belongs to the event loop.

        Returns:
            float32 of shape (n, outputs, features + 1), as `Predictor.contributions`.

        Raises:
            RequestError: there are too many rows.
        """
        if rows.length > MAX_EXPLAINED_ROWS:
            message = f"{rows.length} rows, the contributions of at most {MAX_EXPLAINED_ROWS} are given in a request"
            raise RequestError(Fault.TOO_MANY_ROWS, message)
        if self._explainer is None:
            self._explainer = Predictor(self._artifact.model, self._artifact.schema)
        return self._explainer.contributions(np.frombuffer(rows.data, np.float32).reshape(rows.length, -1))
