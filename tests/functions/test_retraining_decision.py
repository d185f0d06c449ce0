"""Retrain or not, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retraining.decision import DAY_SECONDS, MONTH_SECONDS, Verdict, decide
from retraining.facts import Book, Fact, Kind, NewData, Run, Status
from tests.support.retraining import IMAGE, MODEL, SETTINGS

NOW = 1_700_000_000.0
QUIET, LONGEST = 600.0, 3600.0


def fact(number: int, *, ago: float = 0.0, kind: Kind = Kind.DATA, image: str = "") -> Fact:
    return Fact(model=MODEL, kind=kind, id=f"{number:016x}", at=NOW - ago, note=f"note {number}", image=image)


def run(
    number: int,
    *,
    ago: float,
    status: Status = Status.SUCCEEDED,
    covers: tuple[Fact, ...] = (),
    instance: str = SETTINGS.instances[0],
) -> Run:
    ids = frozenset(each.id for each in covers)
    return Run(
        model=MODEL,
        number=number,
        token=f"token {number}",
        at=NOW - ago,
        covers=ids,
        data_version="d",
        image=IMAGE,
        instance=instance,
        reasons=(),
        status=status,
    )


def verdict(*facts: Fact, runs: tuple[Run, ...] = (), minimum: int = 1) -> tuple[Verdict, str]:
    enough = NewData(quiet_seconds=QUIET, longest_seconds=LONGEST, minimum_objects=minimum)
    settings = replace(SETTINGS, new_data=enough, daily_runs=2, monthly_runs=3)
    found = decide(settings, Book(facts, runs), {each.id for each in facts}, NOW)
    return found.verdict, "; ".join(found.reasons)


def test_without_a_reason_nothing_happens() -> None:
    assert verdict() == (Verdict.NOTHING, "nothing new")


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        ((QUIET,), Verdict.START),
        ((QUIET - 1,), Verdict.WAIT),
        ((QUIET * 2, QUIET - 1), Verdict.WAIT),
        ((LONGEST, 0), Verdict.START),
        ((LONGEST - 1, 0), Verdict.WAIT),
    ],
)
def test_new_data_waits_until_no_more_arrives_but_not_for_ever(ago: tuple[float, ...], expected: Verdict) -> None:
    assert verdict(*(fact(number, ago=each) for number, each in enumerate(ago)))[0] is expected


def test_the_time_to_wait_is_told() -> None:
    assert verdict(fact(1, ago=100)) == (Verdict.WAIT, "data: note 1; more may arrive: 500 s to wait if nothing does")


def test_too_few_objects_start_nothing_however_old_they_are() -> None:
    found, why = verdict(fact(1, ago=10 * LONGEST), minimum=2)
    assert (found, why) == (Verdict.WAIT, "data: note 1; 1 of at least 2 objects have arrived")


@pytest.mark.parametrize("kind", [Kind.SCHEDULE, Kind.DRIFT, Kind.HAND])
def test_what_asks_for_a_training_does_not_wait_for_data(kind: Kind) -> None:
    found, why = verdict(fact(1, kind=kind), fact(2), minimum=9)
    assert (found, why) == (Verdict.START, f"{kind}: note 1; data: note 2")


def test_everything_that_is_pending_is_answered_by_one_run() -> None:
    facts = [fact(1, ago=QUIET), fact(2, ago=QUIET), fact(3, kind=Kind.DRIFT), fact(4, kind=Kind.HAND)]
    found = decide(SETTINGS, Book(facts), {fact.id for fact in facts}, NOW)
    assert found.covers == {each.id for each in facts}


def test_what_a_run_has_answered_is_no_reason_again() -> None:
    old = fact(1, ago=QUIET)
    assert verdict(old, runs=(run(1, ago=60, covers=(old,)),))[0] is Verdict.NOTHING


@pytest.mark.parametrize("status", [Status.CLAIMED, Status.RUNNING])
def test_one_run_at_a_time(status: Status) -> None:
    found, why = verdict(fact(1, kind=Kind.HAND), runs=(run(7, ago=60, status=status),))
    assert (found, why) == (Verdict.WAIT, f"hand: note 1; run 7 is {status}")


@pytest.mark.parametrize(
    ("ago", "expected", "why"),
    [
        ((60, 120), Verdict.WAIT, "2 runs in 24 hours, 2 are allowed"),
        ((60, DAY_SECONDS + 1), Verdict.START, ""),
        ((60, 2 * DAY_SECONDS, 3 * DAY_SECONDS), Verdict.WAIT, "3 runs in 30 days, 3 are allowed"),
        ((60, 2 * DAY_SECONDS, MONTH_SECONDS + 1), Verdict.START, ""),
    ],
)
def test_runs_have_a_budget(ago: tuple[float, ...], expected: Verdict, why: str) -> None:
    runs = tuple(run(number, ago=each) for number, each in enumerate(reversed(ago), start=1))
    found, said = verdict(fact(1, kind=Kind.HAND), runs=runs)
    assert found is expected
    assert why in said


def test_what_was_not_started_costs_nothing_of_the_budget() -> None:
    spared = tuple(run(number, ago=60, status=Status.SPARED) for number in range(1, 9))
    assert verdict(fact(1, kind=Kind.HAND), runs=spared)[0] is Verdict.START


def test_a_version_of_an_object_that_is_not_the_latest_is_no_reason() -> None:
    old, new = fact(1, ago=QUIET), fact(2, ago=QUIET)
    assert decide(SETTINGS, Book([old]), {new.id}, NOW).verdict is Verdict.NOTHING
    found = decide(SETTINGS, Book([old, new]), {new.id}, NOW)
    assert found.verdict is Verdict.START
    assert old.id in found.covers
    assert "1 of its events are about versions of objects that are not the latest any more" in found.reasons


@pytest.mark.parametrize(("ahead", "expected"), [(299, Verdict.WAIT), (301, Verdict.START)])
def test_a_record_of_a_clock_that_was_wrong_does_not_wait_until_it_is_right(ahead: float, expected: Verdict) -> None:
    assert verdict(fact(1, ago=-ahead))[0] is expected


def test_the_newest_request_names_the_image() -> None:
    first, second = (fact(number, ago=9 - number, kind=Kind.HAND, image=f"image {number}") for number in (1, 2))
    assert decide(SETTINGS, Book([second, first, fact(3, kind=Kind.HAND)]), set(), NOW).image == "image 2"


def test_a_run_without_capacity_goes_on_with_the_next_type_and_the_last_one_ends_it() -> None:
    first, second, last = SETTINGS.instances
    later = fact(2, ago=0.0)
    old = run(1, ago=DAY_SECONDS, status=Status.NO_CAPACITY, instance=first)

    found = decide(SETTINGS, Book((later,), (old,)), {later.id}, NOW)
    assert (found.verdict, found.instance, found.image, found.asked) == (Verdict.START, second, IMAGE, True)
    assert found.reasons[0] == f"run 1 found no {first}: {second} instead"
    assert found.covers == {later.id}, "what has arrived meanwhile is trained on, too"

    tried = run(2, ago=1.0, status=Status.NO_CAPACITY, instance=second)
    assert decide(SETTINGS, Book((), (old, tried)), (), NOW).instance == last
    ended = replace(tried, instance=last)
    assert decide(SETTINGS, Book((), (old, ended)), (), NOW).verdict is Verdict.NOTHING, "the door calls it failed"

    asked = fact(3, kind=Kind.HAND)
    assert decide(SETTINGS, Book((asked,), (ended,)), (), NOW).instance == first, "a new reason begins anew"


def test_another_type_is_not_taken_beyond_the_runs_that_are_allowed() -> None:
    short = run(1, ago=60.0, status=Status.NO_CAPACITY)
    found = decide(replace(SETTINGS, daily_runs=1), Book((), (short,)), (), NOW)
    assert found.verdict is Verdict.WAIT
    assert found.reasons[-1] == "1 runs in 24 hours, 1 are allowed"


def test_a_type_that_the_settings_no_longer_name_is_followed_by_the_first_fallback() -> None:
    short = run(1, ago=60.0, status=Status.NO_CAPACITY, instance="ml.c4.xlarge")
    assert decide(SETTINGS, Book((), (short,)), (), NOW).instance == SETTINGS.instances[1]
    assert decide(replace(SETTINGS, instances=SETTINGS.instances[:1]), Book((), (short,)), (), NOW).reasons == (
        "nothing new",
    )
