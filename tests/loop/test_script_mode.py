"""A model that a script trains as in AWS's XGBoost image: the container's contract, and the whole pipeline around it.

Not AWS's image: what stands for its training toolkit runs the script with the packages of the model image.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle import steps
from sandbox.console import Console
from sandbox.loop import script_mode
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.run import bring_up, tear_down
from settings.model import AlgorithmSpec
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.loop.spec import LoopReport, LoopSpec

pytestmark = pytest.mark.loop

SCRIPT = {
    "version": "3.2-0",
    "source": "tests/support/script_mode",
    "entryPoint": "train.py",
    "hyperparameters": {"trees": "2"},
}
TELLS = """
import json, os, sys
kept = {name: text for name, text in os.environ.items() if name.startswith("SM_")}
told = {"options": sys.argv[1:], "folder": os.getcwd(), "variables": kept}
open(os.environ["SM_MODEL_DIR"] + "/told.json", "w").write(json.dumps(told))
sys.exit(int(os.environ["SM_HP_CODE"]))
"""


def contained(base: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Run a script that tells what it finds, and ends with `code`."""
    configuration: dict[str, dict[str, Any]] = {
        "hyperparameters": {
            "code": str(code),
            "objective": "binary:logistic",
            "sagemaker_program": "tell.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code/sourcedir.tar.gz",
        },
        "inputdataconfig": {"train": {"ContentType": "text/csv"}, "code": {}},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for folder in ("input/config", "input/data/code", "input/data/train", "model"):
        (base / folder).mkdir(parents=True)
    for name, document in configuration.items():
        (base / f"input/config/{name}.json").write_text(json.dumps(document))
    with tarfile.open(base / "input/data/code/sourcedir.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("tell.py")
        member.size = len(TELLS)
        tar.addfile(member, io.BytesIO(TELLS.encode()))
    command = [sys.executable, "-I", script_mode.__file__]
    return subprocess.run(command, cwd=base, capture_output=True, text=True, check=False, timeout=60)


def test_a_script_finds_its_code_its_options_and_where_things_lie(tmp_path: Path) -> None:
    assert contained(tmp_path, 0).returncode == 0
    told = json.loads((tmp_path / "model/told.json").read_text())
    variables = told["variables"]

    assert told["options"] == ["--code", "0", "--objective", "binary:logistic"]
    assert told["folder"] == variables["SM_MODULE_DIR"] == str(tmp_path / "code")
    assert variables["SM_CHANNEL_TRAIN"] == str(tmp_path / "input/data/train")
    assert variables["SM_OUTPUT_DATA_DIR"] == str(tmp_path / "output/data")
    assert json.loads(variables["SM_CHANNELS"]) == ["code", "train"]
    assert json.loads(variables["SM_HPS"]) == {"code": 0, "objective": "binary:logistic"}
    assert json.loads(variables["SM_HOSTS"]) == [variables["SM_CURRENT_HOST"]] == ["algo-1"]
    assert not (tmp_path / "output/failure").exists()


def test_a_script_that_fails_is_told_with_its_exit_code(tmp_path: Path) -> None:
    assert contained(tmp_path, 3).returncode == 3
    assert (tmp_path / "output/failure").read_text() == "ExecuteUserScriptError: tell.py ended with exit code 3"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSpec]:
    folder = tmp_path_factory.mktemp("script")
    model = local_model()
    few = model.training.hyperparameters.model_copy(update={"num_round": 30, "early_stopping_rounds": 10})
    algorithm = AlgorithmSpec.model_validate({"script": SCRIPT})
    training = model.training.model_copy(update={"hyperparameters": few, "algorithm": algorithm})
    model = model.model_copy(update={"training": training})
    spec = loop_spec(model, folder, Path(sys.executable), REPOSITORY / "model_image")
    yield replace(spec, training_months=(1,))
    tear_down(folder, Console(io.StringIO()))


@pytest.fixture(scope="module")
def trained(spec: LoopSpec) -> LoopReport:
    return bring_up(spec, Console(io.StringIO()))


def test_what_a_script_has_learnt_is_judged_registered_and_served_as_any_other_model(
    spec: LoopSpec, trained: LoopReport
) -> None:
    clients = Clients(trained.places["AWS APIs"], spec.region)
    package = steps.describe_package(clients.sagemaker, trained.places["model package"])
    job = clients.sagemaker.describe_training_job(TrainingJobName=package.properties["training-job"])
    log = Path(trained.places["log of the training"]).read_text()

    assert package.version == trained.model_version == 1
    assert package.properties["training-image"] == job["AlgorithmSpecification"].get("TrainingImage")
    assert package.properties["training-image"].endswith("/sagemaker-xgboost:3.2-0")
    assert package.artefact_uri.endswith(f"/{job['TrainingJobName']}/adopted/model.tar.gz")
    assert " rounds\n" in log
    assert trained.metrics["auc"] > spec.model.gate.minimum
    assert trained.holdout.auc > 0.6
    assert trained.holdout.log_loss < trained.holdout.base_rate_log_loss
