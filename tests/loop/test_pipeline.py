"""The pipeline that the program defines, run by the interpreter: real checks, real training, real refusals."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pytest

from lifecycle import pipelines, steps
from sandbox.console import Console
from sandbox.loop import cards, evaluate, flights, poisons
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import LOOPBACK, REPOSITORY, running, wait_until
from sandbox.loop.run import bring_up, status, tear_down
from sandbox.loop.spec import TROUBLE_PATH, LoopError, LoopPaths, LoopSpec
from sandbox.loop.versions import versions
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model
from tests.loop.watched import RECORD_ROWS, Watched
from tests.support.model_cards import CARD_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mypy_boto3_sagemaker.type_defs import DescribeTrainingJobResponseTypeDef

    from sandbox.loop.flights import Dataset
    from sandbox.loop.spec import LoopReport

pytestmark = pytest.mark.loop


def emptied(path: Path) -> None:
    """Lose the distance of all flights, the ninth column with the label."""
    header, *rows = path.read_text().splitlines()
    at = header.split(",").index("distance")
    cells = (row.split(",") for row in rows)
    path.write_text("\n".join([header, *(",".join([*row[:at], "", *row[at + 1 :]]) for row in cells)]) + "\n")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSpec]:
    folder = tmp_path_factory.mktemp("pipeline")
    quick = local_model()
    training = quick.training
    few = training.hyperparameters.model_copy(update={"num_round": 40, "early_stopping_rounds": 10})
    quick = quick.model_copy(update={"training": training.model_copy(update={"hyperparameters": few})})
    spec = loop_spec(quick, folder, Path(sys.executable), REPOSITORY / "model_image")
    yield replace(spec, training_months=(1,))
    tear_down(folder, Console(io.StringIO()))


@pytest.fixture(scope="module")
def january(spec: LoopSpec) -> LoopReport:
    return bring_up(spec, Console(io.StringIO()))


@pytest.fixture
def clients(spec: LoopSpec, january: LoopReport) -> Clients:
    return Clients(january.places["AWS APIs"], spec.region)


def test_metrics_and_lineage_can_be_read_back_from_the_registry(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    package: dict[str, Any] = {
        **clients.sagemaker.describe_model_package(ModelPackageName=january.places["model package"])
    }
    lineage = package["CustomerMetadataProperties"]
    job = clients.sagemaker.describe_training_job(TrainingJobName=lineage["training-job"])
    checked = json.loads(steps.fetch(clients.s3, package["ModelMetrics"]["ModelDataQuality"]["Statistics"]["S3Uri"]))

    assert january.model_version == package["ModelPackageVersion"] == 1
    assert package["MetadataProperties"]["GeneratedBy"] == job["TrainingJobArn"]
    assert package["InferenceSpecification"]["Containers"][0].get("Image", "").endswith(lineage["image-digest"])
    assert checked["data_version"] == lineage["data-version"]
    rows = {name: found["rows"] for name, found in checked["channels"].items()}
    assert rows["train"] == 21_415
    assert rows["validation"] + rows["test"] == 4_983
    assert lineage["code-version"] == package["MetadataProperties"]["CommitId"] != "none"
    assert float(lineage["evaluation/auc"]) == pytest.approx(january.metrics["auc"], abs=1e-6)
    assert january.metrics["auc"] > spec.model.gate.minimum


def test_the_model_card_of_a_version_is_valid_and_tells_what_the_run_did(january: LoopReport, clients: Clients) -> None:
    arn = january.places["model package"]
    card = clients.sagemaker.describe_model_package(ModelPackageName=arn).get("ModelCard", {})
    content: dict[str, Any] = json.loads(card.get("ModelCardContent", ""))
    jsonschema.validate(content, CARD_SCHEMA)
    metrics = {
        each["name"]: each["value"] for each in content["evaluation_details"][0]["metric_groups"][0]["metric_data"]
    }

    assert card.get("ModelCardStatus") == "Approved"
    assert content["training_details"]["training_observations"].startswith("21415 rows of train, ")
    assert metrics["auc"] == january.metrics["auc"]
    assert "num_round=" in cards.shown(clients.sagemaker, arn)["hyperparameters"]


def test_a_version_is_judged_as_it_answers_on_rows_that_no_training_has_read(
    january: LoopReport, clients: Clients, tmp_path: Path
) -> None:
    package = steps.describe_package(clients.sagemaker, january.places["model package"])
    written = json.loads(steps.fetch(clients.s3, package.evaluation_uri))
    unpacked = next(Path(january.places["files"]).glob("models/*/*/evaluation.json"))
    job = clients.sagemaker.describe_training_job(TrainingJobName=package.properties["training-job"])
    channels: list[Any] = [*job["InputDataConfig"]]
    read = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in channels}
    version = read["train"].rpartition("/")[0]
    months = {name: steps.fetch(clients.s3, f"{version}/{name}/2013-01.csv") for name in ("validation", "test")}
    chosen, judged = (sorted(month.splitlines()[1:]) for month in months.values())
    delivered = Path(january.places["files"]).glob("**/validation/2013-01.csv")

    assert read.keys() == {"train", "validation"}
    assert json.loads(unpacked.read_text())["evaluated_channel"] == "validation"
    assert written["evaluated_channel"] == "test"
    assert not {row.partition(b",")[2] for row in chosen} & {row.partition(b",")[2] for row in judged}
    assert sorted([*chosen, *judged]) == sorted(next(delivered).read_bytes().splitlines()[1:])
    month = tmp_path / "2013-01.csv"
    month.write_bytes(months["test"])
    labels, rows = evaluate.split_label(month)
    answers = evaluate.ask(january.endpoint_url, rows, lambda _: None)
    assert evaluate.auc(labels, answers) == pytest.approx(january.metrics["auc"], abs=1e-6)


def test_the_registered_report_tells_of_slices_and_of_calibration(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    package = steps.describe_package(clients.sagemaker, january.places["model package"])
    written = json.loads(steps.fetch(clients.s3, package.evaluation_uri))
    confusion = written["binary_classification_metrics"]["confusion_matrix"]
    rows = sum(count for found in confusion.values() for count in found.values())
    champion = spec.model.gate.champion

    assert champion is not None
    assert written["slices"].keys() == set(champion.slices)
    assert {sum(each["rows"] for each in values) for values in written["slices"].values()} == {rows}
    assert {each["value"] for each in written["slices"]["origin"]} == {"EWR", "JFK", "LGA"}
    assert all(0.5 < each["auc"] < 1 for each in written["slices"]["origin"])
    assert sum(each["rows"] for each in written["calibration"]["bins"]) == rows


@pytest.fixture(scope="module")
def watched(spec: LoopSpec, january: LoopReport) -> Watched:
    clients = Clients(january.places["AWS APIs"], spec.region)
    return Watched(spec, clients, steps.describe_package(clients.sagemaker, january.places["model package"]))


def test_the_pipeline_that_looks_for_drift_says_nothing_of_nothing_and_raises_what_moved(
    january: LoopReport, watched: Watched
) -> None:
    silent = watched.run()
    rows = watched.capture(january.endpoint_url)
    moved = watched.run()

    assert (silent.report["rows"], silent.report["scores"]) == (0, {"data": None, "prediction": None, "quality": None})
    assert silent.metrics["data-raised"] == 0
    assert moved.report["rows"] == moved.report["labels"] == rows
    assert moved.report["records"] == {"read": -(-rows // RECORD_ROWS)}
    assert moved.violated >= {("data", "distance")}
    assert moved.metrics["data-raised"] == 1
    assert moved.metrics["data-score"] > 1 > moved.metrics["quality-score"]
    assert moved.memory["data"]["raised"] is True


def kill(pid: int) -> None:
    """End a process as an operator or a host that goes would."""
    os.kill(pid, signal.SIGKILL)


def fill(pid: int) -> None:
    """Let a process write no more than a few bytes into any file, as on a disk that is full."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8, 8))


