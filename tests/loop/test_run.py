from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from components.model_places import ModelPlaces
from sandbox.console import Console
from sandbox.loop import account, batch, flights
from sandbox.loop.flights import Dataset
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import REPOSITORY, end, running, wait_until
from sandbox.loop.run import bring_up, status, tear_down
from sandbox.loop.spec import LoopError, LoopPaths, LoopReport, LoopSpec
from settings.model import ModelSpec
from tests.loop.specs import LABELS, loop_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.loop

FAKE_IMAGE = Path(__file__).with_name("fake_image")

MODEL: dict[str, object] = {
    "name": "toy",
    "datasetPrefix": "toy/",
    "label": "late",
    "card": {"purpose": "tests", "uses": "none", "limits": "all", "risk": "low", "riskReason": "nobody asks it"},
    "data": {
        "format": "csv",
        "minimumRows": 1,
        "missingGain": 0.5,
        "smallestPart": 0.5,
        "labelShift": 1.0,
        "columnShift": 1.0,
        "moving": [],
        "repeatGain": 1.0,
        "columnAuc": 1.0,
        "validationShare": None,
        "testShare": 0.5,
        "splitBy": [],
    },
    "processing": {"instanceType": "ml.m5.large", "volumeGib": 1, "maxRuntimeSeconds": 60},
    "pipeline": {"attempts": 3, "cacheDays": 30, "keepDays": 90, "approval": "automatic"},
    "training": {
        "instanceType": "ml.m5.large",
        "instanceCount": 1,
        "volumeGib": 1,
        "maxRuntimeSeconds": 60,
        "spot": True,
        "maxWaitSeconds": 120,
        "fallbackInstanceTypes": ["ml.m6i.xlarge"],
        "keepAliveSeconds": None,
        "algorithm": None,
        "hyperparameters": {
            "num_round": 1,
            "max_depth": 1,
            "eta": 0.1,
            "subsample": 1.0,
            "colsample_bytree": 1.0,
            "min_child_weight": 1.0,
            "early_stopping_rounds": 1,
            "seed": 1,
        },
        "tuning": None,
    },
    "gate": {"metric": "auc", "minimum": 0.7, "champion": None},
    "retraining": None,
    "drift": None,
    "serving": None,
    "approved": None,
}

DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import pytest
from test_run import run, small_data, spec_for
from sandbox.loop import flights
flights.prepare = small_data
run(spec_for(Path(sys.argv[1])))
"""


def small_data(root: Path, training_months: Sequence[int] = (1,), holdout_month: int = 7) -> Dataset:
    """A handful of rows in place of the flights, in the same folders."""
    changed = not root.exists()
    months = {"train": training_months, "validation": training_months, "holdout": (holdout_month,)}
    for use, numbers in months.items():
        for month in numbers:
            path = root / use / f"2013-{month:02}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"late,x\n1,{month}\n0,3\n0,4\n")
    return Dataset(root, changed)


TOY = ModelSpec.model_validate(MODEL)
OTHER = ModelSpec.model_validate({**MODEL, "name": "other", "datasetPrefix": "other/"})


def spec_for(folder: Path, model: ModelSpec = TOY, *beside: ModelSpec) -> LoopSpec:
    spec = loop_spec(model, folder, Path(sys.executable), folder / "image", beside)
    return replace(spec, training_months=(1, 2))


def run(spec: LoopSpec) -> LoopReport:
    return bring_up(spec, Console(io.StringIO()))


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopSpec]:
    monkeypatch.setattr(flights, "prepare", small_data)
    shutil.copytree(FAKE_IMAGE, tmp_path / "image", ignore=shutil.ignore_patterns("__pycache__"))
    yield spec_for(tmp_path)
    tear_down(tmp_path, Console(io.StringIO()))


def pids(spec: LoopSpec) -> tuple[int, int]:
    paths = LoopPaths.of(spec.state_dir)
    api, server = running(paths.api_record), running(paths.server_record(spec.model.name))
    assert api is not None
    assert server is not None
    return api.pid, server.pid


def processes_below(folder: Path) -> list[int]:
    """All processes of this machine that name the folder on their command line, this one and its parents excepted."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes()
            if str(folder).encode() in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def test_a_batch_transform_answers_the_held_out_rows_by_the_version_that_serves(spec: LoopSpec) -> None:
    clients, places = Clients(run(spec).places["AWS APIs"], spec.region), ModelPlaces(LABELS, spec.model)
    rows, notes = batch.held_out(spec), list[str]()
    assert rows.read_text() == "7\n3\n4\n"

    def transformed(folder: str) -> str:
        out = spec.state_dir / folder
        return batch.transform(clients, spec, places, rows=rows, out=out, note=notes.append)

    first = transformed("answers")
    assert re.fullmatch(rf"version 1 answered 3 rows by \S+: {spec.state_dir}/answers/2013-07.csv.out", first)
    assert notes[-1] == "Completed"
    assert "which had run before" in transformed("again")


