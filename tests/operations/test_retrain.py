"""A request by hand is one that the function reads; a redrive moves to the queue that feeds it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operations.retrain import RefusedError, ask, main, redrive
from retraining.events import Reader
from retraining.facts import Fact, Kind
from settings.check import load_file
from tests.settings.stacks import stack_file
from tests.support.retraining import IMAGE, MODEL, SETTINGS


class Cloud:
    """Keeps what it is told."""

    def __init__(self, *, failed: int = 0) -> None:
        self.failed, self.entries = failed, list[dict[str, Any]]()
        self.moved: dict[str, str] = {}

    def __call__(self, _service: str) -> Cloud:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:iam::777788889999:role/ann"}

    def put_events(self, **request: list[dict[str, Any]]) -> dict[str, Any]:
        self.entries += request["Entries"]
        return {"FailedEntryCount": self.failed, "Entries": [{"EventId": "e-1", "ErrorCode": "Throttled"}]}

    def start_message_move_task(self, **request: str) -> None:
        self.moved = request


def test_a_request_by_hand_is_read_by_the_function() -> None:
    cloud = Cloud()
    said = ask(load_file(stack_file("prod")), cloud, MODEL, "a new feature", IMAGE)
    [entry] = cloud.entries
    detail = json.loads(entry["Detail"])
    event = {"id": "e-1", "source": entry["Source"], "detail-type": entry["DetailType"], "time": "-", "detail": detail}
    fact = Reader({MODEL: SETTINGS}, "").read(event, 0.0)

    assert entry["EventBusName"] == "slipway-prod"
    assert isinstance(fact, Fact)
    assert (fact.kind, fact.image) == (Kind.HAND, IMAGE)
    assert fact.note == "a new feature (arn:aws:iam::777788889999:role/ann)"
    assert "e-1" in said


@pytest.mark.parametrize(
    ("model", "reason", "failed", "why"),
    [
        ("churn", "x", 0, "prod has no model churn; there are: flight-delay"),
        (MODEL, "", 0, "say why"),
        (MODEL, "x", 1, "Throttled"),
    ],
)
def test_what_leads_to_no_request_is_told(model: str, reason: str, failed: int, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        ask(load_file(stack_file("prod")), Cloud(failed=failed), model, reason, "")


def test_dead_events_return_to_the_queue() -> None:
    cloud = Cloud()
    redrive(load_file(stack_file("staging")), cloud)
    assert cloud.moved["SourceArn"].endswith(":slipway-staging-retraining-dead")
    assert cloud.moved["DestinationArn"] == cloud.moved["SourceArn"].removesuffix("-dead")


def test_a_request_names_a_model_or_a_redrive(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--stack", "prod"])
    assert "--redrive" in capsys.readouterr().err
