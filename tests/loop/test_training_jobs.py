from __future__ import annotations

import io
import json
import os
import signal
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.loop import read_only
from sandbox.loop.container import ChannelError, Container
from sandbox.loop.processes import ProcessRecord, running, start_time, wait_until
from sandbox.loop.request import InputChannel

if TYPE_CHECKING:
    from conftest import Api


pytestmark = pytest.mark.loop


def members(api: Api, key: str) -> dict[str, bytes]:
    body = api.clients.s3.get_object(Bucket="models-bucket", Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in files.items() if file is not None}


def refusal(api: Api, **changes: Any) -> tuple[str, str]:
    request: dict[str, Any] = {**api.request("refused"), **changes}
    with pytest.raises(ClientError) as error:
        api.submit(request)
    details = error.value.response.get("Error", {})
    return details.get("Code", ""), details.get("Message", "")


def test_a_job_runs_under_the_container_contract_and_leaves_its_artefacts_in_s3(api: Api) -> None:
    api.create("succeeds", alpha="1")
    job = api.wait("succeeds")

    assert job["TrainingJobStatus"] == "Completed"
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artefact == "s3://models-bucket/toy/jobs/succeeds/output/model.tar.gz"
    inputs = json.loads(members(api, artefact.removeprefix("s3://models-bucket/"))["inputs.json"])
    files = inputs["files"]
    assert files["input/data/train/2013-01.csv"] == "label,x\n1,2\n"
    assert files["input/data/train/deep/er/2013-02.csv"] == "label,x\n0,3\n"
    assert not any("trainer.csv" in name for name in files)
    assert json.loads(files["input/config/hyperparameters.json"]) == {"alpha": "1"}
    assert json.loads(files["input/config/inputdataconfig.json"])["train"]["ContentType"] == "text/csv"
    assert json.loads(files["input/config/resourceconfig.json"])["current_host"] == "algo-1"
    assert members(api, "toy/jobs/succeeds/output/output.tar.gz") == {"notes.txt": b"notes"}


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_streamed_channel_can_be_read_and_not_be_changed(api: Api, hosts: int) -> None:
    """Two hosts are one process group in a network of their own, and have their own copies."""

    def submit(name: str, mode: str) -> dict[str, Any]:
        request: dict[str, Any] = {**api.request(name, {"mode": mode})}
        request["AlgorithmSpecification"] = {**request["AlgorithmSpecification"], "TrainingInputMode": "FastFile"}
        api.submit({**request, "ResourceConfig": {**request["ResourceConfig"], "InstanceCount": hosts}})
        return {**api.wait(name)}

    reads, writes = (submit(f"streamed-{mode}-{hosts}", mode) for mode in ("succeed", "write"))
    assert reads["TrainingJobStatus"] == "Completed", reads.get("FailureReason")
    inputs = json.loads(members(api, f"toy/jobs/streamed-succeed-{hosts}/output/model.tar.gz")["inputs.json"])
    configured = json.loads(inputs["files"]["input/config/inputdataconfig.json"])
    assert configured["train"]["TrainingInputMode"] == "FastFile"
    assert inputs["files"]["input/data/train/2013-01.csv"] == "label,x\n1,2\n"
    assert writes["TrainingJobStatus"] == "Failed"
    assert "Read-only file system" in (api.paths.jobs / f"streamed-write-{hosts}/container.log").read_text()