def test_the_loop_trains_registers_approves_and_serves_what_it_was_given(spec: LoopSpec) -> None:
    report = run(spec)

    assert report.changed
    assert report.model_version == 1
    assert report.metrics == {"auc": 0.9}
    assert report.holdout.rows == 3
    assert report.holdout.auc == pytest.approx(0.5)
    assert all(service.healthy for service in status(spec.state_dir))
    clients = Clients(report.places["AWS APIs"], spec.region)
    package = clients.sagemaker.describe_model_package(ModelPackageName=report.places["model package"])
    assert package["ModelApprovalStatus"] == "Approved"
    assert clients.s3.get_bucket_versioning(Bucket=spec.data_bucket).get("Status") == "Enabled"
    answer = subprocess.run(["sh", "-c", report.curl], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(answer.stdout) == {"predictions": [0.5]}


def test_a_second_run_changes_nothing_and_takes_less_than_two_seconds(spec: LoopSpec) -> None:
    first = run(spec)
    before, started = pids(spec), time.monotonic()
    second = run(spec)

    assert time.monotonic() - started < 2
    assert replace(first, changed=False) == second
    assert pids(spec) == before


def test_only_what_died_is_started_again(spec: LoopSpec) -> None:
    first = run(spec)
    api, server = pids(spec)
    os.kill(server, signal.SIGKILL)
    second = run(spec)

    assert second.changed
    assert pids(spec)[0] == api
    assert pids(spec)[1] != server
    assert replace(second, changed=True) == first, "the port stays, so that what the user has copied still works"


def test_lost_memory_of_the_apis_is_rebuilt_and_the_server_stays(spec: LoopSpec) -> None:
    first = run(spec)
    api, server = pids(spec)
    os.kill(api, signal.SIGKILL)
    second = run(spec)

    assert pids(spec)[0] != api
    assert pids(spec)[1] == server, "the same data, code and settings give the same model"
    assert replace(second, changed=True) == first
    assert not run(spec).changed


def test_new_data_makes_a_new_version(spec: LoopSpec) -> None:
    first = run(spec)
    second = run(replace(spec, training_months=(1, 2, 3)))

    assert (first.model_version, second.model_version) == (1, 2)


def test_changed_image_code_makes_a_new_version(spec: LoopSpec) -> None:
    run(spec)
    program = spec.image_source / "scoring" / "__main__.py"
    program.write_text(program.read_text() + "# changed\n")

    assert run(spec).model_version == 2


def test_a_model_that_the_gate_refuses_is_neither_registered_nor_served(spec: LoopSpec) -> None:
    strict = spec_for(spec.state_dir, TOY.model_copy(update={"gate": TOY.gate.model_copy(update={"minimum": 0.9})}))

    with pytest.raises(LoopError, match=r"the gate refused the model: auc is 0\.900000 and has to exceed 0\.9"):
        run(strict)
    (api,) = status(spec.state_dir)
    assert api.url is not None
    registry = Clients(api.url, spec.region).sagemaker
    assert registry.list_model_packages(ModelPackageGroupName=spec.package_group)["ModelPackageSummaryList"] == []


def test_a_failed_training_names_its_log_and_the_next_run_tries_again(spec: LoopSpec) -> None:
    program = spec.image_source / "scoring" / "__main__.py"
    good = program.read_text()
    program.write_text("import sys; print('here is why'); sys.exit(1)")
    with pytest.raises(LoopError, match=r"step Train, job .*: AlgorithmError: .* exit code: 1") as failure:
        run(spec)
    assert "here is why" in Path(str(failure.value).rpartition(" ")[2]).read_text()
    with pytest.raises(LoopError, match=r"Process +Succeeded +taken from an earlier execution"):
        run(spec)
    program.write_text(good)

    assert run(spec).model_version == 1


def test_an_altered_artefact_is_not_served(spec: LoopSpec) -> None:
    report = run(spec)
    clients = Clients(report.places["AWS APIs"], spec.region)
    package = clients.sagemaker.describe_model_package(ModelPackageName=report.places["model package"])
    properties = package["CustomerMetadataProperties"]
    clients.sagemaker.update_model_package(
        ModelPackageArn=report.places["model package"],
        CustomerMetadataProperties={**properties, "model-sha256": "0" * 64},
    )

    with pytest.raises(LoopError, match="was registered: it was altered"):
        run(spec)


def test_two_runs_at_once_do_not_mix(spec: LoopSpec) -> None:
    paths = LoopPaths.of(spec.state_dir)
    paths.root.mkdir(parents=True)
    holder = (
        "import fcntl, sys; fcntl.flock(sys.stdin, fcntl.LOCK_EX); print(1, flush=True); __import__('time').sleep(9)"
    )
    with (
        paths.lock.open("w") as lock,
        subprocess.Popen([sys.executable, "-c", holder], stdin=lock, stdout=subprocess.PIPE) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LoopError, match="another command works on"):
            run(spec)
        other.kill()

    assert run(spec).changed


@pytest.mark.parametrize("seconds", [0.6, 1.0, 1.4, 1.8, 2.4])
def test_a_run_that_is_killed_anywhere_is_completed_by_the_next(spec: LoopSpec, seconds: float) -> None:
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("", "functions"))
    command = [sys.executable, "-c", DRIVER, str(spec.state_dir), str(Path(__file__).parent)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
    report = run(spec)

    assert report.model_version == 1
    assert not run(spec).changed
    assert sorted(processes_below(spec.state_dir)) == sorted(pids(spec))
    leftovers = [path for path in LoopPaths.of(spec.state_dir).root.rglob("*") if "partial" in path.name]
    assert leftovers == []


def test_tearing_down_ends_exactly_our_processes_and_removes_the_folder(spec: LoopSpec) -> None:
    run(spec)
    paths = LoopPaths.of(spec.state_dir)
    mine = pids(spec)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(spec.state_dir)]) as bystander:
        tear_down(spec.state_dir, Console(io.StringIO()))
        assert bystander.poll() is None
        assert wait_until(lambda: not set(mine) & set(processes_below(spec.state_dir)), 5)
        bystander.kill()

    assert not paths.root.exists()
    assert [service.url for service in status(spec.state_dir)] == [None]
    tear_down(spec.state_dir, Console(io.StringIO()))


