"""The model directory: written once by training, verified byte by byte before anything parses it.

XGBoost itself can crash on, or silently mispredict with, a damaged model file, so the reader hands out bytes only
after the manifest, the versions and every checksum agree.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scoring import contract, document
from scoring.contract import Schema
from scoring.errors import ArtifactError, summarize

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.document import Document

MODEL = "model.ubj"
SCHEMA = "schema.json"
EVALUATION = "evaluation.json"
MANIFEST = "manifest.json"
GOLDEN = "golden.npy"
PAYLOAD = (MODEL, SCHEMA, EVALUATION, GOLDEN)
"""What the manifest vouches for; together with the manifest it is all that a model directory holds."""

SHORT_DIGEST = 12
"""Characters of the digest that name a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model comes from; equal provenance means equal bytes."""

    hyperparameters: dict[str, str | int | float]
    seed: int
    code_version: str | None
    data: dict[str, object]
    """Per channel: number of rows, and the part files with their sha256."""
    metrics: dict[str, float]
    """Validation metrics."""
    reference: dict[str, object] = field(default_factory=dict[str, object])
    """Distribution of every feature in the training data, as `reference.describe` gives it."""
    threads: int | None = None
    """Of each host's training, as it was resolved from ``nthread``; None: another program trained the model."""
    hosts: int | None = None
    """That trained together; None as above."""
    libraries: dict[str, str] = field(default_factory=dict[str, str])
    """Versions of Python and of the packages that a training's result passes through, beside XGBoost's own."""

    def to_json(self) -> dict[str, object]:
        """Give the provenance as the manifest holds it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified model."""

    model: bytes
    """XGBoost's UBJSON; its checksum has been verified."""
    schema: Schema
    evaluation: dict[str, object]
    provenance: dict[str, object]
    digest: str
    """sha256 of the manifest, which vouches for every other file: the identity of the model."""
    golden: bytes = b""
    """Rows and their answers at training, for `golden.check`."""

    @property
    def version(self) -> str:
        """A short name of the model."""
        return self.digest[:SHORT_DIGEST]


def write(directory: Path, model: bytes, schema: Schema, evaluation: dict[str, object], provenance: Provenance) -> None:
    """Write a model directory; the manifest comes last, so that a directory cut short is refused.

    Raises:
        ArtifactError: the directory already holds something else.
    """
    from scoring import leaves  # noqa: PLC0415 # XGBoost's package, which a server that only reads need not load

    directory.mkdir(parents=True, exist_ok=True)
    strange = sorted(entry.name for entry in directory.iterdir() if entry.name not in (*PAYLOAD, MANIFEST))
    if strange:
        raise ArtifactError(f"{directory} already holds {', '.join(strange)}; a model directory must be empty at first")
    (directory / MANIFEST).unlink(missing_ok=True)
    contents = {MODEL: model, SCHEMA: document.dump(schema.to_json()), EVALUATION: document.dump(evaluation)}
    contents[GOLDEN] = leaves.make(model, schema)
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    files = {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in contents.items()}
    versions = {"image_contract": contract.IMAGE_CONTRACT, "xgboost_version": contract.XGBOOST_VERSION}
    manifest = document.dump(versions | {"files": files, "provenance": provenance.to_json()})
    (directory / MANIFEST).write_bytes(manifest)


def read(directory: Path, expected_digest: str = "") -> Artifact:
    """Verify a model directory and read it.

    Args:
        directory: The unpacked ``model.tar.gz``.
        expected_digest: sha256 that the manifest must have; empty accepts any.

    Raises:
        ArtifactError: naming the file and the mismatch.
        UserError: a JSON document has a missing, unknown or wrongly typed key.
    """
    if not directory.is_dir():
        raise ArtifactError(f"model directory {directory} does not exist")
    _check_entries(directory)
    manifest_bytes = (directory / MANIFEST).read_bytes()
    digest = _sha256(manifest_bytes)
    if expected_digest and digest != expected_digest:
        raise ArtifactError(f"{MANIFEST}: sha256 is {digest}, expected {expected_digest}")
    manifest = document.parse(MANIFEST, manifest_bytes)
    _check_versions(manifest)
    contents = _verified(directory, manifest.child("files"))
    provenance = manifest.child("provenance").values
    manifest.close()
    schema = Schema.from_json(document.parse(SCHEMA, contents[SCHEMA]))
    evaluation = document.parse(EVALUATION, contents[EVALUATION]).values
    return Artifact(contents[MODEL], schema, evaluation, provenance, digest, contents[GOLDEN])


def around(path: Path) -> Path | None:
    """Give the model directory that a path means: itself, or a model file's folder whose manifest names that file.

    Raises:
        UserError: the folder has a manifest that is no JSON object.
    """
    if path.is_dir():
        return path
    manifest = path.parent / MANIFEST
    if path.name != MODEL or not path.is_file() or not manifest.is_file():
        return None
    files = document.parse(str(manifest), manifest.read_bytes()).values.get("files")
    return path.parent if isinstance(files, dict) and MODEL in files else None


def _check_entries(directory: Path) -> None:
    expected = {*PAYLOAD, MANIFEST}
    entries = {entry.name: entry for entry in directory.iterdir()}
    problems = [f"{name} is missing" for name in sorted(expected - entries.keys())]
    problems += [f"{name} does not belong to a model" for name in sorted(entries.keys() - expected)]
    problems += [
        f"{name} is not a regular file"
        for name in sorted(expected & entries.keys())
        if entries[name].is_symlink() or not entries[name].is_file()
    ]
    if problems:
        raise ArtifactError(summarize([f"model directory {directory}: {problem}" for problem in problems]))


def _check_versions(manifest: Document) -> None:
    found = (manifest.get("image_contract", int), manifest.get("xgboost_version", str))
    ours = (contract.IMAGE_CONTRACT, contract.XGBOOST_VERSION)
    for what, theirs, own in zip(("image contract", "XGBoost"), found, ours, strict=True):
        if theirs != own:
            raise ArtifactError(f"{MANIFEST}: the model is of {what} {theirs}, this image serves {own}; train it again")


def _verified(directory: Path, files: Document) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for name in PAYLOAD:
        record = files.child(name)
        data = (directory / name).read_bytes()
        size, digest = record.get("bytes", int), record.get("sha256", str)
        if len(data) != size:
            raise ArtifactError(f"{name}: {len(data)} bytes, {MANIFEST} says {size}")
        if _sha256(data) != digest:
            raise ArtifactError(f"{name}: its sha256 is not the one in {MANIFEST}; the file was altered or damaged")
        record.close()
        contents[name] = data
    files.close()
    return contents


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