def test_a_machine_that_mounts_nothing_says_so(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(read_only, "possible", lambda: False)
    channel = InputChannel("train", "s3://bucket/prefix", "S3Prefix", {"TrainingInputMode": "FastFile"})
    with pytest.raises(ChannelError, match="channel 'train': this machine makes no mount namespace; write inputMode"):
        Container(tmp_path).download(api.clients.s3, channel)


def test_artefacts_are_encrypted_with_the_key_of_the_request(api: Api) -> None:
    api.create("encrypts")
    api.wait("encrypts")

    stored = api.clients.s3.head_object(Bucket="models-bucket", Key="toy/jobs/encrypts/output/model.tar.gz")
    assert stored["ServerSideEncryption"] == "aws:kms"
    assert stored["SSEKMSKeyId"].startswith("arn:aws:kms:eu-central-1:123456789012:key/")


def test_statuses_and_metrics_are_those_of_a_real_job(api: Api) -> None:
    api.create("reports")
    job = api.wait("reports")

    phases = [item.get("Status") for item in job.get("SecondaryStatusTransitions", [])]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    metrics = {item.get("MetricName"): item.get("Value") for item in job.get("FinalMetricDataList", [])}
    assert metrics == {"validation:auc": pytest.approx(0.8125)}
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    listed = api.clients.sagemaker.list_training_jobs(NameContains="reports")["TrainingJobSummaries"]
    assert [item["TrainingJobStatus"] for item in listed] == ["Completed"]


def test_a_job_is_in_progress_from_the_moment_it_is_accepted_and_shows_metrics_while_it_trains(api: Api) -> None:
    api.create("waits", mode="wait")
    assert api.describe("waits")["TrainingJobStatus"] == "InProgress"
    assert "ModelArtifacts" not in api.describe("waits")

    api.wait_until_training("waits")
    assert api.describe("waits")["SecondaryStatus"] == "Training"
    api.clients.sagemaker.stop_training_job(TrainingJobName="waits")
    assert api.describe("waits")["TrainingJobStatus"] == "Stopping"
    job = api.wait("waits")

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert members(api, "toy/jobs/waits/output/model.tar.gz") == {"partial.txt": b"as far as it got"}


def test_a_trainer_that_ignores_sigterm_is_killed_after_the_grace_time(api: Api) -> None:
    api.create("ignores", mode="ignore-stop")
    api.wait_until_training("ignores")
    trainer = running(api.paths.jobs / "ignores" / "trainer.json")
    assert trainer is not None
    api.clients.sagemaker.stop_training_job(TrainingJobName="ignores")

    assert api.wait("ignores")["TrainingJobStatus"] == "Stopped"
    assert start_time(trainer.pid) != trainer.started


def test_a_job_that_runs_too_long_is_stopped(api: Api) -> None:
    request = api.request("too-long", {"mode": "wait"})
    api.submit({**request, "StoppingCondition": {"MaxRuntimeInSeconds": 1}})
    job = api.wait("too-long")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_failure_tells_the_reason_that_the_container_wrote_and_has_no_model(api: Api) -> None:
    api.create("fails", mode="fail")
    job = api.wait("fails")

    assert job["TrainingJobStatus"] == "Failed"
    reason = job.get("FailureReason", "")
    assert reason.startswith("AlgorithmError: the data is bad!!!")
    assert reason.endswith(", exit code: 3")
    assert len(reason) < 1100
    assert "ModelArtifacts" not in job


def test_a_name_is_accepted_once_for_ever(api: Api) -> None:
    api.create("once", mode="fail")
    api.wait("once")

    assert refusal(api, TrainingJobName="once")[0] == "ResourceInUse"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/unknown"}, "ValidationException", "role/unknown"),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://models-bucket/toy"}},
            "ValidationException",
            "KmsKeyId is missing",
        ),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://models-bucket/toy", "KmsKeyId": "alias/none"}},
            "ValidationException",
            "KMS key alias/none does not exist",
        ),
    ],
)
def test_a_request_that_names_what_does_not_exist_is_refused(
    api: Api, changes: dict[str, Any], code: str, words: str
) -> None:
    found_code, message = refusal(api, **changes)

    assert found_code == code
    assert words in message
    assert not api.clients.sagemaker.list_training_jobs(NameContains="refused")["TrainingJobSummaries"]


@pytest.mark.parametrize(
    "image", ["models/toy:latest", "other/toy@sha256:" + "0" * 64, "models/toy@sha256:" + "0" * 64]
)
def test_an_image_that_the_registry_does_not_have_is_refused(api: Api, image: str) -> None:
    uri = f"{api.image_uri.partition('/')[0]}/{image}"
    algorithm = {"TrainingImage": uri, "TrainingInputMode": "File"}

    code, message = refusal(api, AlgorithmSpecification=algorithm)

    assert code == "ValidationException"
    assert uri in message


def test_a_prefix_without_objects_fails_the_job_as_the_callers_fault(api: Api) -> None:
    api.submit(api.request("no-data", prefix="toy/none/"))

    assert api.wait("no-data").get("FailureReason", "") == (
        "ClientError: channel 'train': no S3 objects found under s3://data-bucket/toy/none/"
    )


def test_a_broken_metric_definition_fails_the_job_and_says_so(api: Api) -> None:
    request: dict[str, Any] = dict(api.request("bad-regex"))
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "m", "Regex": "("}]
    api.submit(request)

    assert "metric definition '(' is no regular expression" in api.wait("bad-regex").get("FailureReason", "")


@pytest.mark.parametrize("name", ["never-was", "succeeds-then-stop"])
def test_stopping_a_job_that_does_not_run_is_refused(api: Api, name: str) -> None:
    if name == "succeeds-then-stop":
        api.create(name)
        api.wait(name)

    with pytest.raises(ClientError, match="ValidationException"):
        api.clients.sagemaker.stop_training_job(TrainingJobName=name)


