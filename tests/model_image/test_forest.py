"""Few rows by the walk over the trees: XGBoost's answers to the bit, or XGBoost itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import forest
from scoring.contract import Feature, Kind, Schema
from scoring.forest import FEW
from scoring.predictor import Predictor
from tests.support import boosters

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODES = tuple("abcdefghij")
SCHEMA = Schema("y", (*(Feature(f"x{place}") for place in range(4)), Feature("c", Kind.CATEGORICAL, CODES)))
WALKED: dict[str, dict[str, Any]] = {
    "logistic": {"objective": "binary:logistic"},
    "weighted": {"objective": "binary:logistic", "base_score": 0.9, "eta": 1.0},
    "squared error": {"objective": "reg:squarederror"},
    "several trees a round": {"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.5},
    "codes one by one": {"objective": "binary:logistic", "max_cat_to_onehot": 100},
}
LEFT: dict[str, dict[str, Any]] = {
    "several classes": {"objective": "multi:softprob", "num_class": 2},
    "another link": {"objective": "count:poisson"},
}


def rows(count: int, seed: int = 3) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    values = np.column_stack([draw.normal(size=(count, 4)), draw.integers(0, len(CODES), count)]).astype(np.float32)
    values[draw.random(values.shape) < 0.1] = np.nan
    return values


KNOWN = rows(1500)


def trained(params: dict[str, Any]) -> tuple[xgboost.Booster, Predictor]:
    labels = (np.nansum(KNOWN[:, :2], axis=1) + np.isin(KNOWN[:, 4], (2, 3, 7)) > 0.3).astype(np.float32)
    data = xgboost.DMatrix(
        KNOWN, labels, feature_names=SCHEMA.names, feature_types=SCHEMA.xgboost_types, enable_categorical=True
    )
    booster = xgboost.train({"max_depth": 5, "nthread": 1, "seed": 2, "max_cat_to_onehot": 2} | params, data, 25)
    return booster, Predictor(bytes(booster.save_raw("ubj")), SCHEMA)


@pytest.mark.parametrize("name", WALKED)
def test_every_size_of_a_few_rows_is_answered_as_xgboost_does(name: str) -> None:
    booster, predictor = trained(WALKED[name])
    assert predictor.walks
    asked = rows(40 * FEW, seed=4)
    asked[:, 0] *= np.float32(100)
    expected = boosters.predicted(booster, SCHEMA, asked)
    for size in range(1, FEW + 2):
        parts = [predictor.predict(asked[start : start + size].copy()) for start in range(0, len(asked), size)]
        assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert np.unique(expected).size > 50


@pytest.mark.parametrize("name", LEFT)
def test_other_models_are_left_to_xgboost(name: str) -> None:
    booster, predictor = trained(LEFT[name])
    assert not predictor.walks
    expected = boosters.predicted(booster, SCHEMA, KNOWN[:1])
    assert predictor.predict(KNOWN[:1].copy()).tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def pair() -> tuple[xgboost.Booster, Predictor]:
    return trained(WALKED["logistic"])


CELLS = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38]))


@given(cells=st.lists(CELLS, min_size=4, max_size=4), code=st.sampled_from([*range(len(CODES)), None]))
@settings(max_examples=300)
def test_any_number_in_any_cell_is_answered_as_xgboost_does(
    pair: tuple[xgboost.Booster, Predictor], cells: list[float], code: int | None
) -> None:
    row = np.array([[*cells, np.nan if code is None else code]], np.float32)
    assert pair[1].predict(row).tobytes() == np.asarray(pair[0].inplace_predict(row), np.float32).tobytes()


def test_every_threshold_and_its_neighbours_are_answered_as_xgboost_does(
    pair: tuple[xgboost.Booster, Predictor],
) -> None:
    booster, predictor = pair
    splits = booster.trees_to_dataframe()
    edges = splits[splits.Feature.str.startswith("x") & splits.Split.notna()]
    assert len(edges) > 200
    asked = rows(3 * len(edges), seed=6)
    for place, (feature, split) in enumerate(zip(edges.Feature, edges.Split.astype(np.float32), strict=True)):
        near = (split, np.nextafter(split, np.float32(-np.inf)), np.nextafter(split, np.float32(np.inf)))
        asked[3 * place : 3 * place + 3, int(feature[1:])] = near
    expected = boosters.predicted(booster, SCHEMA, asked)
    walked = np.concatenate([predictor.predict(row[None].copy()) for row in asked])
    assert walked.tobytes() == expected.tobytes()


def test_a_walk_that_differs_by_one_bit_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    to_margin, transform = forest.OBJECTIVES["binary:logistic"]

    def close(margins: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.nextafter(transform(margins), np.float32(1))

    monkeypatch.setitem(forest.OBJECTIVES, "binary:logistic", (to_margin, close))
    booster, predictor = trained(WALKED["logistic"])
    assert not predictor.walks
    expected = boosters.predicted(booster, SCHEMA, KNOWN[:1])
    assert predictor.predict(KNOWN[:1].copy()).tobytes() == expected.tobytes()


def test_codes_that_the_schema_calls_numbers_are_left_to_xgboost() -> None:
    booster, _ = trained(WALKED["logistic"])
    booster.feature_types = ["q"] * len(SCHEMA.names)
    plain = Schema("y", tuple(map(Feature, SCHEMA.names)))
    assert not Predictor(bytes(booster.save_raw("ubj")), plain).walks