@contextlib.contextmanager
def met_by_the_next_look(spec: LoopSpec, meet: Callable[[int], None]) -> Generator[None]:
    """Let the process of the next job that looks for drift meet with something."""
    records, met = LoopPaths.of(spec.state_dir).jobs, list[int]()
    known = {*records.glob("*-drift-*/trainer.json")}

    def find() -> bool:
        for record in {*records.glob("*-drift-*/trainer.json")} - known:
            if found := running(record):
                meet(found.pid)
                met.append(found.pid)
        return bool(met)

    thread = threading.Thread(target=lambda: wait_until(find, 30, 0.005))
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert met, "the job was not there"


@pytest.mark.parametrize("meet", [kill, fill])
def test_a_look_for_drift_that_is_killed_or_can_write_nothing_leaves_nothing_and_the_next_one_works(
    spec: LoopSpec, january: LoopReport, watched: Watched, meet: Callable[[int], None]
) -> None:
    rows = watched.capture(january.endpoint_url)
    before = watched.run()
    kept = watched.kept()
    with met_by_the_next_look(spec, meet), pytest.raises(pipelines.PipelineFailedError, match="exit code"):
        watched.run()

    assert watched.kept() == kept, "neither a report nor a memory that is half there"
    after = watched.run()
    assert after.report["rows"] == before.report["rows"] >= rows
    assert after.memory["data"]["raised"] is True


