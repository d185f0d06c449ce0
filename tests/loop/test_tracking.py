"""Versions of a model in a real tracking server of MLflow: each is one run, and two of them are compared there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from tests.support.mlflow_server import tracking_server, values
from tests.support.tracked import GROUP, IMAGE, changed, registry
from tracking.handler import record
from tracking.mlflow import Mlflow, MlflowError
from tracking.version import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

    from tests.support.mlflow_server import TrackingServer
    from tests.support.tracked import Versions

pytestmark = pytest.mark.loop
APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-LOCAL"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with tracking_server(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture
def versions() -> Iterator[Versions]:
    yield from registry()


@pytest.fixture
def client(server: TrackingServer) -> Mlflow:
    return Mlflow(APP, Credentials("loopback", "loopback"), server.endpoint)


def test_two_versions_are_compared_in_mlflow_however_often_and_in_whatever_order_their_events_come(
    server: TrackingServer, versions: Versions, client: Mlflow
) -> None:
    first, second = versions.register(0.71, "0.1"), versions.register(0.75, "0.05")
    for arn in (second, first, second, first, second, second, first, second):
        record(versions.sagemaker, versions.s3, client, changed(arn))

    best, other = server.runs(GROUP, "metrics.`evaluation/auc` DESC")
    assert [each["info"]["run_name"] for each in (best, other)] == ["version 2", "version 1"]
    assert [values(each, "metrics")["evaluation/auc"] for each in (best, other)] == [0.75, 0.71]
    differ = values(best, "params").items() ^ values(other, "params").items()
    assert differ == {("eta", "0.05"), ("eta", "0.1")}
    assert values(best, "metrics").keys() == {
        *("evaluation/auc", "evaluation/accuracy", "train/round", "validation/auc", "final/auc")
    }
    tags = values(best, "tags")
    assert (tags["slipway.version"], tags["slipway.data-version"]) == (second, "data of 0.05")
    assert (tags["slipway.image-digest"], tags["slipway.approval"]) == (IMAGE, "PendingManualApproval")
    assert {each["info"]["status"] for each in (best, other)} == {"FINISHED"}

    versions.approve(second)
    record(versions.sagemaker, versions.s3, client, changed(second))
    assert [values(run, "tags")["slipway.approval"] for run in server.runs(GROUP)].count("Approved") == 1


def test_a_copy_that_was_interrupted_anywhere_is_completed_by_the_next_event_as_the_same_run(
    server: TrackingServer, versions: Versions, client: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, send = f"{GROUP}-2", URLLib3Session.send
    arns = [versions.register(0.7 + after / 100, group=group) for after in range(5)]
    for after, arn in enumerate(arns):
        left = iter(range(after))

        def dying(session: URLLib3Session, request: AWSPreparedRequest, left: Iterator[int] = left) -> object:
            if next(left, None) is None:
                raise InterruptedError
            return send(session, request)

        version = read(versions.sagemaker, versions.s3, arn)
        with monkeypatch.context() as patched:
            patched.setattr(URLLib3Session, "send", dying)
            with pytest.raises(InterruptedError):
                client.record(version)
    for arn in arns:
        record(versions.sagemaker, versions.s3, client, changed(arn))

    runs = server.runs(group)
    assert sorted(values(each, "tags")["slipway.version"] for each in runs) == arns
    assert {each["info"]["status"] for each in runs} == {"FINISHED"}
    assert {values(each, "params")["eta"] for each in runs} == {"0.1"}


def test_what_mlflow_refuses_is_an_error_that_says_why(server: TrackingServer, versions: Versions) -> None:
    client = Mlflow(APP, Credentials("loopback", "loopback"), f"{server.endpoint}/elsewhere")
    with pytest.raises(MlflowError, match=r"experiments/create: status 404"):
        record(versions.sagemaker, versions.s3, client, changed(versions.register(0.7)))
