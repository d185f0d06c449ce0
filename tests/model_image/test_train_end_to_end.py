from __future__ import annotations

import json
import os
import platform
import re
import signal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import xgboost

from scoring import artifact, channels, contract, dataset, evaluate, features, targets
from scoring.__main__ import main
from scoring.predictor import Predictor
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Here = Callable[[Any], "Outcome"]

pytestmark = pytest.mark.loop


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Train in this process: the same command line, without the seconds that a new process takes to import."""
    before = signal.getsignal(signal.SIGTERM)

    def train(job: Any) -> Outcome:
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        code = main(["train"])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    yield train
    signal.signal(signal.SIGTERM, before)


def test_a_second_run_gives_the_same_bytes_in_every_file(trained: Any, job: Any) -> None:
    assert job.train() == (0, "")
    names = (*artifact.PAYLOAD, artifact.MANIFEST)
    for name in names:
        assert (job.base / "model" / name).read_bytes() == (trained.base / "model" / name).read_bytes(), name


def test_another_seed_gives_another_model(here: Here, trained: Any, job: Any) -> None:
    written = json.loads((job.base / "input/config/hyperparameters.json").read_text())
    job.write_config(written | {"seed": "4", "subsample": "0.5"})
    assert here(job).code == 0
    ours, theirs = (base / "model/model.ubj" for base in (job.base, trained.base))
    assert ours.read_bytes() != theirs.read_bytes()


def test_progress_lines_carry_the_metrics_in_a_fixed_form(here: Here, job: Any) -> None:
    result = here(job)
    progress = re.findall(
        r"^\[(\d+)\] validation-auc=(0\.\d{4}) validation-logloss=(\d\.\d{4})$", result.out, re.MULTILINE
    )
    rounds = [int(number) for number, _, _ in progress]
    assert rounds[0] == 0
    assert {0, 10} <= set(rounds), "every tenth round at least; more where a round takes long"
    final = re.search(r"^final-auc=(0\.\d{4}) final-log_loss=(\d\.\d{4})", result.out, re.MULTILINE)
    assert final
    evaluation = json.loads((job.base / "output/data/evaluation.json").read_text())
    assert f"{evaluation['binary_classification_metrics']['auc']['value']:.4f}" == final[1]
    assert float(final[1]) > 0.6
    assert not (job.base / "output/failure").exists()


def test_the_manifest_says_where_the_model_comes_from(trained: Any, model: artifact.Artifact) -> None:
    manifest = json.loads((trained.base / "model/manifest.json").read_text())
    provenance = manifest["provenance"]
    assert manifest["xgboost_version"] == contract.XGBOOST_VERSION
    assert provenance["hyperparameters"]["max_depth"] == 3
    assert (provenance["threads"], provenance["hosts"]) == (2, 1)
    assert provenance["libraries"] == {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "treelite": version("treelite"),
    }
    assert provenance["data"]["train"]["rows"] == 1500
    assert [part["name"] for part in provenance["data"]["train"]["parts"]] == ["part-0.csv", "part-1.csv"]
    assert 0.6 < provenance["metrics"]["auc"] < 1
    assert model.schema.features[1].categories == ("AA", 'B "B"', "C,C", "dé")
    copies = [trained.base / folder / "evaluation.json" for folder in ("model", "output/data")]
    assert copies[0].read_bytes() == copies[1].read_bytes()


def test_the_manifest_says_how_many_threads_a_run_took_by_itself(here: Here, job: Any) -> None:
    written = json.loads((job.base / "input/config/hyperparameters.json").read_text())
    job.write_config(written | {"nthread": "0", "num_round": "2"})
    assert here(job).code == 0
    provenance = artifact.read(job.base / "model").provenance
    assert provenance["threads"] == len(os.sched_getaffinity(0))


def test_early_stopping_leaves_only_the_best_rounds_in_the_model(here: Here, job: Any) -> None:
    written = json.loads((job.base / "input/config/hyperparameters.json").read_text())
    job.write_config(written | {"num_round": "200", "eta": "1", "early_stopping_rounds": "5"})
    result = here(job)
    rounds = [int(number) for number in re.findall(r"^\[(\d+)\]", result.out, re.MULTILINE)]
    booster = xgboost.Booster(model_file=bytearray((job.base / "model/model.ubj").read_bytes()))
    assert booster.num_boosted_rounds() == rounds[-1] + 1 - 5


@pytest.mark.parametrize(
    ("hyperparameters", "channels", "found"),
    [
        ({"label": "late", "etta": "1"}, None, ["'etta' is unknown; did you mean 'eta'?"]),
        ({"label": "lat"}, None, ["no label column 'lat'; did you mean 'late'?"]),
        (
            {"label": "late"},
            {"train": {}, "valid": {}},
            ["channel 'validation' is not configured", "channel 'valid' is not used"],
        ),
        (
            {"label": "late"},
            {"train": {"TrainingInputMode": "Pipe"}, "validation": {}},
            ["TrainingInputMode is 'Pipe'"],
        ),
    ],
)
def test_a_users_mistake_exits_one_with_one_clear_text_and_no_traceback(
    here: Here, job: Any, hyperparameters: dict[str, str], channels: dict[str, object] | None, found: list[str]
) -> None:
    job.write_config(hyperparameters, channels)
    result = here(job)
    failure = (job.base / "output/failure").read_text()
    assert result.code == 1
    assert failure.startswith("UserError: ")
    assert len(failure) <= 1024
    assert all(text in failure for text in found)
    assert "Traceback" not in result.err
    assert not (job.base / "model").exists()


def test_bad_data_is_named_by_file_line_and_column(here: Here, job: Any) -> None:
    validation = job.base / "input/data/validation/part.csv"
    lines = validation.read_text().splitlines()
    lines[7] = lines[7].rpartition(",")[0] + ",maybe"
    validation.write_text("\n".join(lines) + "\n")
    assert here(job).code == 1
    failure = (job.base / "output/failure").read_text()
    assert failure == "UserError: validation/part.csv line 8, column 'late': expected 0 or 1, found 'maybe'"


def test_a_model_that_cannot_be_written_is_the_platforms_failure(here: Here, job: Any, tmp_path: Path) -> None:
    (job.base / "model").symlink_to(tmp_path / "missing" / "parent")
    result = here(job)
    assert result.code == 3
    assert (job.base / "output/failure").read_text().startswith("PlatformError: ")


def test_the_evaluation_is_of_the_model_that_was_written(trained: Any, model: artifact.Artifact) -> None:
    part = trained.base / "input/data/validation/part.csv"
    table = dataset.read(channels.Channel("validation", (part,), ()))
    labels = targets.Target("late", contract.BINARY, 2).labels(table)
    probabilities = Predictor(model.model, model.schema).predict(features.matrix(table, model.schema))
    assert np.unique(probabilities).size > 20
    expected = evaluate.evaluate(TASKS[contract.BINARY], labels, probabilities, seed=3)
    assert {name: model.evaluation[name] for name in expected} == expected
    assert model.evaluation["evaluated_channel"] == "validation"


def test_a_stop_signal_ends_training_as_the_platforms_doing_and_leaves_no_model(job: Any) -> None:
    job.write_config({"label": "late", "num_round": "10000", "early_stopping_rounds": "0"})
    with job.start() as process:
        assert any(line.startswith("[0]") for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 3
    assert (job.base / "output/failure").read_text().startswith("PlatformError: stopped by SIGTERM")
    assert not (job.base / "model").exists()