class Poisoning(NamedTuple):
    """What happens to a month, and where it is found."""

    poison: Callable[[Path], None]
    uses: tuple[str, ...]
    step: str
    reason: str


BOTH = ("train", "validation")
POISONINGS = {
    "labels shuffled": Poisoning(poisons.shuffle, BOTH, "Refuse", " and has to exceed 0.68"),
    "schema broken": Poisoning(poisons.rename, BOTH, "Process", "the header differs"),
    "half missing": Poisoning(poisons.halve, BOTH, "Process", "train/2013-02.csv: 9827 rows; half of the other files"),
    "column lost": Poisoning(emptied, BOTH, "Process", "train/2013-02.csv: 100% of 'distance' is empty, 0% elsewhere"),
}


@pytest.mark.parametrize("case", POISONINGS.values(), ids=POISONINGS)
def test_a_poisoned_month_is_refused_and_the_version_before_it_still_serves(
    spec: LoopSpec, january: LoopReport, clients: Clients, monkeypatch: pytest.MonkeyPatch, case: Poisoning
) -> None:
    prepare = flights.prepare

    def poisoned(root: Path, months: Sequence[int]) -> Dataset:
        data = prepare(root, months)
        for use in case.uses:
            case.poison(data.root / use / "2013-02.csv")
        return data

    monkeypatch.setattr(flights, "prepare", poisoned)
    with pytest.raises(LoopError) as refusal:
        bring_up(replace(spec, training_months=(1, 2)), Console(io.StringIO()))

    assert case.reason in str(refusal.value)
    assert f"{case.step:9} Failed" in str(refusal.value)
    versions = clients.sagemaker.list_model_packages(ModelPackageGroupName=spec.package_group)
    assert [each.get("ModelPackageVersion") for each in versions["ModelPackageSummaryList"]] == [1]
    assert all(service.healthy for service in status(spec.state_dir))
    server = running(LoopPaths.of(spec.state_dir).server_record(spec.model.name))
    assert server is not None
    assert f"/{january.model_version}-" in server.fingerprint


def test_the_same_event_delivered_five_times_gives_one_execution(spec: LoopSpec, clients: Clients) -> None:
    name, parameters = spec.pipeline.name, {"DataVersion": "elsewhere", "ImageDigest": "sha256:" + "0" * 64}
    before = clients.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    started = pipelines.start_or_adopt(clients.sagemaker, name, parameters, max_attempts=1)
    token = pipelines.token(name, spec.pipeline.definition, parameters, 1)
    again = {
        clients.sagemaker.start_pipeline_execution(
            PipelineName=name,
            PipelineParameters=[{"Name": key, "Value": value} for key, value in sorted(parameters.items())],
            ClientRequestToken=token,
        )["PipelineExecutionArn"]
        for _ in range(4)
    }
    after = clients.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]

    assert again == {started.arn}
    assert len(after) == len(before) + 1


def train_again(january: LoopReport, clients: Clients, name: str, **changes: Any) -> steps.Package:
    """Start the training of January's model once more, under another name and with other arguments; its package."""
    package = steps.describe_package(clients.sagemaker, january.places["model package"])
    job = clients.sagemaker.describe_training_job(TrainingJobName=package.properties["training-job"])
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": package.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": job["AlgorithmSpecification"].get("MetricDefinitions", []),
        },
        **{key: job[key] for key in ("RoleArn", "HyperParameters", "InputDataConfig", "OutputDataConfig")},
        "ResourceConfig": job["ResourceConfig"],
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }
    clients.sagemaker.create_training_job(**request)
    return package


def phases(clients: Clients, name: str) -> list[str]:
    found = clients.sagemaker.describe_training_job(TrainingJobName=name)
    return [each["Status"] for each in found.get("SecondaryStatusTransitions", [])]


def finished(clients: Clients, name: str) -> bool:
    return wait_until(lambda: phases(clients, name)[-1] in {"Completed", "Failed"}, 60)


