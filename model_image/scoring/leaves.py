"""Rows that reach the leaves of a model, each at the edge of what leads there: what golden answers are made of.

Only training needs them; a server compares the answers (`scoring.golden`).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import orjson
import xgboost

from scoring.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scoring.contract import Schema

MAX_ROWS = 4096
"""Rows beyond it are left out; leaves that only they reach are not proved."""

MAX_LEAVES = 40_000
"""Leaves for which a row is looked for, evenly spread over a larger model."""

NEVER = np.float32(np.inf)

FILLED = 0.9
"""Share of the open cells that get a value; the rest stays missing."""


class _Leaf(NamedTuple):
    tree: int
    node: int
    row: NDArray[np.float32]
    """NaN where the path does not decide."""


def make(model: bytes, schema: Schema) -> bytes:
    """Choose rows and let the model answer them; equal models give equal bytes.

    Every leaf of every tree is reached by a row, as far as a row can reach it and the limits above allow. Cells lie on
    the thresholds of the splits, on either side.
    """
    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(model))
    leaves = [leaf for place, tree in enumerate(trees(booster)) for leaf in _leaves(place, tree, schema.width)]
    leaves = leaves[:: -(-len(leaves) // MAX_LEAVES)]
    candidates = np.stack([leaf.row for leaf in leaves])
    _fill(candidates)
    rows = candidates[_cover(booster, schema, leaves, candidates)]
    answers = Predictor(model, schema).predict(rows)
    file = io.BytesIO()
    np.save(file, np.column_stack([rows, answers]).astype("<f4"), allow_pickle=False)
    return file.getvalue()


def trees(booster: xgboost.Booster) -> list[dict[str, Any]]:
    """Give the trees as XGBoost's JSON model format has them, of a plain or a dropout booster."""
    document = cast("dict[str, Any]", orjson.loads(bytes(booster.save_raw(raw_format="json"))))
    booster_document = document["learner"]["gradient_booster"]
    return booster_document.get("gbtree", booster_document)["model"]["trees"]


def _leaves(place: int, tree: dict[str, Any], width: int) -> Iterator[_Leaf]:
    """Walk all paths of a tree, and give each leaf a row at the edge of what leads to it."""
    left, right, features, thresholds = (
        tree[name] for name in ("left_children", "right_children", "split_indices", "split_conditions")
    )
    categories = _right_categories(tree)
    pending = [(0, np.full(width, np.nan, np.float32), np.full(width, NEVER), np.full(width, -NEVER))]
    while pending:
        node, row, above, below = pending.pop()
        if left[node] < 0:
            yield _Leaf(place, node, row)
            continue
        feature = features[node]
        for child in (left[node], right[node]):
            path, upper, lower = row.copy(), above.copy(), below.copy()
            if node in categories:
                path[feature] = _category(categories[node], inside=child == right[node])
            elif child == left[node]:
                upper[feature] = min(upper[feature], np.float32(thresholds[node]))
                path[feature] = np.nextafter(upper[feature], -NEVER)
            else:
                lower[feature] = max(lower[feature], np.float32(thresholds[node]))
                path[feature] = np.nextafter(upper[feature], -NEVER) if upper[feature] < NEVER else lower[feature]
            pending.append((child, path, upper, lower))


def _right_categories(tree: dict[str, Any]) -> dict[int, set[int]]:
    """Give, per node that splits by category, the codes that go right."""
    codes, starts, sizes = tree["categories"], tree["categories_segments"], tree["categories_sizes"]
    spans = zip(tree["categories_nodes"], starts, sizes, strict=True)
    return {node: set(codes[start : start + size]) for node, start, size in spans}


def _category(right: set[int], *, inside: bool) -> float:
    if inside:
        return float(min(right))
    return float(next(code for code in range(len(right) + 1) if code not in right))


def _fill(rows: NDArray[np.float32]) -> None:
    """Fill what a path leaves open with values that other paths use, so that a row reaches many trees' leaves."""
    draw = np.random.default_rng(0)
    for column in rows.T:
        known = column[~np.isnan(column)]
        open_cells = np.flatnonzero(np.isnan(column))
        if known.size:
            filled = open_cells[draw.random(open_cells.size) < FILLED]
            column[filled] = draw.choice(known, filled.size)


def _cover(
    booster: xgboost.Booster, schema: Schema, leaves: list[_Leaf], rows: NDArray[np.float32]
) -> NDArray[np.intp]:
    """Choose rows, each for a leaf that no earlier one reaches."""
    data = xgboost.DMatrix(rows, feature_names=schema.names, feature_types=schema.xgboost_types, nthread=1)
    reached = booster.predict(data, pred_leaf=True, strict_shape=True).reshape(len(rows), -1).astype(np.int64)
    seen = np.zeros((reached.shape[1], int(reached.max()) + 1), dtype=bool)
    every = np.arange(reached.shape[1])
    chosen: list[int] = []
    for place, leaf in enumerate(leaves):
        if len(chosen) == MAX_ROWS:
            break
        if leaf.node < seen.shape[1] and not seen[leaf.tree, leaf.node] and reached[place, leaf.tree] == leaf.node:
            chosen.append(place)
            seen[every, reached[place]] = True
    return np.array(chosen or [0], dtype=np.intp)
