"""The layer with the model: the same bytes for the same model, wherever it is made.

Sources: OCI Image Layer Filesystem Changeset, "Creating"; CycloneDX 1.6, component type `machine-learning-model`.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Final

from lifecycle.steps import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_FOLDER: Final = "opt/ml/model"
"""Where the server of the image looks for a model, without the slash at the root."""
BILL: Final = "opt/program/model.cdx.json"
"""Beside the bill of materials of what the image runs."""
LARGEST: Final = 1 << 30
"""Bytes of one file of a model."""


def model_files(archive: bytes) -> dict[str, bytes]:
    """Files of `model.tar.gz` by name.

    Raises:
        LifecycleError: It is damaged, or holds anything but files of moderate size beside one another.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isdir() and name in {"", "."}:
                    continue
                stream = tar.extractfile(member) if member.isreg() and member.size <= LARGEST else None
                if stream is None or "/" in name or name in {"", ".."}:
                    raise LifecycleError(f"model.tar.gz: {member.name!r} does not belong to a model")
                found[name] = stream.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise LifecycleError(f"model.tar.gz cannot be unpacked: {error}") from error
    if not found:
        raise LifecycleError("model.tar.gz is empty")
    return found


def layer(files: Mapping[str, bytes], bill: str) -> bytes:
    """Tar archive of the layer; readable by everybody, writable by nobody, without times and owners."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        contents = {f"{MODEL_FOLDER}/{name}": content for name, content in files.items()} | {BILL: bill.encode()}
        for path in sorted(contents):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(contents[path]), 0o444
            tar.addfile(entry, io.BytesIO(contents[path]))
    return target.getvalue()


def bill_of_materials(name: str, version: int, base: str, lineage: Mapping[str, str]) -> str:
    """What the layer adds to the image, and what it was made from."""
    component = {
        "type": "machine-learning-model",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": str(version),
        "hashes": [{"alg": "SHA-256", "content": lineage["model-sha256"]}],
        "properties": [{"name": f"slipway:{key}", "value": value} for key, value in sorted(lineage.items())],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": base, "name": base}},
        "components": [component],
        "dependencies": [{"ref": base, "dependsOn": [component["bom-ref"]]}],
    }
    return json.dumps(document, indent=1, sort_keys=True)
