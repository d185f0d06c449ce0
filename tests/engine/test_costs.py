"""The plan of the real engine and the recording that unit tests price are the same plan."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from costs.estimate import estimate
from costs.plan import from_export
from costs.prices import price_table
from costs.usage import usage_of
from sandbox.engine import Engine
from settings.check import load_file
from tests.settings.stacks import stack_file
from tests.support.planned import plan_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]


def test_an_environment_costs_the_same_by_the_engine_and_by_the_recording(tmp_path: Path) -> None:
    engine = Engine(tmp_path, "dev")
    engine.up()
    settings, usage = load_file(stack_file("dev")), usage_of("dev")
    plans = (from_export({"deployment": engine.export().deployment}), plan_of("dev"))
    by_engine, by_recording = (estimate(plan, settings, usage, price_table(), on=date(2026, 11, 22)) for plan in plans)
    assert by_engine.lines == by_recording.lines
    assert by_engine.not_priced == by_recording.not_priced
    assert by_engine.monthly.expected > 100