def test_equal_inputs_give_byte_equal_artefacts(api: Api) -> None:
    etags = set[str]()
    for name in ("twin-1", "twin-2"):
        api.create(name)
        api.wait(name)
        files = members(api, f"toy/jobs/{name}/output/model.tar.gz")
        assert json.loads(files["inputs.json"])["checkpoints"] == [f"{name}.txt"]
        etags.add(
            api.clients.s3.head_object(Bucket="models-bucket", Key=f"toy/jobs/{name}/output/output.tar.gz")["ETag"]
        )

    assert len(etags) == 1


def test_the_next_attempt_finds_the_checkpoints_of_the_failed_one(api: Api) -> None:
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://models-bucket/toy/checkpoints/one"}}
    api.submit({**api.request("try-1", {"mode": "fail"}), **checkpoints})
    api.wait("try-1")
    api.submit({**api.request("try-2"), **checkpoints})
    api.wait("try-2")

    inputs = json.loads(members(api, "toy/jobs/try-2/output/model.tar.gz")["inputs.json"])
    assert inputs["checkpoints"] == ["try-1.txt", "try-2.txt"]


def test_the_trainer_sees_its_job_and_no_credentials(api: Api) -> None:
    api.create("looks-around")
    api.wait("looks-around")
    log = (api.paths.jobs / "looks-around" / "container.log").read_text()
    names = set(json.loads(log.partition("environment ")[2].splitlines()[0]))

    assert {"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "SAGEMAKER_BASE_DIR", "SLIPWAY_CODE_VERSION"} <= names
    assert {name for name in names if name.startswith("AWS_")} == {"AWS_EC2_METADATA_DISABLED"}


def test_a_second_job_waits_for_the_first_and_can_be_stopped_while_it_waits(api: Api) -> None:
    api.create("first", mode="wait")
    api.wait_until_training("first")
    api.create("second")
    api.create("third")
    api.clients.sagemaker.stop_training_job(TrainingJobName="second")

    assert api.describe("third")["SecondaryStatus"] == "Starting"
    api.clients.sagemaker.stop_training_job(TrainingJobName="first")
    assert api.wait("second")["TrainingJobStatus"] == "Stopped"
    assert api.wait("third")["TrainingJobStatus"] == "Completed"


def test_an_approval_keeps_the_metadata_of_a_model_package(api: Api) -> None:
    sagemaker = api.clients.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="toys")
    arn = sagemaker.create_model_package(ModelPackageGroupName="toys", CustomerMetadataProperties={"a": "b"})[
        "ModelPackageArn"
    ]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["CustomerMetadataProperties"] == {"a": "b"}


def start_hosts(api: Api, name: str, mode: str, count: int) -> list[ProcessRecord]:
    """Start a job and wait until each of its hosts has said something; the processes."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}
    api.submit({**api.request(name, {"mode": mode}), "ResourceConfig": resources})
    folder = api.paths.jobs / name

    def heard() -> bool:
        log = folder / "container.log"
        return log.exists() and log.read_text().count("validation-auc=0.5") == count

    assert wait_until(heard, 20)
    found = [record for path in sorted(folder.rglob("*.json")) if (record := running(path)) is not None]
    assert len(found) == (1 if count == 1 else count + 1), "several hosts have somebody who starts them"
    return found


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_trainer_never_outlives_the_process_that_runs_it(own_api: Api, hosts: int) -> None:
    trainers = start_hosts(own_api, "orphan", "ignore-stop", hosts)
    server = running(own_api.paths.api_record)
    assert server is not None

    os.kill(server.pid, signal.SIGKILL)

    assert wait_until(lambda: all(start_time(each.pid) != each.started for each in trainers), 5)


def test_a_job_of_several_hosts_stops_on_all_of_them(api: Api) -> None:
    hosts = start_hosts(api, "both-stop", "wait", 2)
    api.clients.sagemaker.stop_training_job(TrainingJobName="both-stop")

    assert api.wait("both-stop")["TrainingJobStatus"] == "Stopped"
    assert all(start_time(each.pid) != each.started for each in hosts)


def test_only_loopback_is_listened_on(api: Api) -> None:
    server = running(api.paths.api_record)
    assert server is not None
    links = [str(path.readlink()) for path in Path(f"/proc/{server.pid}/fd").iterdir() if path.is_symlink()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]

    assert listening == [f"0100007F:{api.port:04X}"]
