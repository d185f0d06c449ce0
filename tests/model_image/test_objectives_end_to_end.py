"""Several classes, and numbers: from Parquet and CSV through training, evaluation and champion to served answers."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
import pytest

from components.pipeline_metrics import GROUPS
from lifecycle.evaluation import metric_values
from lifecycle.training_log import REPORTED, metric_definitions
from scoring import artifact, channels, dataset, features, train
from scoring.__main__ import main
from scoring.contract import BINARY, MULTICLASS, REGRESSION
from tests.support import boosters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.loop

PARQUET = {"train": {"ContentType": "application/x-parquet", "TrainingInputMode": "FastFile"}, "validation": {}}
LABELS = {
    BINARY: "(i % 5 + noise > 3)::INT",
    MULTICLASS: "LEAST(floor((i % 5 + noise) / 2)::INT, 2)",
    REGRESSION: "(i % 5) * 2.5 + noise",
}
GATES = {BINARY: ("auc", 0.6), MULTICLASS: ("macro_f1", 0.5), REGRESSION: ("r2", 0.5)}


class Trained(NamedTuple):
    """A finished job."""

    job: Any
    log: str
    objective: str

    @property
    def evaluation(self) -> Any:
        return json.loads((self.job.base / "model/evaluation.json").read_text())


def write(path: Path, kind: str, rows: int, label: str, start: int) -> None:
    """Write rows with a signal in each column, and nulls."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = "(hash(i) % 1000) / 500.0"
    features = (
        f"CASE WHEN i % 11 = 0 THEN NULL ELSE (i % 5) + {noise} / 3 END::DOUBLE AS a, 'k' || (i % 5) AS k, i % 7 AS b"
    )
    query = f"FROM range({start}, {start + rows}) numbers(i) SELECT {features}, {label.replace('noise', noise)} AS y"
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{path}' (FORMAT {kind})")


@pytest.fixture(scope="module", params=[BINARY, MULTICLASS, REGRESSION])
def finished(request: pytest.FixtureRequest, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train twice: the first model is the champion of the second, which has more rounds."""
    objective = str(request.param)
    job = type(trained)(tmp_path_factory.mktemp("objective") / "ml")
    data = job.base / "input/data"
    write(data / "train/p.parquet", "parquet", 1200, LABELS[objective], 0)
    write(data / "validation/p.csv", "csv", 400, LABELS[objective], 5000)
    settings = {"label": "y", "objective": objective, "max_depth": "3", "seed": "3", "nthread": "2", "slices": "k"}
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        job.write_config(settings | {"num_round": "2"}, PARQUET)
        assert main(["train"]) == 0
        (job.base / "model").rename(data / "champion")
        job.write_config(settings | {"num_round": "20"}, PARQUET | {"champion": {}})
        lines: list[str] = []
        patch.setattr(train, "say", lines.append)
        assert main(["train"]) == 0
    signal.signal(signal.SIGTERM, before)
    return Trained(job, "\n".join(lines), objective)


def test_the_metric_definitions_find_every_metric_in_the_log(finished: Trained) -> None:
    values = metric_values(finished.evaluation)
    for name, regex in metric_definitions(finished.objective).items():
        found = re.findall(regex, finished.log, re.MULTILINE)
        assert found, name
        prefix, _, metric = name.partition(":")
        if prefix == "final":
            assert float(found[-1]) == pytest.approx(values[metric], rel=1e-3), name
    losses = [float(text) for text in re.findall(r"validation-\w*(?:loss|rmse)=(\S+)", finished.log)]
    assert losses[-1] < losses[0]


def test_the_gate_reads_the_evaluation_of_every_objective(finished: Trained) -> None:
    metric, minimum = GATES[finished.objective]
    assert finished.evaluation[GROUPS[finished.objective]][metric]["value"] > minimum


def test_the_evaluation_has_slices_and_the_comparison_with_a_weaker_champion(finished: Trained) -> None:
    evaluation = finished.evaluation
    assert REPORTED[finished.objective].group in evaluation
    assert [one["rows"] for one in evaluation["slices"]["k"]] == [80] * 5
    assert ("calibration" in evaluation) == (finished.objective != REGRESSION)
    rival = evaluation["champion"]
    assert len(rival.pop("manifest_sha256")) == 64
    better = [one["difference"] < 0 for name, one in rival.items() if name in {"log_loss", "mae", "mse"}]
    assert better
    assert all(better)
    assert min(one["p_value"] for one in rival.values()) < 0.05


def test_a_champion_of_another_objective_is_refused_before_training(finished: Trained, tmp_path: Path) -> None:
    other = MULTICLASS if finished.objective == REGRESSION else REGRESSION
    job = type(finished.job)(tmp_path / "ml")
    (job.base / "input").mkdir(parents=True)
    (job.base / "input/data").symlink_to(finished.job.base / "input/data")
    job.write_config({"label": "b", "objective": other, "num_round": "2"}, PARQUET | {"champion": {}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        before = signal.getsignal(signal.SIGTERM)
        assert main(["train"]) == 1
        signal.signal(signal.SIGTERM, before)
    assert "the champion was trained with objective" in (job.base / "output/failure").read_text()


def test_served_answers_are_xgboosts_own_to_the_bit(finished: Trained, start: Callable[..., Any]) -> None:
    directory = finished.job.base / "model"
    model = artifact.read(directory)
    part = finished.job.base / "input/data/validation/p.csv"
    rows = features.matrix(dataset.read(channels.Channel("validation", (part,), ())), model.schema)
    expected = boosters.predicted(model.model, model.schema, rows)
    lines = [line.rpartition(",")[0] for line in part.read_text().splitlines()[1:]]
    server = start(directory)
    body = "\n".join(lines).encode()
    _, _, answer = server.request("POST", "/invocations", body, Content_Type="text/csv", Accept="application/json")
    assert np.array(json.loads(answer)["predictions"], dtype=np.float32).tobytes() == expected.tobytes()
    _, _, answer = server.request("POST", "/invocations", body, Content_Type="text/csv")
    cells = [line.split(",") for line in answer.decode().splitlines()]
    assert np.array(cells, dtype=np.float32).tobytes() == expected.tobytes()
    assert expected.shape == ((400, 3) if finished.objective == MULTICLASS else (400,))
    assert np.unique(expected.reshape(400, -1)[:, 0]).size > 5
