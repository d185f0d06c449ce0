"""A pipeline with a search, run by the interpreter: real trainings, of which the best is registered."""

from __future__ import annotations

import io
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.console import Console
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import REPOSITORY, wait_until
from sandbox.loop.run import bring_up, tear_down
from sandbox.loop.search import trials
from settings.model import TuningSpec
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model
from tests.support.optional import SEARCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Api

    from sandbox.loop.spec import LoopReport, LoopSpec

BASELINE, BETTER = 0.02, 0.1
LOG = {"Name": "etas", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"}


def config(ranges: dict[str, Any], *, strategy: str = "Bayesian", count: int = 200, seed: int = 7) -> dict[str, Any]:
    limits = {"MaxNumberOfTrainingJobs": count, "MaxParallelTrainingJobs": 1}
    return {"Strategy": strategy, "ParameterRanges": ranges, "ResourceLimits": limits, "RandomSeed": seed}


@pytest.mark.parametrize("scaling", ["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"])
def test_draws_stay_within_their_range_and_a_seed_fixes_them(scaling: str) -> None:
    spread = {"Name": "subsample", "MinValue": "0.25", "MaxValue": "0.75", "ScalingType": scaling}
    wanted = {"ContinuousParameterRanges": [spread]}
    values = [float(each["subsample"]) for each in trials(config(wanted))]
    assert len(values) == len(set(values)) == 200
    assert min(values) >= 0.25
    assert max(values) <= 0.75
    assert list(trials(config(wanted))) == list(trials(config(wanted)))
    assert list(trials(config(wanted))) != list(trials(config(wanted, seed=8)))


def test_whole_numbers_reach_both_ends_and_small_values_come_sooner_on_a_logarithmic_scale() -> None:
    depth = {"Name": "depth", "MinValue": "3", "MaxValue": "5", "ScalingType": "Linear"}
    found = list(trials(config({"IntegerParameterRanges": [depth], "ContinuousParameterRanges": [LOG]})))
    assert Counter(each["depth"] for each in found).keys() == {"3", "4", "5"}
    assert sum(float(each["etas"]) < 0.03 for each in found) > 60


def test_a_grid_is_every_combination_once() -> None:
    choices = [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y", "z"]}]
    found = list(trials(config({"CategoricalParameterRanges": choices}, strategy="Grid", count=6)))
    assert len({tuple(each.items()) for each in found}) == len(found) == 6


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSpec]:
    folder = tmp_path_factory.mktemp("tuning")
    model = local_model()
    slow = model.training.hyperparameters.model_copy(
        update={"num_round": 40, "early_stopping_rounds": 10, "eta": BASELINE}
    )
    grid = {"choices": [{"name": "eta", "values": [BETTER, BASELINE]}], "ranges": [], "strategy": "grid", "jobs": 2}
    tuning = TuningSpec.model_validate({**SEARCH, **grid, "earlyStopping": False, "warmStartFrom": []})
    training = model.training.model_copy(update={"hyperparameters": slow, "tuning": tuning})
    model = model.model_copy(update={"training": training})
    spec = loop_spec(model, folder, Path(sys.executable), REPOSITORY / "model_image")
    yield replace(spec, training_months=(1,))
    tear_down(folder, Console(io.StringIO()))


@pytest.fixture(scope="module")
def searched(spec: LoopSpec) -> LoopReport:
    return bring_up(spec, Console(io.StringIO()))


@pytest.mark.loop
def test_a_tiny_search_improves_on_the_baseline_and_registers_the_best_model(searched: LoopReport) -> None:
    sagemaker = Clients(searched.places["AWS APIs"], "eu-central-1").sagemaker
    package = sagemaker.describe_model_package(ModelPackageName=searched.places["model package"])
    jobs = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    described = [sagemaker.describe_training_job(TrainingJobName=each["TrainingJobName"]) for each in jobs]
    found = {
        float(job["HyperParameters"]["eta"]): (
            {each.get("MetricName"): each.get("Value", 0.0) for each in job["FinalMetricDataList"]}["objective:auc"],
            job["TrainingJobName"],
        )
        for job in described
    }

    assert found.keys() == {BASELINE, BETTER}
    assert found[BETTER][0] > found[BASELINE][0]
    assert package["CustomerMetadataProperties"]["training-job"] == found[BETTER][1]
    # Of rows that neither trainings nor the choice between them have seen: there the best of several looks less good.
    assert 0.65 < searched.metrics["auc"] < found[BETTER][0]


def tuning_request(api: Api, name: str, **changes: Any) -> dict[str, Any]:
    """A tuning job of the trainer in miniature, whose metric does not depend on anything."""
    job: dict[str, Any] = dict(api.request("unnamed"))
    definition = {key: value for key, value in job.items() if key not in {"TrainingJobName", "HyperParameters"}}
    eta = {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.2", "ScalingType": "Linear"}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            **config({"ContinuousParameterRanges": [eta]}, count=2),
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
        },
        "TrainingJobDefinition": {**definition, "StaticHyperParameters": {}},
        **changes,
    }


def ended(api: Api, request: dict[str, Any]) -> dict[str, Any]:
    name = request["HyperParameterTuningJobName"]
    api.clients.sagemaker.create_hyper_parameter_tuning_job(**request)

    def described() -> dict[str, Any]:
        return {**api.clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)}

    assert wait_until(lambda: described()["HyperParameterTuningJobStatus"] != "InProgress", 30)
    return described()


@pytest.mark.loop
def test_a_training_is_told_what_it_is_tuned_for(api: Api) -> None:
    found = ended(api, tuning_request(api, "told"))
    best = found["BestTrainingJob"]
    sent = api.describe(best["TrainingJobName"])["HyperParameters"]

    assert found["TrainingJobStatusCounters"]["Completed"] == 2
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(0.8125)
    assert sent["_tuning_objective_metric"] == "validation:auc"
    assert sent["eta"] == best["TunedHyperParameters"]["eta"]


@pytest.mark.loop
def test_a_search_whose_trainings_all_fail_fails_with_the_reason_of_one(api: Api) -> None:
    request = tuning_request(api, "fails")
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {"mode": "fail"}
    found = ended(api, request)

    assert found["HyperParameterTuningJobStatus"] == "Failed"
    assert "the data is bad" in found["FailureReason"]
    assert "BestTrainingJob" not in found


@pytest.mark.loop
def test_a_search_that_starts_from_one_that_never_was_is_refused(api: Api) -> None:
    parents = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "never-was"}],
        "WarmStartType": "TransferLearning",
    }
    with pytest.raises(ClientError, match="there is no tuning job never-was"):
        ended(api, tuning_request(api, "orphan", WarmStartConfig=parents))
