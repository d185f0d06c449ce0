"""The model in production, given to a training job as the channel ``champion``, judged on the same rows as the new one.

The channel holds what an earlier job of this image wrote: ``model.tar.gz``, or the files of the model directory.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scoring import artifact, compare, features, libsvm
from scoring.contract import MULTICLASS
from scoring.document import Document
from scoring.errors import UserError, summarize
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from scoring.artifact import Artifact
    from scoring.dataset import Table
    from scoring.hyperparameters import Hyperparameters
    from scoring.tasks import Task

ARCHIVE = "model.tar.gz"
FILES = frozenset({*artifact.PAYLOAD, artifact.MANIFEST})
LARGEST_FILE = 1 << 30
"""Bytes of one file of the archive."""


@dataclass(frozen=True, slots=True)
class Champion:
    """A verified model and the rows on which the new model is judged."""

    model: Artifact
    rows: NDArray[np.float32]
    """In the champion's own encoding, shape (rows, its features)."""

    def against(
        self, task: Task, labels: NDArray[np.float32], challenger: NDArray[np.float32], seed: int
    ) -> dict[str, object]:
        """Compare the new model with this one; the result is a part of ``evaluation.json``.

        Args:
            task: What both have learnt.
            labels: Shape (rows,).
            challenger: The new model's predictions for the same rows.
            seed: Decides the bootstrap's samples.
        """
        predictions = Predictor(self.model.model, self.model.schema).predict(self.rows)
        return {"manifest_sha256": self.model.digest, **compare.compare(task, labels, predictions, challenger, seed)}


def load(folder: Path, scratch: Path, table: Table, settings: Hyperparameters) -> Champion:
    """Read and verify the champion and encode the rows for it; XGBoost is not called.

    Args:
        folder: The channel.
        scratch: Folder in which the archive may be unpacked for a moment.
        table: Rows to judge by; it needs the champion's features, and may have more columns.
        settings: Of the new model; both must have learnt the same, but for a number of classes that is left to be
            counted.

    Raises:
        UserError: the channel holds no model that this image can read, or one that cannot be compared.
    """
    try:
        model = read(folder, scratch)
    except UserError as error:
        raise UserError(f"channel {folder.name!r}: {error}") from None
    table = libsvm.fit(table, model.schema.names, settings.label)
    problems = [
        f"the champion was trained with {name} {theirs!r}, this job with {ours!r}; remove the channel {folder.name!r}"
        for name, theirs, ours in _differences(model, settings)
    ]
    problems += [
        f"channel {table.channel!r} lacks column {name!r}, which the champion reads; remove the channel {folder.name!r}"
        for name in model.schema.names
        if name not in table.columns
    ]
    if problems:
        raise UserError(summarize(problems))
    return Champion(model, features.matrix(table, model.schema))


def read(folder: Path, scratch: Path) -> Artifact:
    """Read and verify a model, unpacking its archive for a moment.

    Raises:
        UserError: the folder holds no model that this image can read.
    """
    with _directory(folder, scratch) as directory:
        return artifact.read(directory)


def _differences(model: Artifact, settings: Hyperparameters) -> list[tuple[str, object, object]]:
    theirs = Document(artifact.MANIFEST, model.provenance["hyperparameters"]).values
    counted = settings.objective == MULTICLASS and not settings.num_class
    names = ("objective",) if counted else ("objective", "num_class")
    pairs = [(name, theirs.get(name), getattr(settings, name)) for name in names]
    return [(name, old, new) for name, old, new in pairs if (old or 0) != new]  # older jobs have no num_class


@contextmanager
def _directory(folder: Path, scratch: Path) -> Generator[Path]:
    archive = folder / ARCHIVE
    if not archive.is_file():
        yield folder
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as name:
        _unpack(archive, Path(name))
        yield Path(name)


def _unpack(archive: Path, target: Path) -> None:
    """Unpack a model's files and nothing else; names, kinds and sizes are checked before a byte is written."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isdir() and name in {"", "."}:
                    continue
                if name not in FILES or not member.isreg() or member.size > LARGEST_FILE:
                    raise UserError(f"{ARCHIVE}: {member.name!r} does not belong to a model")
                stream = tar.extractfile(member)
                (target / name).write_bytes(stream.read() if stream else b"")
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{ARCHIVE}: cannot be unpacked: {error}") from None
