"""A batch by hand is the one that the stack tells of: the same job, so that none is run twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from moto import mock_aws

from lifecycle.steps import LifecycleError
from lifecycle.transforms import Plan, bring_answers
from operations.transform import RefusedError, planned, transform
from tests.functions.test_steps import REGION, make_client
from tests.settings.stacks import changed, settings_of
from tests.support.recorded import record_program
from tests.support.targets import all_served

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from settings.model import Settings

BUCKET = "slipway-prod-777788889999-us-east-1-models"
SOURCE = f"s3://{BUCKET}/nightly/rows/"


def served() -> Settings:
    given = json.loads(all_served())
    return settings_of(changed({"environment.protectData": False, "models": given["models"]}))


def test_the_plan_by_hand_is_the_one_that_the_stack_exports() -> None:
    outputs = record_program("prod", overrides=all_served()).exports
    assert planned(served(), "nightly", SOURCE, outputs["keyArn"]) == Plan.parse(outputs["batchTransforms"]["nightly"])


@pytest.mark.parametrize(
    ("model", "source", "why"),
    [
        ("churn", SOURCE, "no approved version of churn is served by batches in slipway-prod; there are: nightly"),
        ("queue", SOURCE, "there are: nightly"),
        ("nightly", "s3://elsewhere/nightly/rows/", f"jobs of nightly read below s3://{BUCKET}/nightly/rows/"),
        ("nightly", f"s3://{BUCKET}/nightly/data/", f"jobs of nightly read below s3://{BUCKET}/nightly/rows/"),
    ],
)
def test_what_no_job_could_do_is_refused_before_it_is_asked_for(model: str, source: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        planned(served(), model, source, "key")


@mock_aws
def test_one_batch_is_run_and_its_answers_are_brought_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    clients: dict[str, Any] = {name: make_client(name) for name in ("s3", "kms", "sagemaker")}
    key = clients["kms"].create_key()["KeyMetadata"]["KeyId"]
    clients["kms"].create_alias(AliasName="alias/slipway-prod", TargetKeyId=key)
    clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    clients["s3"].put_object(Bucket=BUCKET, Key="nightly/rows/1.csv", Body=b"1,2\n")
    address = transform(served(), clients.__getitem__, "nightly", SOURCE, "").removeprefix("answers: ")
    assert "Completed" in capsys.readouterr().err
    clients["s3"].put_object(
        Bucket=BUCKET, Key=f"{address}/deep/1.csv.out".removeprefix(f"s3://{BUCKET}/"), Body=b"0.5\n"
    )
    assert transform(served(), clients.__getitem__, "nightly", SOURCE, str(tmp_path)).splitlines() == [
        f"answers: {address}",
        str(tmp_path / "deep/1.csv.out"),
    ]
    assert (tmp_path / "deep/1.csv.out").read_bytes() == b"0.5\n"


@mock_aws
def test_an_answer_whose_name_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    s3 = cast("S3Client", make_client("s3"))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="nightly/batches/1/../../x", Body=b"")
    with pytest.raises(LifecycleError, match="leads out"):
        bring_answers(s3, f"s3://{BUCKET}/nightly/batches/1", tmp_path / "answers")
