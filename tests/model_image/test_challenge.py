"""The verdict on a new model beside the one in service."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scoring import challenge
from scoring.challenge import BETTER, EQUAL, WORSE, Rows, Terms
from scoring.contract import BINARY, REGRESSION
from scoring.dataset import Column
from scoring.tasks import TASKS

TERMS = Terms(
    metric="auc", minimum_gain=0.0, significance=0.05, slices=(), slice_rows=200, slice_loss=0.0, collapse=0.2
)
COUNT = 4000


def column(name: str = "carrier", values: int = 2) -> Column:
    return Column(name, tuple("ABCDEFGH"[:values]), np.arange(COUNT, dtype=np.int32) % values)


def rows(noise: float, rival: float, seed: int = 2) -> Rows:
    """Labels, and what two models make of the same signal with noise of their own."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=COUNT)
    labels = (random.random(COUNT) < 1 / (1 + np.exp(-2 * signal))).astype(np.float64)
    champion, challenger = (1 / (1 + np.exp(-signal - sigma * random.normal(size=COUNT))) for sigma in (rival, noise))
    return Rows(labels=labels, champion=champion, challenger=challenger)


def verdict(asked: Rows, *columns: Column, **terms: object) -> dict[str, object]:
    named = {each.name: each for each in columns}
    return challenge.judge(
        TASKS[BINARY], dataclasses.replace(TERMS, **terms, slices=tuple(named)), asked, named, seed=1
    )


@pytest.mark.parametrize(
    ("noise", "rival", "terms", "outcome"),
    [
        (0.2, 1.0, {}, BETTER),
        (1.0, 0.2, {}, WORSE),
        (1.0, 1.0, {}, EQUAL),
        (0.2, 1.0, {"minimum_gain": 0.5}, EQUAL),
        (0.2, 1.0, {"metric": "accuracy"}, BETTER),
    ],
    ids=["better", "worse", "by chance", "less than it is worth", "another metric"],
)
def test_only_a_gain_that_is_worth_something_and_no_chance_is_better(
    noise: float, rival: float, terms: dict[str, object], outcome: str
) -> None:
    assert verdict(rows(noise, rival), **terms)["outcome"] == outcome


def test_the_gain_has_to_exceed_what_it_is_worth_strictly() -> None:
    asked = rows(0.2, 1.0)
    gain = float(str(verdict(asked)["difference"]))
    assert verdict(asked, minimum_gain=gain)["outcome"] == EQUAL
    assert verdict(asked, minimum_gain=np.nextafter(gain, 0))["outcome"] == BETTER


def test_what_was_learnt_from_rows_on_which_the_champion_collapses_is_for_a_person() -> None:
    known, strange = rows(0.2, 0.2), rows(0.2, 0.2)
    strange = dataclasses.replace(strange, champion=np.random.default_rng(3).permutation(strange.champion))
    judged = [challenge.judge(TASKS[BINARY], TERMS, each, {}, 1, older=known) for each in (known, strange)]

    assert [each["outcome"] for each in judged] == [EQUAL, WORSE]
    assert verdict(strange)["outcome"] == BETTER
    assert str(judged[1]["reason"]).endswith("on older rows: these are bad, or the world has changed")


def test_a_model_that_gains_as_a_whole_and_loses_a_slice_is_worse_and_says_which() -> None:
    asked, carriers = rows(0.2, 1.0), column(values=8)
    lost = carriers.codes == 2
    asked = dataclasses.replace(asked, challenger=np.where(lost, 1 - asked.challenger, asked.challenger))
    found = verdict(asked, carriers)
    assert verdict(asked)["outcome"] == BETTER
    assert found["outcome"] == WORSE
    assert "lost in carrier C -0." in str(found["reason"])
    assert verdict(asked, carriers, slice_loss=0.9)["outcome"] == BETTER
    assert verdict(asked, carriers, slice_rows=COUNT // 8 + 1)["slices"] == []


def test_equal_models_are_rarely_called_worse_however_many_slices_are_looked_at() -> None:
    random = np.random.default_rng(0)
    slices = [Column(f"c{number}", ("x", "y"), random.integers(0, 2, COUNT).astype(np.int32)) for number in range(10)]
    outcomes = [verdict(rows(1.0, 1.0, seed), *slices)["outcome"] for seed in range(60)]
    assert outcomes.count(WORSE) <= 8, "0.05 for the whole and 0.05 for all slices, of 60; 8 are two more deviations"


def test_a_slice_with_one_class_only_decides_nothing() -> None:
    asked = rows(0.2, 1.0)
    carriers = Column("carrier", ("0", "1"), asked.labels.astype(np.int32))
    assert verdict(asked, carriers)["slices"] == []


def test_the_share_of_explained_variance_is_compared_as_the_evaluation_measures_it() -> None:
    random = np.random.default_rng(2)
    labels = random.normal(size=COUNT)
    asked = Rows(labels=labels, champion=labels + random.normal(size=COUNT), challenger=labels * 0.9)
    found = challenge.judge(TASKS[REGRESSION], dataclasses.replace(TERMS, metric="r2"), asked, {}, seed=1)
    assert found["challenger"] == pytest.approx(TASKS[REGRESSION].metrics["r2"](labels, asked.challenger))
    assert found["outcome"] == BETTER
