"""Batch transforms of the stack: what it tells those who start jobs, and what these may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.stub import ANY, Stubber

from lifecycle.transforms import Plan, transform_request
from tests.functions.test_steps import make_client
from tests.support.iam_evaluator import may
from tests.support.recorded import Recorded, record_program
from tests.support.targets import all_served

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

ROLE = "slipway-prod-nightly-batch"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:777788889999:"
BUCKET = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-models/"


def recorded() -> Recorded:
    return record_program("prod", overrides=all_served())


def plan() -> dict[str, Any]:
    (only,) = recorded().exports["batchTransforms"].values()
    return only


def request() -> dict[str, Any]:
    source = "s3://slipway-prod-777788889999-us-east-1-models/nightly/rows/"
    return dict(transform_request(Plan.parse(plan()), source, "version", 1))


def test_the_stack_tells_all_that_sagemaker_asks_for_but_the_data() -> None:
    client = cast("SageMakerClient", make_client("sagemaker"))
    with Stubber(client) as stub:
        arn = f"{SAGEMAKER}transform-job/x"
        stub.add_response("create_transform_job", {"TransformJobArn": arn}, dict.fromkeys(request(), ANY))
        client.create_transform_job(**request())


def test_a_job_runs_the_served_model_encrypts_what_it_writes_and_keeps_to_its_prefix() -> None:
    found = request()
    assert found["ModelName"] == recorded().one("aws:sagemaker/model:Model", "registry-nightly-approved").inputs["name"]
    output, hosts = found["TransformOutput"], found["TransformResources"]
    assert output["KmsKeyId"] == hosts["VolumeKmsKeyId"] == recorded().exports["keyArn"]
    assert output["S3OutputPath"].startswith("s3://slipway-prod-777788889999-us-east-1-models/nightly/batches/")
    assert found["MaxPayloadInMB"] * found["MaxConcurrentTransforms"] <= 100
    assert {tag["Key"] for tag in found["Tags"]} >= {"Project", "Environment"}


def test_whoever_starts_jobs_starts_those_of_the_model_on_the_hosts_of_the_settings_and_nothing_else() -> None:
    job = f"{SAGEMAKER}transform-job/{request()['TransformJobName']}"
    hosts, model = request()["TransformResources"]["InstanceType"], f"{SAGEMAKER}model/{request()['ModelName']}"
    given = {"sagemaker:InstanceTypes": hosts, "sagemaker:ModelArn": model}

    def starts(resource: str, **changed: str) -> bool:
        context = {**given, **{f"sagemaker:{key}": value for key, value in changed.items()}}
        return may(recorded(), ROLE, "sagemaker:CreateTransformJob", resource, context)

    assert starts(job)
    assert not starts(job, InstanceTypes="ml.p4d.24xlarge")
    assert not starts(job, ModelArn=f"{SAGEMAKER}model/another")
    assert not starts(f"{SAGEMAKER}transform-job/another")
    for action in ("sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"):
        assert may(recorded(), ROLE, action, job, {})
    assert may(recorded(), ROLE, "s3:GetObject", f"{BUCKET}nightly/rows/x", {})
    assert may(recorded(), ROLE, "s3:GetObject", f"{BUCKET}nightly/batches/x", {})
    for other in ("queue/rows", "nightly/data", "nightly/jobs", "nightly/captures"):
        assert not may(recorded(), ROLE, "s3:GetObject", f"{BUCKET}{other}/x", {})
    for action in ("s3:PutObject", "iam:PassRole", "sagemaker:CreateTrainingJob"):
        assert not may(recorded(), ROLE, action, f"{BUCKET}nightly/batches/x", {})


def test_a_function_can_become_the_role_for_lambda_tells_no_source() -> None:
    (role,) = (one for one in recorded().of_type("aws:iam/role:Role") if one.inputs["name"] == ROLE)
    (statement,) = role.policy("assumeRolePolicy")["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert "Condition" not in statement


def test_only_models_that_batches_serve_have_a_plan() -> None:
    assert set(recorded().exports["batchTransforms"]) == {"nightly"}
    assert record_program("prod").exports["batchTransforms"] == {}
