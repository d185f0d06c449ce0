"""A model file that this image did not train, whatever its objective."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost

from scoring import served, standalone
from scoring.application import ModelApplication
from scoring.errors import UserError
from scoring.messages import Request, Response
from scoring.predictor import Predictor
from scoring.server import run
from scoring.settings import ServerSettings

if TYPE_CHECKING:
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


def test_a_core_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SLIPWAY_CPU is 4095; this process may use"):
        run(ServerSettings(model_file=str(tmp_path), cpu="4095"))
