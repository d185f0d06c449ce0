"""What people may write for `make up MONTHS=… POISON=…`, and what they read where they write something else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from sandbox import commands
from sandbox.console import Console
from sandbox.loop import flights
from sandbox.loop.spec import LoopError
from sandbox.months import check_poison, months_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "months"), [("", flights.TRAINING_MONTHS), ("1", (1,)), ("1,2", (1, 2)), ("6,8,12", (6, 8, 12))]
)
def test_months_are_numbers_in_order(text: str, months: tuple[int, ...]) -> None:
    assert months_of(text) == months


@pytest.mark.parametrize("text", ["0", "13", "2,1", "1,1", "7", "1,", "january", "1;2", "-1", "1, 2", "²"])
def test_other_months_are_refused_in_one_sentence_with_an_example(text: str) -> None:
    with pytest.raises(LoopError) as refusal:
        months_of(text)
    assert str(refusal.value) == (
        f"MONTHS={text}: write months of 2013 in order, separated by commas and without 7, which is held out to ask "
        "about; for example MONTHS=1,2"
    )


@pytest.mark.parametrize(
    ("poison", "months", "message"),
    [
        ("labels,half", (1, 2), "there are labels, schema, half; for example make up MONTHS=1,2 POISON=labels"),
        ("half", (1,), "the last of MONTHS is the bad one and needs good ones before it; for example MONTHS=1,2"),
        ("half", (3, 4), "no version is in service that could be replaced; run make up MONTHS=3 first"),
    ],
)
def test_a_poison_that_cannot_be_tried_is_refused_in_one_sentence(
    tmp_path: Path, poison: str, months: tuple[int, ...], message: str
) -> None:
    with pytest.raises(LoopError) as refusal:
        check_poison(poison, months, tmp_path)
    assert str(refusal.value) == f"POISON={poison}: {message}"


def test_the_command_refuses_before_it_does_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(commands.STATE_VARIABLE, str(tmp_path / "state"))
    said = io.StringIO()
    for months, poison in (("1,7", ""), ("1,2", "typo"), ("1,2", "labels")):
        with pytest.raises(LoopError):
            commands.up(Console(said), months, poison)
    assert said.getvalue() == ""
    assert not (tmp_path / "state").exists()
