"""Models of other algorithms: they learn from numbers, and what they leave becomes a model of this image."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost

from processing.__main__ import main
from processing.tables import read
from scoring import artifact, champion, evaluate, features
from scoring.channels import Format
from scoring.predictor import Predictor
from scoring.targets import Target
from scoring.tasks import TASKS
from tests.support.jobs import flights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BINARY = {"objective": "binary:logistic"}
LEARNT = ["--label", "late", "--objective", "binary:logistic", "--format", "csv"]
LIMITS = {
    "minimum-rows": 10,
    "missing-gain": 1,
    "smallest-part": 0,
    "label-shift": 1,
    "column-shift": 1,
    "test-share": 0.5,
    "repeat-gain": 1,
    "column-auc": 1,
}
CHECK = ["check", *LEARNT, "--numbers", *(f"--{name}={value}" for name, value in LIMITS.items())]
ADOPT = ["adopt", *LEARNT, "--hyperparameter=num_round=8", "--hyperparameter=seed=3", "--also=rate_drop=0.5"]
EVALUATE = ["evaluate", *LEARNT, "--num-class", "0", "--seed", "3"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a processing job; what an earlier one has checked and dealt out are its inputs."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    for seed, name in enumerate(("train", "validation")):
        folder = tmp_path / "processing/input" / name
        folder.mkdir(parents=True)
        (folder / "1.csv").write_text(flights(400, seed))
    assert main(CHECK) == 0
    shutil.rmtree(tmp_path / "processing/input")
    shutil.copytree(tmp_path / "processing/output", tmp_path / "processing/input")
    return tmp_path / "processing"


def numbers(job: Path, channel: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.genfromtxt(job / f"output/numbers-{channel}/numbers", delimiter=",", dtype=np.float32)


def trained(job: Path, width: int | None = None, **parameters: object) -> xgboost.Booster:
    """What another algorithm learns from the numbers, or from some of their columns."""
    rows = numbers(job, "train")
    matrix = xgboost.DMatrix(rows[:, 1 : None if width is None else width + 1], rows[:, 0])
    return xgboost.train({**BINARY, "nthread": 1, "max_depth": 3, **parameters}, matrix, num_boost_round=8)


def give(job: Path, files: Mapping[str, bytes]) -> None:
    """Put a model archive where the job finds it."""
    archive = job / "input/model/model.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(archive, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def raw(booster: xgboost.Booster, form: str = "ubj") -> bytes:
    return bytes(booster.save_raw(raw_format=form))


def test_xgboost_reads_the_numbers_as_the_matrix_that_this_image_would_build(job: Path) -> None:
    uri = f"{job}/output/numbers-train/numbers?format=csv&label_column=0&delimiter=,"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the way in which AWS's image reads CSV; XGBoost would have it otherwise
        found = xgboost.DMatrix(uri)
    table = read("train", job / "input/train", Format.CSV, "late")
    expected = features.matrix(table, features.infer_schema(table, "late"))
    missing = np.isnan(expected)

    assert 0 < missing.sum() < expected.size
    assert np.array_equal(numbers(job, "train")[:, 1:], expected, equal_nan=True)
    assert found.num_nonmissing() == (~missing).sum()
    stored: Any = found.get_data()
    assert np.array_equal(stored.toarray(), np.where(missing, 0, expected))
    assert np.array_equal(found.get_label(), numbers(job, "train")[:, 0])


@pytest.mark.parametrize(("name", "form"), [("xgboost-model", "ubj"), ("model.json", "json"), ("./model.ubj", "ubj")])
def test_what_an_algorithm_left_is_served_and_judged_as_a_model_of_this_image(job: Path, name: str, form: str) -> None:
    booster = trained(job)
    give(job, {name: raw(booster, form), "notes.txt": b"left alone"})

    assert main(ADOPT) == 0
    (job / "output/model/model.tar.gz").replace(job / "input/model/model.tar.gz")
    assert main(EVALUATE) == 0

    model = champion.read(job / "input/model", job / "scratch")
    rows = np.ascontiguousarray(numbers(job, "validation")[:, 1:])
    answers = booster.inplace_predict(rows)
    served = Predictor(model.model, model.schema)
    assert np.array_equal(served.predict(rows), answers)
    assert np.array_equal(served.predict(rows[:3]), answers[:3])
    judged: Any = json.loads((job / "output/report/evaluation.json").read_text())
    assert judged["lineage"]["manifest_sha256"] == model.digest
    table = read("test", job / "input/test", Format.CSV, "late")
    labels = Target("late", "binary:logistic", 2).labels(table)
    asked = booster.inplace_predict(features.matrix(table, model.schema))
    found: Any = evaluate.evaluate(TASKS["binary:logistic"], labels, asked, 3)
    assert judged["binary_classification_metrics"] == found["binary_classification_metrics"]


def test_a_model_tells_what_it_was_told_and_what_its_data_were(job: Path) -> None:
    give(job, {"xgboost-model": raw(trained(job))})
    assert main(ADOPT) == 0
    model = champion.read(job / "output/model", job / "scratch")
    provenance: Any = model.provenance
    assert (
        provenance["hyperparameters"] | {"rate_drop": "0.5", "num_round": 8, "label": "late"}
        == provenance["hyperparameters"]
    )
    assert provenance["data"]["train"]["rows"] == 400
    assert provenance["reference"]
    assert (provenance["threads"], provenance["hosts"]) == (None, None), "only the trainer knows"
    assert [feature.name for feature in model.schema.features] == ["distance", "carrier", "hour"]


REFUSED: dict[str, Callable[[Path], dict[str, bytes]]] = {
    "found none": lambda _: {"model.bin": b"x"},
    "found xgboost-model, model.ubj": lambda job: dict.fromkeys(("xgboost-model", "model.ubj"), raw(trained(job))),
    "xgboost-model: not a model that XGBoost": lambda _: {"xgboost-model": b"binf of an old version"},
    "has to be of 'binary:logistic'": lambda job: {"model.ubj": raw(trained(job, objective="binary:logitraw"))},
    "reads 2 features, the data have 3": lambda job: {"model.ubj": raw(trained(job, width=2))},
    "cannot be served": lambda job: {"model.ubj": raw(trained(job, booster="gblinear", verbosity=0))},
}
"""What a job left, by the reason for which it is refused."""


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_served_is_refused_with_the_reason(
    job: Path, capfd: pytest.CaptureFixture[str], message: str
) -> None:
    give(job, REFUSED[message](job))

    assert main(ADOPT) != 0
    assert message in capfd.readouterr().err
    assert message in (job.parent / "output/message").read_text()
    assert not (job / "output/model" / artifact.MODEL).exists()


def test_the_numbers_are_no_part_of_the_files_that_came(job: Path) -> None:
    prefixes = [f"{job}/output/{name}" for name in ("train", "validation", "test")]
    written = [str(path) for path in (job / "output").glob("numbers-*/*")]
    assert len(written) == 2
    assert not [path for path in written if path.startswith(tuple(prefixes)) or path.endswith((".csv", ".parquet"))]
