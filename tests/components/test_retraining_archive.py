"""The archive of the door as it is deployed: its handler starts one training on APIs of AWS that answer on loopback."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.session import get_session

from components.retraining_function import PROGRAM as ARCHIVE
from retraining import ledger
from retraining.facts import ModelSettings
from sandbox.account import empty_account, reached_by_default
from sandbox.loop.retraining import create_table
from tests.support.archives import run_alone
from tests.support.recorded import record_program

if TYPE_CHECKING:
    from pathlib import Path

REGION = "us-east-1"
IMAGE = f"sha256:{'a' * 64}"
PROGRAM = """
import json
os.environ.update(json.loads(ENVIRONMENT))
from retraining import handler
assert handler.__file__.startswith(sys.argv[1]), handler.__file__
batch = {"Records": [{"messageId": "7", "body": BODY, "eventSource": "aws:sqs"}]}
for _ in range(2):
    print(json.dumps({"answer": handler.lambda_handler(batch, Context())}))
"""


def client(service: str, address: str) -> Any:
    return get_session().create_client(service, region_name=REGION, endpoint_url=address)


def reset(address: str) -> None:
    """Forget what other tests of this process have left."""
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == 200


def fill(address: str, table: str, item: dict[str, Any]) -> ModelSettings:
    """The table with the item that the program declares, data, a pipeline and an approved version."""
    settings = ModelSettings.parse(item[ledger.DOCUMENT]["S"])
    dynamodb, s3, sagemaker = (client(service, address) for service in ("dynamodb", "s3", "sagemaker"))
    create_table(dynamodb, table)
    dynamodb.put_item(TableName=table, Item=item)
    s3.create_bucket(Bucket=settings.bucket)
    s3.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    for prefix in settings.prefixes:
        s3.put_object(Bucket=settings.bucket, Key=f"{prefix}1.csv", Body=b"1")
    sagemaker.create_pipeline(
        PipelineName=settings.pipeline,
        PipelineDefinition="{}",
        ClientRequestToken="t" * 32,
        RoleArn="arn:aws:iam::123456789012:role/r",
    )
    sagemaker.create_model_package_group(ModelPackageGroupName=settings.package_group)
    sagemaker.create_model_package(
        ModelPackageGroupName=settings.package_group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [{"Image": f"r@{IMAGE}", "ModelDataUrl": "s3://m/m.tar.gz"}]},
    )
    return settings


def test_the_archive_starts_one_training_however_often_it_is_asked(tmp_path: Path) -> None:
    recorded = record_program("prod")
    told = recorded.one("aws:lambda/function:Function", "retraining-function").inputs["environment"]["variables"]
    item = json.loads(recorded.one("aws:dynamodb/tableItem:TableItem").inputs["item"])
    detail = {"model": "flight-delay", "reason": "tried", "requestedBy": "ann"}
    kind = {"id": "r1", "source": "slipway", "detail-type": "Retraining Requested", "time": "-"}
    with empty_account("123456789012") as address, reached_by_default(address):
        reset(address)
        settings = fill(address, told["TABLE"], item)
        environment = {
            **told,
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "POWERTOOLS_TRACE_DISABLED": "true",
        }
        given = f"ENVIRONMENT = {json.dumps(environment)!r}\nBODY = {json.dumps({**kind, 'detail': detail})!r}\n"
        said = [json.loads(line) for line in run_alone(ARCHIVE, given + PROGRAM, tmp_path).splitlines()]
        sagemaker = client("sagemaker", address)
        (execution,) = sagemaker.list_pipeline_executions(PipelineName=settings.pipeline)["PipelineExecutionSummaries"]
        found = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution["PipelineExecutionArn"])
        items = client("dynamodb", address).scan(TableName=told["TABLE"])["Items"]

    assert [each["answer"] for each in said if "answer" in each] == [{"batchItemFailures": []}] * 2
    decided = [each["message"] for each in said if "verdict" in each.get("message", ())]
    assert [(each["verdict"], each["run"]["execution"]) for each in decided] == [
        ("start", execution["PipelineExecutionArn"])
    ]
    parameters = {each["Name"]: each["Value"] for each in found["PipelineParameters"]}
    assert parameters["ImageDigest"] == IMAGE
    assert sorted(each["what"]["S"].partition("#")[0] for each in items) == [
        "fact",
        "fact",
        "fact",
        "flight-delay",
        "run",
    ]
    counted = [each for each in said if "RunsStarted" in each]
    assert [(each["RunsStarted"], each["RepeatedFacts"], each["Troubles"]) for each in counted] == [
        ([1.0], [0.0], [0.0]),
        ([0.0], [1.0], [0.0]),
    ]
