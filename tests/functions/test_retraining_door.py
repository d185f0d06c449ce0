"""The door as a whole, on an account in memory: what an event leads to, and what trouble does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from retraining.decision import Verdict
from retraining.facts import Kind, Status
from retraining.handler import counts
from tests.support.retraining import DAY, IMAGE, MODEL, RECEIVES, Account, Killed, MemoryWorld, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retraining.facts import ModelSettings

Trigger = Callable[[Account], dict[str, Any]]
TRAIN, VALIDATION = f"{MODEL}/train/2013-01.csv", f"{MODEL}/validation/2013-01.csv"
QUIET = 600.0


@pytest.fixture
def account() -> Account:
    """Two objects, which one run has had."""
    account = Account()
    for key in (TRAIN, VALIDATION):
        account.world.put(key)
    account.deliver(account.requested("the first training"))
    account.wait(DAY)
    assert [run.status for run in account.runs] == [Status.SUCCEEDED]
    return account


def new_month(account: Account) -> dict[str, Any]:
    key = f"{MODEL}/train/2013-02.csv"
    return account.created(key, account.world.put(key))


TRIGGERS: dict[str, Trigger] = {
    "data": new_month,
    "schedule": Account.scheduled,
    "drift": Account.drifted,
    "hand": Account.requested,
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_five_deliveries_of_an_event_in_two_batches_start_one_execution(account: Account, trigger: Trigger) -> None:
    event = trigger(account)
    account.deliver(event, event, event)
    account.deliver(event, event)
    account.wait(QUIET, finish=None)
    account.wait(QUIET)
    account.deliver(event)
    account.wait(QUIET)

    assert len(account.executions) == 2
    assert account.pending == []


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_every_decision_names_its_reason(account: Account, trigger: Trigger) -> None:
    event = trigger(account)
    account.deliver(event)
    account.wait(QUIET, finish=None)
    kind = next(name for name, each in TRIGGERS.items() if each is trigger)
    assert [reason.partition(":")[0] for reason in account.runs[-1].reasons] == [kind]


def test_the_same_data_is_not_trained_on_again_for_new_events_alone(account: Account) -> None:
    version = account.world.objects[TRAIN]
    account.deliver(account.created(TRAIN, "an older version"), account.created(TRAIN, version))
    account.wait(QUIET)
    account.wait(QUIET)
    assert len(account.executions) == 1


def test_what_arrives_between_listing_and_digest_is_trained_on_once(account: Account) -> None:
    account.deliver(new_month(account))
    key, image = f"{MODEL}/train/2013-03.csv", account.world.image

    def meanwhile(self: MemoryWorld, settings: ModelSettings) -> str:
        if key not in self.objects:
            self.put(key)
        return image(settings)

    with mock.patch.object(MemoryWorld, "image", meanwhile):
        account.wait(QUIET)
    account.deliver(account.created(key, account.world.objects[key]))
    account.wait(QUIET)
    account.wait(QUIET)

    assert len(account.executions) == 2
    assert account.runs[-1].status is Status.SPARED
    assert account.runs[-1].reasons[-1] == "run 2 has had this data"
    assert account.pending == []


def test_an_object_that_no_event_announced_is_found_by_the_next_tick(account: Account) -> None:
    new_month(account)
    found = account.wait(300)
    assert [outcome.found for outcome in found.outcomes] == [1]
    account.wait(QUIET)
    assert len(account.executions) == 2


def test_what_a_pipeline_writes_is_no_reason_to_run_it_again(account: Account) -> None:
    outputs = [("models", f"{MODEL}/jobs/1/model.tar.gz"), (account.settings.bucket, f"{MODEL}/holdout/x.csv")]
    found = account.deliver(*(account.created(key, "v1", bucket) for bucket, key in outputs))
    assert found.outcomes == []
    assert len(found.ignored) == 2
    assert account.pending == []


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_that_ends_starts_nothing(account: Account, state: str) -> None:
    found = account.deliver(account.drifted(state=state))
    assert found.ignored == [f"alarm slipway-test-{MODEL}-drift-data is {state}"]
    assert len(account.executions) == 1


def test_requests_during_a_run_are_answered_together_by_the_next(account: Account) -> None:
    account.deliver(account.drifted("data"))
    waiting = account.deliver(account.drifted("prediction"), account.scheduled(), account.requested())
    assert [outcome.verdict for outcome in waiting.outcomes] == [Verdict.WAIT]
    account.wait(60)
    assert [len(run.covers) for run in account.runs[1:]] == [1, 3]
    assert len(account.executions) == 3


def test_a_request_names_the_image_and_others_take_the_approved_one(account: Account) -> None:
    other = f"sha256:{'b' * 64}"
    account.deliver(account.requested(imageDigest=other))
    account.wait(60)
    account.deliver(account.scheduled())
    assert [run.image for run in account.runs] == [IMAGE, other, IMAGE]


def test_without_an_approved_version_nothing_says_with_which_image(account: Account) -> None:
    account.world.approved = ""
    found = account.deliver(account.scheduled())
    assert found.outcomes[0].verdict is Verdict.WAIT
    assert found.outcomes[0].reasons[-1].startswith("no version is approved yet")
    account.deliver(account.requested(imageDigest=IMAGE))
    assert len(account.executions) == 2
    assert account.pending == []


POISON: list[tuple[object, str]] = [
    ("no JSON", "Expecting value"),
    ([1], "must be object"),
    ({"source": "aws.s3"}, "must contain"),
    ({"id": "1", "source": "aws.ec2", "detail-type": "x", "time": "-", "detail": {}}, "is no reason to retrain"),
]


@pytest.mark.parametrize(("body", "why"), POISON)
def test_a_poisonous_message_ends_in_the_dead_letter_queue_alone(account: Account, body: object, why: str) -> None:
    account.send(body, account.scheduled())
    account.drain()
    assert len(account.dead) == 1
    assert why in account.answers[-1].refused[0]
    assert sum(len(each.refused) for each in account.answers) == RECEIVES
    assert len(account.executions) == 2


def for_another_model(account: Account) -> dict[str, Any]:
    return account.event("slipway", "Retraining Scheduled", {"model": "other"})


def with_a_tag_for_a_digest(account: Account) -> dict[str, Any]:
    return account.requested(imageDigest="latest")


def of_an_alarm_about_something_else(account: Account) -> dict[str, Any]:
    return account.drifted("cpu")


@pytest.mark.parametrize("event", [for_another_model, with_a_tag_for_a_digest, of_an_alarm_about_something_else])
def test_what_nobody_can_act_on_is_for_a_person(account: Account, event: Trigger) -> None:
    account.send(event(account))
    account.drain()
    assert len(account.dead) == 1


def test_a_redriven_event_starts_one_execution(account: Account) -> None:
    account.fate = lambda: "error before"
    account.send(account.requested())
    account.drain()
    assert len(account.dead) == 1
    account.fate = str
    account.redrive()
    account.drain()
    account.wait(60)
    assert (len(account.dead), len(account.executions)) == (0, 2)


def strike(call: int, what: str) -> Callable[[], str]:
    """Trouble at one call and at no other."""
    fates: Iterator[str] = iter([""] * call + [what])
    return lambda: next(fates, "")


CALLS_OF_A_START = 8
"""Calls of the function when an event comes that starts a run at once."""


@pytest.mark.parametrize("what", ["kill before", "kill after", "error before", "error after"])
@pytest.mark.parametrize("call", range(CALLS_OF_A_START))
def test_trouble_at_any_call_neither_loses_nor_doubles_a_start(account: Account, call: int, what: str) -> None:
    account.send(account.drifted())
    account.fate = strike(call, what)
    account.drain()
    account.wait(60, finish=None)
    account.wait(60)
    assert len(account.executions) == 2
    assert account.pending == []
    account.deliver(account.scheduled())
    assert len(account.executions) == 3, "the next event works"


def test_these_are_all_calls_of_a_start(account: Account) -> None:
    calls = list[str]()
    account.fate = lambda: calls.append("") or ""
    account.deliver(account.drifted())
    assert len(calls) == CALLS_OF_A_START


def test_a_start_whose_token_is_forgotten_is_found_by_its_name(account: Account) -> None:
    account.send(account.drifted())
    account.fate = strike(CALLS_OF_A_START - 2, "kill after")
    account.run(*account.queue)
    assert account.runs[-1].status is Status.CLAIMED
    account.wait(2 * DAY)
    assert len(account.executions) == 2
    assert account.runs[-1].arn == f"{account.settings.pipeline}/1"


def test_trouble_of_a_step_is_told_and_leaves_the_event_done(account: Account) -> None:
    account.fate = strike(1, "error before")
    found = account.deliver(account.scheduled())
    assert found.troubles == {MODEL: "Trouble: read"}
    assert found.response == {"batchItemFailures": []}
    assert [fact.kind for fact in account.pending] == [Kind.SCHEDULE]


def test_a_run_that_somebody_stopped_is_told_like_one_that_failed(account: Account) -> None:
    account.deliver(account.requested("again"))
    found = account.wait(QUIET, finish=Status.STOPPED)
    assert account.runs[-1].status is Status.STOPPED
    assert counts(found)["RunsFailed"] == 1
    assert counts(account.deliver(account.tick()))["RunsFailed"] == 0, "once"


def test_the_kinds_of_trouble_are_what_they_are_called() -> None:
    assert issubclass(Trouble, Exception)
    assert not issubclass(Killed, Exception)


def test_a_run_without_a_host_goes_through_the_types_of_the_settings_and_then_has_failed(account: Account) -> None:
    first, *others = account.settings.instances
    account.deliver(account.requested("again"))
    for instance in others:
        account.wait(QUIET, finish=Status.NO_CAPACITY)
        assert (account.runs[-1].instance, account.runs[-1].status) == (instance, Status.RUNNING)
    found = account.wait(QUIET, finish=Status.NO_CAPACITY)

    tried = account.runs[1:]
    assert [run.instance for run in tried] == [first, *others]
    assert [run.status for run in tried] == [Status.NO_CAPACITY, Status.NO_CAPACITY, Status.FAILED]
    assert len({(run.data_version, run.image) for run in tried}) == 1
    assert counts(found)["RunsFailed"] == 1
    account.deliver(account.tick())
    assert len(account.runs) == 4
    account.wait(DAY)
    account.deliver(account.requested("once more"))
    assert account.runs[-1].instance == first
