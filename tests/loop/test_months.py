"""`make up MONTHS=1,2 POISON=…`: what people see of a bad month, with the real pipeline and the real server."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import months
from sandbox.console import Console
from sandbox.loop import poisons
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.run import bring_up, tear_down
from sandbox.loop.spec import LoopError
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.loop.spec import LoopSpec

pytestmark = pytest.mark.loop


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSpec]:
    """January is in service, of a model that is trained in a second; February comes."""
    folder = tmp_path_factory.mktemp("months")
    whole = local_model()
    few = whole.training.hyperparameters.model_copy(update={"num_round": 40, "early_stopping_rounds": 10})
    quick = whole.model_copy(update={"training": whole.training.model_copy(update={"hyperparameters": few})})
    spec = loop_spec(quick, folder, Path(sys.executable), REPOSITORY / "model_image")
    try:
        bring_up(replace(spec, training_months=(1,)), Console(io.StringIO()))
        yield replace(spec, training_months=(1, 2))
    finally:
        tear_down(folder, Console(io.StringIO()))


def tried(spec: LoopSpec, poison: str) -> str:
    months.check_poison(poison, spec.training_months, spec.state_dir)
    said = io.StringIO()
    months.try_poison(Console(said), replace(spec, poison=poison))
    return " ".join(said.getvalue().split())


@pytest.mark.parametrize(
    ("poison", "step", "reason"),
    [
        ("schema", "Process", "the header differs"),
        ("half", "Process", "train/2013-02.csv: 9827 rows; half of the other files"),
        ("labels", "Refuse", "and has to exceed 0.68"),
    ],
)
def test_a_bad_month_is_refused_with_its_reason_and_the_first_version_answers(
    spec: LoopSpec, poison: str, step: str, reason: str
) -> None:
    said = tried(spec, poison)
    assert f"Refused: February with poison {poison}." in said
    assert f"{step} Failed" in said
    assert reason in said
    assert "Serves flight-delay version 1 at http://127.0.0.1:" in said
    assert "for the first flight of the held-out month" in said
    assert said.endswith("make up MONTHS=1,2")


def test_a_bad_month_that_nothing_refuses_is_no_success(spec: LoopSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def spare(_: Path) -> None:
        """Leave the month as it is."""

    monkeypatch.setitem(poisons.POISONS, "labels", spare)
    with pytest.raises(LoopError, match=r"version 1 at \S+ served before, version 2 at \S+ serves now"):
        tried(spec, "labels")
