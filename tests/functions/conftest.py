from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.requests import Capacity, PrivateNetwork, TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/models/flight-delay@sha256:{'a' * 64}"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def plan() -> TrainingPlan:
    return TrainingPlan(
        model="flight-delay",
        image_uri=IMAGE,
        role_arn="arn:aws:iam::123456789012:role/training",
        channels={
            "train": "s3://data-bucket/flight-delay/train/",
            "validation": "s3://data-bucket/flight-delay/validation/",
        },
        data_version="d" * 64,
        output_uri="s3://models-bucket/flight-delay",
        kms_key=KEY,
        capacity=Capacity(
            instance_type="ml.m5.large",
            instance_count=1,
            volume_gib=10,
            max_runtime_seconds=3600,
            max_wait_seconds=7200,
        ),
        hyperparameters={"label": "late", "eta": "0.1"},
        metrics={"validation:auc": r"validation-auc=(\S+)"},
        network=PrivateNetwork(subnet_ids=("subnet-0a", "subnet-0b"), security_group_ids=("sg-0a",)),
        tags={"Environment": "dev", "CostCenter": "ml"},
    )


@pytest.fixture(scope="session")
def problems() -> Callable[[str, object], list[str]]:
    spec = importlib.util.spec_from_file_location("shapes", Path(__file__).with_name("shapes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problems