def artefact(clients: Clients, name: str) -> bytes:
    job = clients.sagemaker.describe_training_job(TrainingJobName=name)
    return steps.fetch(clients.s3, job["ModelArtifacts"]["S3ModelArtifacts"])


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint_and_gives_the_same_model(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    package = train_again(
        january,
        clients,
        "interrupted",
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": f"s3://{spec.models_bucket}/interrupted/checkpoints"},
    )

    assert wait_until(lambda: trouble(january, interrupt="interrupted"), 30)
    assert finished(clients, "interrupted")
    assert phases(clients, "interrupted").count("Interrupted") == 1
    assert phases(clients, "interrupted").count("Training") == 2
    assert artefact(clients, "interrupted") == steps.fetch(clients.s3, package.artefact_uri)


def test_two_hosts_learn_together_what_one_learns_in_a_network_of_their_own(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    package = steps.describe_package(clients.sagemaker, january.places["model package"])
    alone = clients.sagemaker.describe_training_job(TrainingJobName=package.properties["training-job"])
    train_again(january, clients, "two-hosts", ResourceConfig={**alone["ResourceConfig"], "InstanceCount": 2})
    networks: dict[str, str] = {}
    while phases(clients, "two-hosts")[-1] not in {"Completed", "Failed"}:
        for record in (LoopPaths.of(spec.state_dir).jobs / "two-hosts").glob("*/host.json"):
            with contextlib.suppress(OSError):
                if host := running(record):
                    networks[record.parent.name] = str(Path(f"/proc/{host.pid}/ns/net").readlink())
    together = clients.sagemaker.describe_training_job(TrainingJobName="two-hosts")

    assert together["TrainingJobStatus"] == "Completed", together.get("FailureReason")
    assert final_auc(together) == pytest.approx(final_auc(alone), abs=0.02)
    assert networks.keys() == {"opt-ml", "opt-ml-2"}
    assert len(set(networks.values()) - {str(Path("/proc/self/ns/net").readlink())}) == 1


def final_auc(job: DescribeTrainingJobResponseTypeDef) -> float:
    found = {each.get("MetricName"): each.get("Value", 0.0) for each in job.get("FinalMetricDataList", [])}
    return found["final:auc"]


def trouble(report: LoopReport, **wanted: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, int(report.places["AWS APIs"].rpartition(":")[2]), timeout=10)
    connection.request("POST", TROUBLE_PATH, json.dumps(wanted))
    return bool(json.loads(connection.getresponse().read())["done"])


def test_a_month_more_waits_for_capacity_and_makes_the_second_version(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    trouble(january, failNext="CapacityError: Unable to provision requested ML compute capacity")
    report = bring_up(replace(spec, training_months=(1, 2)), Console(io.StringIO()))

    package = steps.describe_package(clients.sagemaker, report.places["model package"])
    assert report.model_version == 2
    assert package.properties["training-job"].endswith("-1"), "the first attempt is number 0"
    (first, second) = versions(clients, spec.package_group)
    assert (first.number, second.number) == (1, 2)
    assert first.metrics["auc"] == pytest.approx(january.metrics["auc"])
    assert second.metrics["auc"] == pytest.approx(report.metrics["auc"])
    assert first.parameters["num_round"] == second.parameters["num_round"] == "40"
    champion = {name.partition("/")[2]: text for name, text in package.properties.items() if "champion/" in name}
    assert (champion["outcome"], len(champion["champion_sha256"])) == ("better", 64)
    terms = spec.model.gate.champion
    assert terms is not None
    assert float(champion["difference"]) > terms.minimum_gain
    assert float(champion["p_value"]) < terms.significance


def test_a_model_that_is_no_better_than_the_one_in_service_ends_without_a_version(
    spec: LoopSpec, january: LoopReport, clients: Clients
) -> None:
    before = versions(clients, spec.package_group)
    fewer = spec.model.training.hyperparameters.model_copy(update={"seed": 1})
    model = spec.model.model_copy(
        update={"training": spec.model.training.model_copy(update={"hyperparameters": fewer})}
    )
    other = loop_spec(model, spec.state_dir, spec.image_python, spec.image_source)
    console = io.StringIO()
    report = bring_up(replace(other, training_months=(1, 2)), Console(console))

    assert versions(clients, spec.package_group) == before
    assert report.model_version == before[-1].number
    assert "that of the champion" in console.getvalue()
    assert january.places["AWS APIs"] == report.places["AWS APIs"]
