"""Retrain or not, and why: a pure function of settings, records, what lies in the bucket, and the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from retraining.facts import OPEN, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from retraining.facts import Book, Fact, ModelSettings, Run

DAY_SECONDS: Final = 86_400
MONTH_SECONDS: Final = 30 * DAY_SECONDS
SKEW_SECONDS: Final = 300
"""A record from further in the future was written by a clock that was wrong: it counts as old."""
SHOWN: Final = 3
"""Facts of a kind that a reason names one by one."""


class Verdict(StrEnum):
    """What is to be done now."""

    START = "start"
    WAIT = "wait"
    """There is a reason, but its time has not come."""
    NOTHING = "nothing"
    """There is no reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done, why, and for which facts."""

    verdict: Verdict
    reasons: tuple[str, ...]
    covers: frozenset[str] = frozenset()
    """Facts that are answered by a start."""
    image: str = ""
    """Image that the newest request names; empty for that of the version in service."""
    instance: str = ""
    """Instance type to train on."""
    asked: bool = False
    """Whether something else than new data asks for the start: then the same data is trained on again."""


def decide(settings: ModelSettings, book: Book, current: Collection[str], now: float) -> Decision:
    """Decide about one model.

    Args:
        settings: Of the model.
        book: What is recorded of it.
        current: Ids of the facts whose object is the latest of its key.
        now: Seconds since 1970.
    """
    pending = book.pending
    data = [fact for fact in pending if fact.kind is Kind.DATA and fact.id in current]
    asking = [fact for fact in pending if fact.kind is not Kind.DATA]
    outdated = len(pending) - len(data) - len(asking)
    short, instead = _instead(settings, book)
    because = [f"run {short.number} found no {short.instance}: {instead} instead"] if short is not None else []
    because += [_named(kind, found) for kind in Kind if (found := [fact for fact in asking if fact.kind is kind])]
    ready, waiting = _data(settings, data, now)
    if data:
        because.append(_named(Kind.DATA, data))
    if outdated:
        because.append(f"{outdated} of its events are about versions of objects that are not the latest any more")
    if not data and not asking and short is None:
        return Decision(verdict=Verdict.NOTHING, reasons=tuple(because or ["nothing new"]))
    against = _against(settings, book, now) if asking or ready or short is not None else [waiting]
    if against:
        return Decision(verdict=Verdict.WAIT, reasons=(*because, *against))
    named = [short.image] if short is not None else []
    named += [fact.image for fact in asking if fact.image]
    return Decision(
        verdict=Verdict.START,
        reasons=tuple(because),
        covers=frozenset(fact.id for fact in pending),
        image=named[-1] if named else "",
        instance=instead,
        asked=bool(asking) or short is not None,
    )


def _instead(settings: ModelSettings, book: Book) -> tuple[Run | None, str]:
    """The newest run if AWS had no host for it and there is another type to try, and that type; else the first type."""
    last = book.last
    if last is not None and last.status is Status.NO_CAPACITY and (another := settings.after(last.instance)):
        return last, another
    return None, settings.instances[0]


def _named(kind: Kind, facts: Sequence[Fact]) -> str:
    more = f" and {len(facts) - SHOWN} more" if len(facts) > SHOWN else ""
    return f"{kind}: {', '.join(fact.note for fact in facts[:SHOWN])}{more}"


def _data(settings: ModelSettings, data: Sequence[Fact], now: float) -> tuple[bool, str]:
    """Whether the objects that have arrived are enough to start, and why not."""
    enough = settings.new_data
    if not data or enough is None:
        return False, "new data alone starts nothing here"
    if len(data) < enough.minimum_objects:
        return False, f"{len(data)} of at least {enough.minimum_objects} objects have arrived"
    quiet = enough.quiet_seconds - min(_age(fact.at, now) for fact in data)
    longest = enough.longest_seconds - _age(data[0].at, now)
    wait = min(quiet, longest)
    return wait <= 0, f"more may arrive: {wait:.0f} s to wait if nothing does"


def _age(at: float, now: float) -> float:
    """Seconds since a record was written; endless if its clock was wrong."""
    return float("inf") if at - now > SKEW_SECONDS else max(0.0, now - at)


def _against(settings: ModelSettings, book: Book, now: float) -> list[str]:
    """What forbids a start that somebody has a reason for."""
    last = book.last
    if last is not None and last.status in OPEN:
        return [f"run {last.number} is {last.status}"]
    bounds = ((settings.daily_runs, DAY_SECONDS, "24 hours"), (settings.monthly_runs, MONTH_SECONDS, "30 days"))
    return [
        f"{runs} runs in {words}, {bound} are allowed"
        for bound, seconds, words in bounds
        if bound is not None and (runs := sum(abs(now - run.at) < seconds for run in book.started)) >= bound
    ]
