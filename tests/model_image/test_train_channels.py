"""What the optional channels and the modes of a channel change."""

from __future__ import annotations

import json
import shutil
import signal
import tarfile
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pytest

from scoring import artifact
from scoring.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Here = Callable[[Any], "Outcome"]


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Train in this process, without the seconds that a new one takes to import."""
    before = signal.getsignal(signal.SIGTERM)

    def train(job: Any) -> Outcome:
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        code = main(["train"])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    yield train
    signal.signal(signal.SIGTERM, before)


def configure(job: Any, channels: dict[str, object], **changes: str) -> None:
    written = json.loads((job.base / "input/config/hyperparameters.json").read_text())
    job.write_config(written | changes, {"train": {}, "validation": {}} | channels)


def evaluation(job: Any) -> Any:
    return json.loads((job.base / "model/evaluation.json").read_text())


def give_test_rows(job: Any) -> None:
    rows = (job.base / "input/data/train/part-1.csv").read_text()
    job.write_channel("test", rows=rows)


def give_champion(job: Any, trained: Any) -> Path:
    folder = job.base / "input/data/champion"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        tar.add(trained.base / "model", ".")
    return folder / "model.tar.gz"


def test_fast_file_mode_gives_the_same_model_as_file_mode(here: Here, job: Any, trained: Any) -> None:
    fast = {"TrainingInputMode": "FastFile", "S3DistributionType": "FullyReplicated", "ContentType": "text/csv"}
    configure(job, {"train": fast, "validation": fast})
    assert here(job).code == 0
    for name in artifact.PAYLOAD:
        assert (job.base / "model" / name).read_bytes() == (trained.base / "model" / name).read_bytes(), name


def test_the_final_metrics_are_of_the_test_channel_and_the_model_is_the_same(
    here: Here, job: Any, trained: Any
) -> None:
    give_test_rows(job)
    configure(job, {"test": {}}, slices="carrier")
    outcome = here(job)
    assert outcome.code == 0, outcome.err
    assert "read 1500 + 500 + 600 rows" in outcome.out
    ours, theirs = evaluation(job), evaluation(trained)
    assert (ours["evaluated_channel"], theirs["evaluated_channel"]) == ("test", "validation")
    assert ours["binary_classification_metrics"] != theirs["binary_classification_metrics"]
    assert sum(one["rows"] for one in ours["slices"]["carrier"]) == 600
    models = [(one.base / "model/model.ubj").read_bytes() for one in (job, trained)]
    assert models[0] == models[1]
    data: Any = artifact.read(job.base / "model").provenance["data"]
    assert data["test"]["rows"] == 600


def test_a_champion_is_compared_on_the_same_rows(here: Here, job: Any, trained: Any) -> None:
    give_test_rows(job)
    give_champion(job, trained)
    configure(job, {"test": {}, "champion": {}}, num_round="3")
    outcome = here(job)
    assert outcome.code == 0, outcome.err
    found = evaluation(job)["champion"]
    assert found["manifest_sha256"] == artifact.read(trained.base / "model").digest
    assert found["auc"]["challenger"] == evaluation(job)["binary_classification_metrics"]["auc"]["value"]
    assert found["auc"]["difference"] < 0
    assert found["log_loss"]["p_value"] < 0.05
    assert not [*(job.base / "output").glob("tmp*")]


def test_a_champion_that_is_the_same_model_does_not_differ(here: Here, job: Any, trained: Any) -> None:
    shutil.copytree(trained.base / "model", job.base / "input/data/champion")
    configure(job, {"champion": {}})
    assert here(job).code == 0
    found = evaluation(job)["champion"]
    assert (found["auc"]["difference"], found["auc"]["p_value"], found["log_loss"]["p_value"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../model.ubj"], "'../model.ubj' does not belong to a model"),
        (["model.ubj"], "manifest.json is missing"),
        ([], "cannot be unpacked"),
    ],
)
def test_a_champion_that_is_no_model_is_refused_before_training(
    here: Here, job: Any, trained: Any, names: list[str], message: str
) -> None:
    archive = give_champion(job, trained)
    if names:
        with tarfile.open(archive, "w:gz") as tar:
            for name in names:
                tar.add(trained.base / "model/model.ubj", name)
    else:
        archive.write_bytes(archive.read_bytes()[:500])
    configure(job, {"champion": {}})
    outcome = here(job)
    assert outcome.code == 1
    assert outcome.err.startswith("UserError: channel 'champion': ")
    assert message in outcome.err
    assert "validation-auc" not in outcome.out


def test_only_training_data_may_be_sharded(here: Here, job: Any) -> None:
    sharded = {"S3DistributionType": "ShardedByS3Key"}
    configure(job, {"train": sharded, "validation": sharded})
    outcome = here(job)
    assert outcome.code == 1
    assert "channel 'validation': S3DistributionType is 'ShardedByS3Key'; only 'train' may be sharded" in outcome.err
    assert "channel 'train'" not in outcome.err


def test_class_weights_are_recorded_and_exclude_each_other(here: Here, job: Any, trained: Any) -> None:
    configure(job, {}, class_weight="balanced", scale_pos_weight="3")
    outcome = here(job)
    assert outcome.code == 1
    assert "'scale_pos_weight' and 'class_weight' exclude each other" in outcome.err
    job.write_config({"label": "late", "num_round": "12", "max_depth": "3", "seed": "3", "class_weight": "balanced"})
    assert here(job).code == 0
    balanced, plain = (evaluation(one)["binary_classification_metrics"]["recall"]["value"] for one in (job, trained))
    assert balanced < plain  # ones are the larger class here
    chosen: Any = artifact.read(job.base / "model").provenance["hyperparameters"]
    assert chosen["class_weight"] == "balanced"


def test_a_host_that_its_configuration_does_not_name_is_refused(here: Here, job: Any) -> None:
    config = job.base / "input/config/resourceconfig.json"
    config.write_text(json.dumps({"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]}))
    outcome = here(job)
    assert outcome.code == 1
    assert "current_host 'algo-3' must be one of the hosts algo-1, algo-2" in outcome.err


def test_settings_of_the_collective_are_checked_all_at_once(
    here: Here, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_COLLECTIVE_PORT", "70000")
    monkeypatch.setenv("SLIPWAY_COLLECTIVE_TIMEOUT_S", "soon")
    outcome = here(job)
    assert outcome.code == 1
    assert "SLIPWAY_COLLECTIVE_PORT is '70000'; expected an integer from 1 to 65535" in outcome.err
    assert "SLIPWAY_COLLECTIVE_TIMEOUT_S is 'soon'" in outcome.err


def test_the_log_has_every_problem_of_the_hyperparameters_and_the_failure_file_says_how_many(
    job: Any, here: Here
) -> None:
    names = [f"unknown_hyperparameter_{number}" for number in range(30)]
    job.write_config({"label": "late"} | dict.fromkeys(names, "1"))
    done, failure = here(job), (job.base / "output/failure").read_text()
    assert done.code == 1
    assert [name for name in names if f"{name!r} is unknown" not in done.err] == []
    shown = failure.count(" is unknown")
    assert 8 < shown < len(names)
    assert len(failure) <= 1024
    assert failure.endswith(f"\n… and {len(names) - shown} more lines, which the log has")


def test_training_writes_nothing_into_the_systems_folder_for_temporary_files(
    job: Any, here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with duckdb.connect() as database:
        for part in sorted((job.base / "input/data/train").glob("*.csv")):
            database.execute(f"COPY (FROM '{part}') TO '{part.with_suffix('.parquet')}' (FORMAT parquet)")
            part.unlink()
    fast = {"TrainingInputMode": "FastFile", "ContentType": "application/x-parquet"}
    configure(job, {"train": fast}, num_round="2")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "read-only"))  # every file there fails
    done = here(job)
    assert done.code == 0, done.err
    assert [entry.name for entry in (job.base / "output").iterdir()] == ["data"]
