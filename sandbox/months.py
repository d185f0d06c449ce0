"""`make up MONTHS=1,2 POISON=labels`: months that arrive in environment `local`, and one that is bad."""

from __future__ import annotations

import calendar
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.loop import flights, run, services
from sandbox.loop.poisons import POISONS
from sandbox.loop.processes import running
from sandbox.loop.spec import LoopError, LoopPaths, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.console import Console
    from sandbox.loop.spec import LoopSpec

FEWEST_WITH_POISON: Final = 2
"""A bad month is one beside good ones."""


def months_of(text: str) -> tuple[int, ...]:
    """Numbers of months that are named, separated by commas; January to June for an empty text.

    Raises:
        LoopError: They are no months, not in order, or the one that is held out is among them.
    """
    if not text:
        return flights.TRAINING_MONTHS
    known = [number for number in range(1, len(calendar.month_name)) if number != flights.HOLDOUT_MONTH]
    numbers = [int(word) if word.isdecimal() else 0 for word in text.split(",")]
    if numbers != sorted(set(numbers) & set(known)):
        raise LoopError(
            f"MONTHS={text}: write months of 2013 in order, separated by commas and without {flights.HOLDOUT_MONTH}, "
            "which is held out to ask about; for example MONTHS=1,2"
        )
    return tuple(numbers)


def check_poison(poison: str, months: Sequence[int], state_dir: Path) -> None:
    """See that a bad month can be tried.

    Raises:
        LoopError: There is no such poison, no good month beside the bad one, or no version in service.
    """
    if poison not in POISONS:
        raise LoopError(
            f"POISON={poison}: there are {', '.join(POISONS)}; for example make up MONTHS=1,2 POISON=labels"
        )
    if len(months) < FEWEST_WITH_POISON:
        raise LoopError(
            f"POISON={poison}: the last of MONTHS is the bad one and needs good ones before it; for example MONTHS=1,2"
        )
    found = run.status(state_dir)
    if {service.name for service in found} == {run.APIS}:
        raise LoopError(
            f"POISON={poison}: no version is in service that could be replaced; run make up MONTHS={months[0]} first"
        )
    if stopped := ", ".join(service.name for service in found if not service.healthy):
        raise LoopError(f"POISON={poison}: {stopped} does not run; run make up as before first, which starts it again")


def try_poison(console: Console, spec: LoopSpec) -> None:
    """Bring a bad month, and say what refuses it and what serves then.

    Raises:
        LoopError: Nothing refused it, or the version before does not serve any more.
    """
    before = _in_service(spec)
    try:
        run.bring_up(spec, console)
        reason = "the model that learnt from it is no better than the one in service"
    except RefusedError as refusal:
        reason = str(refusal)
    serves = _in_service(spec)
    what = f"{calendar.month_name[spec.training_months[-1]]} with poison {spec.poison}"
    if serves is None or serves != before:
        raise LoopError(f"{what} was not kept away: {_named(before)} served before, {_named(serves)} serves now")
    months = ",".join(map(str, spec.training_months))
    console.info(f"\nRefused: {what}.\n{reason}\n")
    rows = {"Serves": f"{spec.model.name} {_named(serves)}, as before", "Answers": _answer(spec, serves[1])}
    console.table("The bad month changed nothing", {**rows, "The good month": f"make up MONTHS={months}"})


def _named(serves: tuple[str, str] | None) -> str:
    return "no version" if serves is None else f"version {serves[0]} at {serves[1]}"


def _in_service(spec: LoopSpec) -> tuple[str, str] | None:
    """Number of the version whose server runs, and its address."""
    found = running(LoopPaths.of(spec.state_dir).server_record(spec.model.name))
    if found is None or services.get(found.port, "/ping")[0] != services.OK:
        return None
    return Path(found.fingerprint).name.partition("-")[0], services.address(found.port)


def _answer(spec: LoopSpec, url: str) -> str:
    """What the server says of the first flight of the held-out month."""
    from sandbox.loop import evaluate  # noqa: PLC0415 - numpy takes a while and is needed here only

    month = LoopPaths.of(spec.state_dir).data / "holdout" / f"{flights.YEAR}-{flights.HOLDOUT_MONTH:02}.csv"
    _, rows = evaluate.split_label(month)
    (probability,) = evaluate.ask(url, rows[:1], lambda _: None)
    return f"{probability:.3f} for the first flight of the held-out month"
