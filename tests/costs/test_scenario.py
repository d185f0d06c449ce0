from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from costs.prices import price_table
from costs.scenario import FOLDER, Step, main, scenario, steps

GIVEN = scenario("online-shop")


@pytest.fixture(scope="module")
def found() -> tuple[Step, ...]:
    return steps(GIVEN, price_table())


def test_the_published_sums_come_out_within_one_per_cent(found: tuple[Step, ...]) -> None:
    before, after = found[0].estimate.monthly.expected, found[-1].estimate.monthly.expected
    assert (GIVEN.before, GIVEN.after) == (50_000, 22_000)
    assert abs(before / GIVEN.before - 1) < Decimal("0.01")
    assert abs(after / GIVEN.after - 1) < Decimal("0.01")
    assert round(1 - after / before, 2) == round(1 - GIVEN.after / GIVEN.before, 2) == Decimal("0.56")


def test_every_lever_saves_and_their_savings_are_all_that_is_saved(found: tuple[Step, ...]) -> None:
    sums = [step.estimate.monthly.expected for step in found]
    saved = [earlier - later for earlier, later in itertools.pairwise(sums)]
    assert len(saved) == 3
    assert min(saved) > 0
    assert sum(saved) == sums[0] - sums[-1]


def test_everything_in_it_has_a_price(found: tuple[Step, ...]) -> None:
    assert [step.estimate.not_priced for step in found] == [()] * len(found)


def test_every_input_has_a_reason_and_utilisation_is_in_the_published_ranges() -> None:
    assert len(GIVEN.inputs) >= 8
    assert all(len(item.why) > 15 for item in GIVEN.inputs.values())
    assert Decimal("0.30") <= GIVEN.number("utilisationBefore") <= Decimal("0.40")
    assert Decimal("0.70") <= GIVEN.number("utilisationAfter") <= Decimal("0.80")


def test_without_better_use_and_spot_capacity_the_published_sum_is_not_reached() -> None:
    worse = {name: item.model_copy(update={"value": "0"}) for name, item in GIVEN.inputs.items() if name == "spotShare"}
    worse["utilisationAfter"] = GIVEN.inputs["utilisationBefore"]
    given = GIVEN.model_copy(update={"inputs": GIVEN.inputs | worse})
    assert steps(given, price_table())[-1].estimate.monthly.expected > 35_000


def test_the_command_prints_each_lever_with_its_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert [path.stem for path in FOLDER.glob("*.yaml")] == ["online-shop"]
    assert main(["online-shop"]) == 0
    shown = capsys.readouterr().out
    assert "50,000.00 to 22,000.00" in shown
    assert shown.count("% of all") == 3
