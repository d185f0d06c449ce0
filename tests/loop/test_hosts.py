"""Several hosts of one job: named, kept to their own network, and refused where there is none."""

from __future__ import annotations

import json

import pytest

from sandbox.loop import hosts
from sandbox.loop.environment import Refusal, check_hosts
from sandbox.loop.request import TrainingRequest


def request(count: int, distribution: str = "FullyReplicated") -> TrainingRequest:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/", "S3DataDistributionType": distribution}
    sent = {
        "TrainingJobName": "job",
        "RoleArn": "arn:aws:iam::123456789012:role/train",
        "AlgorithmSpecification": {"TrainingImage": "image"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://models/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return TrainingRequest.parse(json.dumps(sent).encode())


def test_hosts_that_would_listen_on_every_interface_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "can_isolate", lambda: False)
    check_hosts(request(1))
    with pytest.raises(Refusal, match=r"network namespace .* set InstanceCount to 1"):
        check_hosts(request(2))


def test_hosts_that_would_each_have_a_part_of_the_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "can_isolate", lambda: True)
    check_hosts(request(2))
    with pytest.raises(Refusal, match="set FullyReplicated"):
        check_hosts(request(2, "ShardedByS3Key"))


def test_the_hosts_of_a_job_have_different_names() -> None:
    assert hosts.names(1) == ["algo-1"]
    assert len(set(hosts.names(16))) == 16
