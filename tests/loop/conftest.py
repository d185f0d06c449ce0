from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.loop import services
from sandbox.loop.image import build, push
from sandbox.loop.loopback import Clients
from sandbox.loop.processes import (
    REPOSITORY,
    clean_environment,
    end,
    free_port,
    last_lines,
    running,
    start_daemon,
    wait_until,
)
from sandbox.loop.spec import HEALTH_PATH, LoopPaths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef, DescribeTrainingJobResponseTypeDef

ACCOUNT, REGION = "123456789012", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/platform/training"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
REPOSITORY_URL = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/models/toy"
FAKE_IMAGE = Path(__file__).with_name("fake_image")
GRACE_SECONDS = 0.5


@dataclass
class Api:
    """The AWS APIs on loopback with one bucket of data and one image, and a trainer that does what it is told."""

    paths: LoopPaths
    clients: Clients
    port: int
    image_uri: str

    def request(
        self, name: str, hyperparameters: Mapping[str, str] | None = None, prefix: str = "toy/train/"
    ) -> CreateTrainingJobRequestTypeDef:
        return {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": self.image_uri,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "validation:auc", "Regex": r"validation-auc=(\S+)"}],
            },
            "HyperParameters": dict(hyperparameters or {}),
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "ContentType": "text/csv",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://data-bucket/{prefix}"}},
                }
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://models-bucket/toy/jobs", "KmsKeyId": KEY},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }

    def create(self, name: str, **hyperparameters: str) -> None:
        self.submit(self.request(name, hyperparameters))

    def submit(self, request: Mapping[str, Any]) -> None:
        self.clients.sagemaker.create_training_job(**request)

    def describe(self, name: str) -> DescribeTrainingJobResponseTypeDef:
        return self.clients.sagemaker.describe_training_job(TrainingJobName=name)

    def wait(self, name: str) -> DescribeTrainingJobResponseTypeDef:
        ended = {"Completed", "Failed", "Stopped"}
        assert wait_until(lambda: self.describe(name)["TrainingJobStatus"] in ended, 20), self.describe(name)
        return self.describe(name)

    def wait_until_training(self, name: str) -> None:
        """Wait until the trainer has said something, so that its signal handlers are in place."""
        assert wait_until(lambda: bool(self.describe(name).get("FinalMetricDataList")), 20), self.describe(name)


def start_api(folder: Path, source: Path = FAKE_IMAGE) -> Api:
    paths = LoopPaths.of(folder)
    port = free_port()
    command = [
        *(sys.executable, "-m", "sandbox.loop.aws_api", "--state-dir", str(folder), "--port", str(port)),
        *("--account-id", ACCOUNT, "--region", REGION, "--role-arn", ROLE, "--key-arn", KEY),
        *("--image-python", sys.executable),
        *("--image-source", str(source), "--stop-grace-seconds", str(GRACE_SECONDS)),
    ]
    start_daemon(
        command,
        record=paths.api_record,
        log=paths.api_log,
        env=clean_environment(paths.home, {"PYTHONPATH": str(REPOSITORY)}),
        port=port,
        fingerprint="",
    )
    assert wait_until(lambda: services.get(port, HEALTH_PATH)[0] == services.OK, 60), last_lines(paths.api_log)
    clients = Clients(services.address(port), REGION)
    for bucket in ("data-bucket", "models-bucket"):
        clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    clients.s3.put_object(Bucket="data-bucket", Key="toy/train/2013-01.csv", Body=b"label,x\n1,2\n")
    clients.s3.put_object(Bucket="data-bucket", Key="toy/train/deep/er/2013-02.csv", Body=b"label,x\n0,3\n")
    clients.s3.put_object(Bucket="data-bucket", Key="toy/trainer.csv", Body=b"not of the prefix")
    clients.ecr.create_repository(repositoryName="models/toy")
    image = build(source)
    push(clients.ecr, "models/toy", image)
    return Api(paths, clients, port, f"{REPOSITORY_URL}@{image.digest}")


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    api = start_api(tmp_path_factory.mktemp("api"))
    yield api
    assert end(api.paths.api_record), "the API process ended during the tests"


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    api = start_api(tmp_path)
    yield api
    if running(api.paths.api_record):
        end(api.paths.api_record)
