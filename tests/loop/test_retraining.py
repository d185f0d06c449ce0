"""An object arrives, its event comes twice, and the real pipeline trains on it once."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle import steps
from lifecycle.pipelines import wait_for_execution
from retraining.decision import Verdict
from retraining.facts import Status
from retraining.handler import TICK_EVENT, deliver
from sandbox.console import Console
from sandbox.loop import flights
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.retraining import object_created, open_local_door, settings_of
from sandbox.loop.run import bring_up, tear_down
from sandbox.loop.spec import LoopPaths
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.loop.spec import LoopSpec

pytestmark = pytest.mark.loop


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[LoopSpec]:
    model = local_model()
    few = model.training.hyperparameters.model_copy(update={"num_round": 20, "early_stopping_rounds": 5})
    model = model.model_copy(update={"training": model.training.model_copy(update={"hyperparameters": few})})
    spec = loop_spec(model, tmp_path, Path(sys.executable), REPOSITORY / "model_image")
    yield replace(spec, training_months=(1,))
    tear_down(tmp_path, Console(io.StringIO()))


def test_a_month_that_arrives_becomes_a_version_once(spec: LoopSpec) -> None:
    first = bring_up(spec, Console(io.StringIO()))
    clients, now = Clients(first.places["AWS APIs"], spec.region), [1_700_000_000.0]
    door = open_local_door(clients, settings_of(spec), lambda: now[0])
    known = deliver(door, TICK_EVENT)
    assert known.outcomes[0].found == 2, "January was there before the door"

    month = flights.prepare(LoopPaths.of(spec.state_dir).data, (1, 2)).files("train")["2013-02.csv"]
    key = f"{spec.model.dataset_prefix}train/2013-02.csv"
    clients.s3.put_object(Bucket=spec.data_bucket, Key=key, Body=month.read_bytes())
    event = object_created(clients.s3, spec.data_bucket, key)
    waiting = deliver(door, event, event)
    assert (waiting.recorded, waiting.repeated, waiting.outcomes[0].verdict) == (1, 1, Verdict.WAIT)
    now[0] += 60
    [started] = deliver(door, TICK_EVENT, event).outcomes
    assert started.run is not None
    wait_for_execution(
        clients.sagemaker, started.run.arn, on_progress=lambda _: None, poll_seconds=0.2, timeout_seconds=300
    )
    [ended] = deliver(door, TICK_EVENT).outcomes
    package = steps.find_package(clients.sagemaker, spec.package_group, lambda _: True)

    assert (ended.verdict, ended.run and ended.run.status) == (Verdict.NOTHING, Status.SUCCEEDED)
    assert package is not None
    assert package.version == first.model_version + 1
    assert package.properties["data-version"] == started.run.data_version
    executions = clients.sagemaker.list_pipeline_executions(PipelineName=spec.pipeline.name)
    assert len(executions["PipelineExecutionSummaries"]) == 2
