"""A bare XGBoost model file as a model directory of its own, for trying a model that this image did not train.

There is nothing to compare the file with, so nothing is proved about it: the manifest, the schema and the golden
answers are made from the file itself.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import xgboost

from scoring import artifact, golden, leaves, trial
from scoring.contract import Feature, Schema
from scoring.errors import ArtifactError, UserError
from scoring.predictor import Predictor

LABEL = "label"

TREES = ("gbtree", "dart")
"""Boosters whose prediction takes a dense matrix."""

MEMORY_PER_BYTE = 64
"""Address space that a child may take for a byte of a large file: JSON takes the most."""


def tried(file: Path, timeout_s: float) -> artifact.Artifact:
    """Load a model file as `read` does, after a child process has: a damaged one may crash or hang XGBoost.

    Args:
        file: Model file, ``.ubj`` or ``.json``.
        timeout_s: Time for the child.

    Raises:
        UserError: there is no such file, no model of trees in it, or the child died of it.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        try:
            trial.ask((__name__, str(file), str(directory), str(int(timeout_s) + 1)), timeout_s)
        except trial.DiedError as error:
            raise UserError(f"{file}: {error}; is the file damaged?") from None
        except ArtifactError as error:
            raise UserError(str(error)) from None
        return artifact.read(directory)


def read(file: Path) -> artifact.Artifact:
    """Load a model file, ``.ubj`` or ``.json``, of whatever objective.

    Raises:
        UserError: there is no such file, or no model of trees in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        write(file, directory)
        return artifact.read(directory)


def write(file: Path, directory: Path) -> None:
    """Make a model directory of a model file, ``.ubj`` or ``.json``, of whatever objective.

    Features without names are called ``f0``, ``f1`` and so on. A categorical feature is read as a number, the code
    that the model was trained on, because a model file does not hold what the codes mean.

    Raises:
        UserError: there is no such file, or no model of trees in it.
        ArtifactError: the directory already holds something else.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    booster = load(str(file), content)
    names = booster.feature_names or [f"f{place}" for place in range(booster.num_features())]
    booster.feature_names = names
    booster.feature_types = ["q"] * len(names)
    label = next(text for text in (LABEL + "_" * size for size in range(len(names) + 1)) if text not in names)
    schema = Schema(label, tuple(map(Feature, names)))
    origin: dict[str, object] = {"file": file.name, "sha256": hashlib.sha256(content).hexdigest()}
    provenance = artifact.Provenance(hyperparameters={}, seed=0, code_version=None, data=origin, metrics={})
    artifact.write(directory, bytes(booster.save_raw(raw_format="ubj")), schema, {}, provenance)


def load(name: str, content: bytes) -> xgboost.Booster:
    """Load a model of trees, in any format that XGBoost reads.

    Args:
        name: What messages call it.
        content: The file.

    Raises:
        UserError: it is none.
    """
    try:
        booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(content))
    except xgboost.core.XGBoostError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "unknown reason"
        raise UserError(f"{name}: not a model that XGBoost {xgboost.__version__} reads: {reason}") from None
    _check(name, booster)
    return booster


def _check(file: str, booster: xgboost.Booster) -> None:
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind not in TREES:
        raise UserError(f"{file}: booster {kind!r} cannot be served, only {' and '.join(TREES)}")
    trees = leaves.trees(booster)
    if not trees:
        raise UserError(f"{file}: the model holds no tree")
    if int(trees[0]["tree_param"]["size_leaf_vector"]) > 1:
        raise UserError(f"{file}: trees with a vector in each leaf cannot be served; train one tree per output")


def main(file: Path, directory: Path, seconds: int) -> int:
    """Be the child: make a model directory of a file and ask it for its golden answers, as a server does."""
    size = file.stat().st_size if file.is_file() else 0
    trial.confine(seconds, max(trial.MEMORY_BYTES, MEMORY_PER_BYTE * size))
    try:
        write(file, directory)
        found = artifact.read(directory)
        golden.check(Predictor(found.model, found.schema), found.golden)
    except UserError as error:
        sys.stderr.write(str(error))
        return trial.REFUSED
    except OSError as error:
        sys.stderr.write(f"{directory}: {error.strerror}")
        return trial.REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
