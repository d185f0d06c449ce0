"""Checkpoints of a training run: what a restarted job needs to end with the very model that it would have ended with.

A file holds everything of one round and its own checksum, and appears by rename: it is complete, or recognisably not.
Names begin with a digest of the run's identity (data, schema, hyperparameters, versions), so that runs which share
a folder neither use nor remove each other's files.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from scoring import document
from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scoring.document import Document

FORMAT = 1
"""Version of the file layout: sha256 of the rest and a line break, a line of JSON, the model."""

SUFFIX = ".checkpoint"
PARTIAL = ".partial"
DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run after some rounds."""

    model: bytes
    """Every round so far, as XGBoost's UBJSON."""
    history: dict[str, list[float]]
    """Validation metrics by name, one value a round; early stopping is a function of it."""

    @property
    def rounds(self) -> int:
        """Number of finished rounds."""
        return min((len(values) for values in self.history.values()), default=0)


class Store:
    """The checkpoints of one run in a folder."""

    def __init__(self, folder: Path, identity: Mapping[str, object], keep: int, log: Callable[[str], None]) -> None:
        """Open a folder and remove what a killed writer of this run left half written.

        Args:
            folder: Existing folder.
            identity: Flat JSON values on which the model depends; a checkpoint of another identity is not used.
            keep: Number of newest checkpoints to keep, at least 1.
            log: Told about every checkpoint that cannot be used or written.
        """
        self._folder, self._keep, self._log = folder, keep, log
        self._identity = dict(identity)
        self._canonical = document.dump(self._identity)
        self._prefix = hashlib.sha256(self._canonical).hexdigest()[:DIGEST_CHARACTERS]
        for left in folder.glob(f"{self._prefix}-*{PARTIAL}"):
            left.unlink()

    def latest(self) -> Checkpoint | None:
        """Give the newest checkpoint of this run that is intact; damaged ones are skipped and told."""
        own = self._own()
        for path in reversed(own):
            try:
                return self._read(path)
            except UserError as error:
                self._log(f"warning: checkpoint {path.name} is not used: {error}")
        others = sorted(set(self._folder.glob("*" + SUFFIX)) - set(own), key=lambda path: path.stat().st_mtime)
        if others:
            self._log(f"warning: checkpoint {others[-1].name} is not used: {self._difference(others[-1])}")
        return None

    def write(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint and remove the oldest beyond those to keep.

        A disk that takes no checkpoint does not end the training: it is told, and the older ones stay.
        """
        path = self._folder / f"{self._prefix}-{checkpoint.rounds:06d}{SUFFIX}"
        try:
            _write_durably(path, _encode(checkpoint, self._identity))
            for old in self._own()[: -self._keep]:
                old.unlink()
        except OSError as error:
            self._log(f"warning: checkpoint {path.name} could not be written: {error}")

    def _own(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._prefix}-*{SUFFIX}"))

    def _read(self, path: Path) -> Checkpoint:
        head, model = _decode(path)
        if document.dump(head.child("identity").values) != self._canonical:
            raise UserError("it is of another run")
        metrics = head.child("history")
        history = {name: metrics.numbers(name) for name in metrics.values}
        head.close()
        checkpoint = Checkpoint(model, history)
        if not checkpoint.rounds or len({*map(len, history.values())}) != 1:
            raise UserError("its history does not fit its rounds")
        return checkpoint

    def _difference(self, path: Path) -> str:
        """Tell why the checkpoint of another run is not this run's."""
        try:
            theirs = _decode(path)[0].child("identity").values
        except UserError as error:
            return str(error)
        ours = document.parse("identity", self._canonical).values
        names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        return f"it is of another run, which differs in {', '.join(names)}; training starts anew"


def _encode(checkpoint: Checkpoint, identity: dict[str, object]) -> bytes:
    head = {"format": FORMAT, "identity": identity, "history": checkpoint.history}
    body = orjson.dumps(head | {"model_bytes": len(checkpoint.model)}) + b"\n" + checkpoint.model
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _decode(path: Path) -> tuple[Document, bytes]:
    """Read and verify a file.

    Raises:
        UserError: it is damaged, or of another format.
    """
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise UserError(f"it cannot be read: {error}") from None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise UserError("it is damaged: its sha256 is not the one it names")
    line, _, model = body.partition(b"\n")
    head = document.parse("its head", line)
    if (version := head.get("format", int)) != FORMAT:
        raise UserError(f"it has format {version}, this image reads format {FORMAT}")
    if head.get("model_bytes", int) != len(model):
        raise UserError("its model has another length than it names")
    return head, model


def _write_durably(path: Path, data: bytes) -> None:
    """Write a file under another name, flush it to the disk, then rename it.

    Raises:
        OSError: the disk does not take it; nothing is left.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # makes the rename itself durable
    finally:
        os.close(folder)
