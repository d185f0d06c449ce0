"""What people may write for `make up MONTHS=… POISON=…`, and what they read where they write something else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from sandbox import commands
from sandbox.console import Console
from sandbox.loop import flights, progress, run
from sandbox.loop.spec import LoopError
from sandbox.months import check_poison, months_of

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef


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


def test_a_version_that_only_stands_still_is_started_by_the_same_command_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = run.ServiceStatus("model server flight-delay", None, healthy=False)
    apis = run.ServiceStatus(run.APIS, None, healthy=False)

    def status(_: Path) -> tuple[run.ServiceStatus, ...]:
        return (apis, stands)

    monkeypatch.setattr(run, "status", status)
    with pytest.raises(LoopError) as refusal:
        check_poison("labels", (1, 2), tmp_path)
    assert str(refusal.value) == (
        "POISON=labels: AWS APIs, model server flight-delay does not run; run make up as before first, which starts it "
        "again"
    )


@pytest.mark.parametrize(
    ("step", "refuses"),
    [
        ({"StepStatus": "Failed", "Metadata": {"Fail": {"ErrorMessage": "0.62 and has to exceed 0.68"}}}, True),
        ({"StepStatus": "Failed", "FailureReason": "step Process, job p: AlgorithmError: UserError: the header"}, True),
        ({"StepStatus": "Failed", "FailureReason": "step Train, job t: AlgorithmError: killed, exit code: 137"}, False),
        ({"StepStatus": "Failed"}, False),
        ({"StepStatus": "Stopped", "Metadata": {"Fail": {}}}, False),
        ({"StepStatus": "Succeeded", "FailureReason": "UserError: "}, False),
    ],
)
def test_only_bad_data_and_bad_models_are_refused(step: PipelineExecutionStepTypeDef, refuses: bool) -> None:
    assert progress.refuses(step) is refuses


def test_the_command_refuses_before_it_does_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(commands.STATE_VARIABLE, str(tmp_path / "state"))
    said = io.StringIO()
    for months, poison in (("1,7", ""), ("1,2", "typo"), ("1,2", "labels")):
        with pytest.raises(LoopError):
            commands.up(Console(said), months, poison)
    assert said.getvalue() == ""
    assert not (tmp_path / "state").exists()
