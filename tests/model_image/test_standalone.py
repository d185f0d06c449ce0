"""A model file that this image did not train, whatever its objective."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost

from scoring import artifact, served, standalone
from scoring.application import ModelApplication
from scoring.errors import ArtifactError, UserError
from scoring.messages import Request, Response
from scoring.predictor import Predictor
from scoring.server import run
from scoring.settings import ServerSettings
from tests.support.servers import NOT_IN_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

OBJECTIVES: dict[str, dict[str, Any]] = {
    "binary:logistic": {},
    "reg:squarederror": {},
    "count:poisson": {},
    "multi:softprob": {"num_class": 3},
    "multi:softmax": {"num_class": 3},
    "rank:pairwise": {},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3},
    "targets": {"objective": "reg:squarederror"},
}


def rows(count: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(2)
    values = draw.normal(size=(count, 4)).astype(np.float32)
    values[draw.random(values.shape) < 0.1] = np.nan
    return values


def write(path: Path, name: str, **options: Any) -> Path:
    known = rows(400)
    labels: NDArray[Any] = np.arange(400) % (3 if "multi:" in name else 2)
    if name == "targets":
        labels = np.column_stack([labels, np.nansum(known, axis=1)])
    shape = {} if "booster" in options else {"max_depth": 3}
    params = {"objective": name, "nthread": 1, "seed": 1} | shape | OBJECTIVES.get(name, {}) | options
    data = xgboost.DMatrix(known, labels, qid=np.arange(400) // 20 if name.startswith("rank") else None)
    xgboost.train(params, data, 7).save_model(path)
    return path


@pytest.mark.parametrize("suffix", [".ubj", ".json"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_answers_are_xgboosts_own_to_the_bit_for_every_objective(tmp_path: Path, name: str, suffix: str) -> None:
    path = write(tmp_path / f"m{suffix}", name)
    found = standalone.read(path)
    asked = rows(300)
    expected = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(asked))
    assert Predictor(found.model, found.schema).predict(asked).tobytes() == expected.tobytes()
    assert found.schema.names == ("f0", "f1", "f2", "f3")
    assert standalone.read(path).digest == found.digest


def test_several_outputs_are_a_line_an_array_or_a_matrix(tmp_path: Path) -> None:
    path = write(tmp_path / "m.ubj", "multi:softprob")
    turns: list[Any] = []
    application = ModelApplication(ServerSettings())
    application.use(served.load(standalone.read(path), ServerSettings(), turns.append, application.metrics.predicted))
    expected = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(rows(2))).tolist()
    instances = [[None if np.isnan(cell) else float(cell) for cell in row] for row in rows(2)]

    def ask(target: bytes, body: object, accept: bytes = b"") -> Response:
        answers: list[Response] = []
        ask = Request(b"POST", target, b"application/json", accept, json.dumps(body).encode(), 0.0)
        application.handle(ask, answers.append)
        while turns:
            turns.pop()()
        return answers[0]

    def close(found: Any) -> bool:
        return np.array(found, np.float32).tobytes() == np.array(expected, np.float32).tobytes()

    assert close(json.loads(ask(b"/invocations", {"instances": instances}).body)["predictions"])
    lines = ask(b"/invocations", {"instances": instances}, b"text/csv").body.decode().splitlines()
    assert close([line.split(",") for line in lines])
    data = [cell for row in instances for cell in row]
    infer = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 4], "data": data}]}
    output = json.loads(ask(b"/v2/models/model/infer", infer).body)["outputs"][0]
    assert output["shape"] == [2, 3]
    assert close(np.reshape(output["data"], (2, 3)))
    binary = ask(b"/v2/models/model/infer", infer | {"parameters": {"binary_data_output": True}})
    assert close(struct.unpack("<6f", binary.body[-24:]))


def test_a_categorical_feature_is_read_as_its_code(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    known = np.column_stack([draw.normal(size=500), draw.integers(0, 9, 500)]).astype(np.float32)
    labels = (known[:, 1] % 3 == 1).astype(np.float32)
    data = xgboost.DMatrix(
        known, labels, feature_names=["a", "label"], feature_types=["q", "c"], enable_categorical=True
    )
    path = tmp_path / "m.ubj"
    xgboost.train({"max_depth": 4, "nthread": 1, "max_cat_to_onehot": 1}, data, 5).save_model(path)
    found = standalone.read(path)
    expected = xgboost.Booster(model_file=path).inplace_predict(known, validate_features=False)
    assert Predictor(found.model, found.schema).predict(known).tobytes() == np.asarray(expected).tobytes()
    assert (found.schema.names, found.schema.label) == (("a", "label"), "label_")


def test_what_is_no_servable_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        standalone.read(tmp_path / "none.ubj")
    junk = tmp_path / "junk.json"
    junk.write_text("junk")
    with pytest.raises(UserError, match=r"junk\.json: not a model that XGBoost"):
        standalone.read(junk)
    with pytest.raises(UserError, match="booster 'gblinear' cannot be served, only gbtree and dart"):
        standalone.read(write(tmp_path / "l.ubj", "reg:squarederror", booster="gblinear"))
    with pytest.raises(UserError, match="trees with a vector in each leaf"):
        standalone.read(write(tmp_path / "v.ubj", "targets", multi_strategy="multi_output_tree"))


@pytest.mark.loop
def test_the_command_serves_a_file_on_one_core_and_says_that_the_manifest_is_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", "reg:squarederror")
    command = [sys.executable, "-m", "scoring", "serve", "--model", str(path), "--port", "0"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(standalone.__file__).parents[1]), "SLIPWAY_DRAIN_S": "0"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline().startswith("serving model ")
            assert "m.json has no manifest; generated one with sha256 " in process.stderr.readline()
            assert os.sched_getaffinity(process.pid) == {min(os.sched_getaffinity(0))}
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.loop
@pytest.mark.parametrize("inside", ["", artifact.MODEL])
def test_a_directory_or_the_file_that_its_manifest_names_is_served_with_its_own_schema(
    start: Callable[..., Any], trained: Any, model: artifact.Artifact, inside: str
) -> None:
    server = start(None, SLIPWAY_MODEL_FILE=str(trained.base / "model" / inside))
    status, _, body = server.request("POST", "/invocations", b"812.5,AA,7", content_type="text/csv")
    assert (status, model.digest in server.request("GET", "/version")[2].decode()) == (200, True), body
    assert len(os.sched_getaffinity(server.process.pid)) == 1


@pytest.mark.loop
def test_an_altered_file_beside_its_manifest_is_refused(trained: Any, tmp_path: Path) -> None:
    directory = shutil.copytree(trained.base / "model", tmp_path / "model")
    file = write(directory / artifact.MODEL, "reg:squarederror")
    with pytest.raises(ArtifactError, match=r"model\.ubj: .* manifest\.json"):
        run(ServerSettings(model_file=str(file)))


def test_a_manifest_that_names_no_such_file_is_not_of_the_model(tmp_path: Path) -> None:
    file = write(tmp_path / artifact.MODEL, "reg:squarederror")
    assert artifact.around(file) is None
    manifest = tmp_path / artifact.MANIFEST
    manifest.write_text('{"name": "a web application"}')
    assert artifact.around(file) is None
    assert artifact.around(tmp_path) == tmp_path
    manifest.write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json: not valid JSON"):
        artifact.around(file)


def damaged(folder: Path, case: str) -> Path:
    """Give a model file that was cut short, with one bit flipped, or with nodes where none may be."""
    whole = write(folder / "whole.ubj", "binary:logistic").read_bytes()
    if case == "half":
        (folder / "m.ubj").write_bytes(whole[: len(whole) // 2])
        return folder / "m.ubj"
    if case.isdecimal():
        draw = np.random.default_rng(int(case))
        place, bit = int(draw.integers(len(whole))), int(draw.integers(8))
        (folder / "m.ubj").write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        return folder / "m.ubj"
    document = json.loads(write(folder / "m.json", "binary:logistic").read_bytes())
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"][1 if case == "circle" else 0] = 0 if case == "circle" else 10**8
    (folder / "m.json").write_text(json.dumps(document))
    return folder / "m.json"


def tried(file: Path, monkeypatch: pytest.MonkeyPatch, timeout_s: float = 30) -> str:
    """Give the reason why a file is refused, or nothing."""
    monkeypatch.setenv("PYTHONPATH", f"{NOT_IN_IMAGE}{os.pathsep}{Path(standalone.__file__).parents[1]}")
    try:
        standalone.tried(file, timeout_s)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.loop
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("half", "not a model that XGBoost"),
        ("circle", "within 3 s (SLIPWAY_TRIAL_TIMEOUT_S) in a trial process; is the file damaged?"),
        ("outside", "a trial process that loaded the model ended with status 1; is the file damaged?"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, reason: str
) -> None:
    said = tried(damaged(tmp_path, case), monkeypatch, 3 if case == "circle" else 30)
    assert said.startswith(str(tmp_path / "m."))
    assert reason in said
    assert "\n" not in said


@pytest.mark.loop
def test_flipped_bits_end_no_server_that_tries_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [tried(damaged(tmp_path, seed), monkeypatch) for seed in ("7", "9", "24")]
    assert any("ended by signal 11" in reason for reason in said), "none of these crashes this XGBoost: find others"
    assert all(reason.startswith(str(tmp_path / "m.ubj")) for reason in said if reason)


@pytest.mark.loop
def test_the_command_ends_with_one_sentence_on_a_damaged_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scoring", "serve", "--model", str(damaged(tmp_path, "outside")), "--port", "0"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(standalone.__file__).parents[1])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert "is the file damaged?" in line
    assert "Traceback" not in line


def test_a_core_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SLIPWAY_CPU is 4095; this process may use"):
        run(ServerSettings(model_file=str(tmp_path), cpu="4095"))