def test_a_half_deleted_state_is_repaired(spec: LoopSpec) -> None:
    first = run(spec)
    paths = LoopPaths.of(spec.state_dir)
    shutil.rmtree(paths.versions(spec.model.name))
    end(paths.server_record(spec.model.name))
    second = run(spec)

    assert second.changed
    assert (second.model_version, second.holdout) == (first.model_version, first.holdout)
    assert all(service.healthy for service in status(spec.state_dir))


def test_two_models_of_one_environment_are_served_side_by_side(spec: LoopSpec) -> None:
    toy, other = spec_for(spec.state_dir, TOY, OTHER), spec_for(spec.state_dir, OTHER, TOY)
    run(toy)
    run(other)

    assert not run(toy).changed
    assert not run(other).changed
    services = status(spec.state_dir)
    assert [service.name for service in services] == ["AWS APIs", "model server other", "model server toy"]
    assert all(service.healthy for service in services)


def test_objects_that_belong_to_no_month_are_removed(spec: LoopSpec) -> None:
    report = run(spec)
    clients = Clients(report.places["AWS APIs"], spec.region)
    clients.s3.put_object(Bucket=spec.data_bucket, Key="toy/train/stray.csv", Body=b"x")
    data = small_data(LoopPaths.of(spec.state_dir).data, spec.training_months)

    assert account.upload(clients.s3, spec, data, lambda _: None) == 1
    assert account.upload(clients.s3, spec, data, lambda _: None) == 0
