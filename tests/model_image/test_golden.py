from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
import xgboost

from scoring import golden, leaves
from scoring.contract import Feature, Kind, Schema
from scoring.errors import ArtifactError
from scoring.predictor import Predictor

if TYPE_CHECKING:
    from scoring.artifact import Artifact

COLOURS = ("red", "green", "blue", "grey", "pink", "gold")
SCHEMA = Schema("y", (Feature("a"), Feature("b"), Feature("k", Kind.CATEGORICAL, COLOURS)))


@pytest.fixture(scope="module")
def forest() -> bytes:
    draw = np.random.default_rng(1)
    rows = np.column_stack([draw.normal(size=(3000, 2)), draw.integers(0, 6, 3000)]).astype(np.float32)
    rows[draw.random(rows.shape) < 0.05] = np.nan
    labels = (np.nansum(rows, axis=1) > 3).astype(np.float32)
    types = SCHEMA.xgboost_types
    data = xgboost.QuantileDMatrix(
        rows, labels, feature_names=SCHEMA.names, feature_types=types, enable_categorical=True
    )
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "max_cat_to_onehot": 2}, data, 25
    )
    return bytes(booster.save_raw("ubj"))


def leaves_of(model: bytes) -> set[tuple[int, int]]:
    trees = leaves.trees(xgboost.Booster(model_file=bytearray(model)))
    return {
        (place, node) for place, tree in enumerate(trees) for node, left in enumerate(tree["left_children"]) if left < 0
    }


def test_the_rows_reach_nearly_every_leaf_of_every_tree_with_numbers_categories_and_gaps(forest: bytes) -> None:
    rows = golden.read(leaves.make(forest, SCHEMA))[:, :3]
    data = xgboost.DMatrix(rows, feature_names=SCHEMA.names, feature_types=SCHEMA.xgboost_types)
    reached = xgboost.Booster(model_file=bytearray(forest)).predict(data, pred_leaf=True).astype(int)
    found = {(tree, int(node)) for row in reached for tree, node in enumerate(row)}
    assert len(leaves_of(forest)) > 400
    assert len(found & leaves_of(forest)) >= 0.97 * len(leaves_of(forest))
    assert len(rows) < len(leaves_of(forest)) / 2
    assert np.isnan(rows).any()


def test_equal_models_have_equal_golden_bytes_and_pass_their_own(forest: bytes) -> None:
    first, second = leaves.make(forest, SCHEMA), leaves.make(forest, SCHEMA)
    assert first == second
    assert golden.check(Predictor(forest, SCHEMA), first) == len(golden.read(first))


def test_one_changed_leaf_anywhere_is_noticed(forest: bytes) -> None:
    answers = leaves.make(forest, SCHEMA)
    document = orjson.loads(bytes(xgboost.Booster(model_file=bytearray(forest)).save_raw("json")))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    noticed = 0
    for tree in trees:
        weights = tree["split_conditions"]
        leaf = max(node for node, left in enumerate(tree["left_children"]) if left < 0)
        weights[leaf] += 0.01
        changed = Predictor(orjson.dumps(document), SCHEMA)
        weights[leaf] -= 0.01
        try:
            golden.check(changed, answers)
        except ArtifactError as error:
            noticed += "golden rows otherwise than when it was trained" in str(error)
    assert noticed >= len(trees) - 1


def test_a_difference_of_the_last_place_is_allowed_and_a_larger_one_is_not(forest: bytes) -> None:
    predictor, matrix = Predictor(forest, SCHEMA), golden.read(leaves.make(forest, SCHEMA)).copy()

    def moved(ulps: int) -> bytes:
        file, changed = io.BytesIO(), matrix.copy()
        changed[:, 3:].view(np.int32)[:] += ulps
        np.save(file, changed)
        return file.getvalue()

    assert golden.check(predictor, moved(golden.ULPS)) == len(matrix)
    with pytest.raises(ArtifactError, match=f"{len(matrix)} of {len(matrix)} golden rows"):
        golden.check(predictor, moved(golden.ULPS + 1))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00", b"junk"])
def test_what_is_no_golden_file_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"golden\.npy: "):
        golden.read(data)


def test_training_writes_golden_answers(model: Artifact) -> None:
    assert golden.check(Predictor(model.model, model.schema), model.golden) > 10
