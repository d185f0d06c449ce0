from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import artifact, contract
from scoring.errors import ArtifactError, UserError
from scoring.predictor import Predictor


@pytest.fixture
def copy(trained: Any, tmp_path: Path) -> Path:
    return shutil.copytree(trained.base / "model", tmp_path / "model")


def edit_manifest(directory: Path, **changes: object) -> None:
    path = directory / artifact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_untouched_copy_is_the_same_model(copy: Path, model: artifact.Artifact) -> None:
    found = artifact.read(copy, expected_digest=model.digest)
    assert found == model
    assert found.schema.names == ("distance", "carrier", "hour")
    assert found.provenance["code_version"] == "abc123"


@pytest.mark.parametrize("name", artifact.PAYLOAD)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_one_flipped_bit_anywhere_is_refused(
    name: str, data: st.DataObject, trained: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = shutil.copytree(trained.base / "model", tmp_path_factory.mktemp("flip") / "model")
    content = bytearray((directory / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (directory / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name}: its sha256 is not the one in manifest.json"):
        artifact.read(directory)


def test_a_file_cut_short_is_refused_by_its_length(copy: Path) -> None:
    content = (copy / artifact.MODEL).read_bytes()
    (copy / artifact.MODEL).write_bytes(content[:-1])
    with pytest.raises(
        ArtifactError, match=rf"model\.ubj: {len(content) - 1} bytes, manifest\.json says {len(content)}"
    ):
        artifact.read(copy)


def test_everything_that_is_missing_or_foreign_is_listed_together(copy: Path) -> None:
    (copy / artifact.SCHEMA).unlink()
    (copy / artifact.EVALUATION).unlink()
    (copy / artifact.EVALUATION).symlink_to(copy / artifact.MODEL)
    (copy / "inference.py").write_text("")
    with pytest.raises(ArtifactError) as caught:
        artifact.read(copy)
    problems = [line.rpartition(": ")[2] for line in str(caught.value).splitlines()]
    assert problems == [
        "schema.json is missing",
        "inference.py does not belong to a model",
        "evaluation.json is not a regular file",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xgboost_version": "3.1.0"}, r"the model is of XGBoost 3\.1\.0, this image serves 3\.2\.0"),
        ({"image_contract": 1}, r"the model is of image contract 1, this image serves 2"),
        ({"image_contract": True}, r"'image_contract' must be int, found bool"),
        ({"extra": 1}, r"unknown key 'extra'"),
        ({"files": {}}, r"key 'model\.ubj' is missing"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(copy: Path, changes: dict[str, object], message: str) -> None:
    edit_manifest(copy, **changes)
    with pytest.raises(UserError, match=message):
        artifact.read(copy)


def test_a_manifest_with_another_digest_than_demanded_is_refused(copy: Path) -> None:
    with pytest.raises(ArtifactError, match=r"sha256 is \w{64}, expected 00ff"):
        artifact.read(copy, expected_digest="00ff")


@given(data=st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_no_manifest_bytes_end_in_anything_but_a_refusal(
    data: bytes, trained: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = shutil.copytree(trained.base / "model", tmp_path_factory.mktemp("junk") / "model")
    (directory / artifact.MANIFEST).write_bytes(data)
    with pytest.raises(UserError):
        artifact.read(directory)


def test_a_directory_with_other_files_is_not_written_into(tmp_path: Path, model: artifact.Artifact) -> None:
    (tmp_path / "precious.txt").write_text("")
    provenance = artifact.Provenance(hyperparameters={}, seed=0, code_version=None, data={}, metrics={})
    with pytest.raises(ArtifactError, match=r"already holds precious\.txt"):
        artifact.write(tmp_path, model.model, model.schema, {}, provenance)
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious.txt"]


def test_a_schema_that_is_not_the_models_is_refused(model: artifact.Artifact) -> None:
    swapped = contract.Schema(model.schema.label, model.schema.features[::-1])
    with pytest.raises(ArtifactError, match=r"model\.ubj and schema\.json disagree"):
        Predictor(model.model, swapped)


def test_the_image_locks_the_one_xgboost_version() -> None:
    lock = (Path(__file__).parents[2] / "requirements/image.txt").read_text()
    assert f"xgboost-cpu=={contract.XGBOOST_VERSION} " in lock
