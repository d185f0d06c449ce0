"""What is told to MLflow of a version, and how; `tests/loop/test_tracking.py` tells it to MLflow itself."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.credentials import Credentials

from tests.support.tracked import GROUP, IMAGE, changed, registry
from tracking import handler, mlflow
from tracking.handler import record
from tracking.mlflow import Mlflow, MlflowError
from tracking.version import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

    from tests.support.tracked import Versions

APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-ABCD1234"


@pytest.fixture
def versions() -> Iterator[Versions]:
    yield from registry()


class Wire:
    """Keeps requests and answers them in order."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.requests: list[AWSPreparedRequest] = []
        self._answers = iter(answers)

    def __call__(self, **_: object) -> Wire:
        """Take the place of the session's class."""
        return self

    def send(self, request: AWSPreparedRequest) -> object:
        """Answer the next request."""
        self.requests.append(request)
        status, document = next(self._answers)
        return SimpleNamespace(status_code=status, text=json.dumps(document))

    def told(self) -> dict[str, dict[str, Any]]:
        """Bodies by the last words of the path."""
        posted = [each for each in self.requests if each.method == "POST"]
        return {str(each.url).partition("/mlflow/")[2]: json.loads(_content(each)) for each in posted}


FOUND: tuple[int, object] = (200, {"experiment": {"experiment_id": "7"}})
MADE: tuple[int, object] = (200, {"run": {"info": {"run_id": "r"}}})
DONE: tuple[int, object] = (200, {})


def app(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, object]) -> tuple[Mlflow, Wire]:
    wire = Wire(*answers)
    monkeypatch.setattr(mlflow, "URLLib3Session", wire)
    return Mlflow(APP, Credentials("AKID", "no secret", "session")), wire


def test_a_version_is_read_with_what_it_learnt_with_how_well_and_where_it_comes_from(versions: Versions) -> None:
    found = read(versions.sagemaker, versions.s3, versions.register(0.75, "0.05"))
    assert (found.number, found.group, found.approval) == (1, GROUP, "PendingManualApproval")
    assert found.parameters == {"eta": "0.05", "objective": "binary:logistic"}
    assert {each.key: each.value for each in found.metrics} == {
        "evaluation/auc": 0.75,
        "evaluation/accuracy": 0.9,
        "train/round": 40.0,
        "validation/auc": 0.74,
        "final/auc": 0.75,
    }
    assert found.lineage["data-version"] == "data of 0.05"
    assert found.lineage["image-digest"] == IMAGE
    assert 0 < found.started <= found.ended


def test_a_version_that_was_promoted_has_the_metrics_that_came_with_it_and_no_training_here(versions: Versions) -> None:
    origin = "arn:aws:sagemaker:eu-central-1:999999999999:model-package/slipway-staging-m/4"
    found = read(versions.sagemaker, versions.s3, versions.register(0.75, origin=origin))
    assert found.parameters == {}
    assert {each.key for each in found.metrics} == {"evaluation/auc", "evaluation/accuracy"}
    assert found.lineage["promoted-from"] == origin
    assert found.started == found.ended


def test_requests_are_signed_and_addressed_as_sagemakers_plug_in_does(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, wire = app(monkeypatch, FOUND, DONE, MADE, DONE, DONE)
    record(versions.sagemaker, versions.s3, client, changed(versions.register(0.75)))
    assert len(wire.requests) == 5
    for request in wire.requests:
        headers = {str(name).lower(): value for name, value in request.headers.items()}
        assert str(request.url).startswith("https://mlflow.sagemaker.eu-central-1.app.aws/api/2.0/mlflow/")
        assert _text(headers["x-sm-mlflow-app-arn"]) == APP
        assert _text(headers["x-amz-content-sha256"]) == hashlib.sha256(_content(request)).hexdigest()
        signature = _text(headers["authorization"])
        assert "/eu-central-1/sagemaker/aws4_request" in signature
        assert "x-sm-mlflow-app-arn" in signature


def _content(request: AWSPreparedRequest) -> bytes:
    """The body; a request that reads has none."""
    return cast("bytes | None", request.body) or b""


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_a_run_that_is_there_is_told_again_and_not_made_again(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = versions.register(0.75)
    client, wire = app(monkeypatch, FOUND, (200, {"runs": [{"info": {"run_id": "old"}}]}), DONE, DONE)
    assert record(versions.sagemaker, versions.s3, client, changed(arn))["run"] == "old"
    told = wire.told()
    assert list(told) == ["runs/search", "runs/log-batch", "runs/update"]
    assert told["runs/search"]["filter"] == f"tags.`slipway.version` = '{arn}'"
    assert told["runs/search"]["experiment_ids"] == ["7"]


def test_an_experiment_is_made_only_where_there_is_none(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    event = changed(versions.register(0.75))
    missing = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
    client, wire = app(monkeypatch, missing, (200, {"experiment_id": "8"}), DONE, MADE, DONE, DONE)
    record(versions.sagemaker, versions.s3, client, event)
    assert wire.told()["experiments/create"] == {"name": GROUP}
    assert wire.told()["runs/create"]["experiment_id"] == "8"

    refused, wire = app(monkeypatch, (403, {"message": "not authorized"}))
    with pytest.raises(MlflowError, match=r"experiments/get-by-name: status 403, .*not authorized"):
        record(versions.sagemaker, versions.s3, refused, event)
    assert len(wire.requests) == 1


def test_what_one_request_takes_is_more_than_the_registry_can_hold(versions: Versions) -> None:
    """MLflow takes 100 parameters and 100 tags in a batch; SageMaker 100 hyperparameters and 50 properties."""
    shape = versions.sagemaker.meta.service_model.shape_for
    assert shape("HyperParameters").metadata["max"] <= 100
    assert shape("CustomerMetadataMap").metadata["max"] + 3 <= 100
    assert shape("HyperParameterValue").metadata["max"] <= 6000


def test_an_event_about_no_version_is_an_error_so_that_it_is_kept(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = app(monkeypatch)
    with pytest.raises(KeyError, match="ModelPackageArn"):
        record(versions.sagemaker, versions.s3, client, {"detail": {}})


def test_the_function_finds_app_region_and_credentials_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    given = {"APP_ARN": APP, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in {**given, "HOME": "/nonexistent"}.items():
        monkeypatch.setenv(name, value)
    handler.lambda_clients.cache_clear()
    with pytest.raises(RuntimeError, match="no AWS credentials"):
        handler.lambda_clients()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no secret")
    sagemaker, s3, _ = handler.lambda_clients()
    handler.lambda_clients.cache_clear()
    assert {sagemaker.meta.region_name, s3.meta.region_name} == {"eu-central-1"}
