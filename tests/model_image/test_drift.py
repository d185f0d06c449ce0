"""Feature drift against the bins of training: a property of the values, not of how requests cut them up."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scoring import reference
from scoring.contract import Feature, Kind, Schema
from scoring.drift import FEWEST_ROWS, MOST_ROWS, WINDOW_ROWS, Bins, Drift
from scoring.metrics import exposition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.artifact import Artifact

COLOURS = tuple(f"c{number}" for number in range(60))
SCHEMA = Schema("y", (Feature("size"), Feature("colour", Kind.CATEGORICAL, COLOURS)))
DRAW = np.random.default_rng(4)


def rows(count: int, shift: float = 0.0, missing: float = 0.1) -> NDArray[np.float32]:
    size = DRAW.normal(shift, 1, count)
    colour = np.minimum(DRAW.geometric(0.1, count) - 1, 59)
    made = np.stack([size, colour], axis=1).astype(np.float32)
    made[DRAW.random(count) < missing, 0] = np.nan
    return made


REFERENCE = reference.describe(rows(50_000), SCHEMA)


def watch(*batches: NDArray[np.float32]) -> dict[str, float]:
    """Give the metrics after some batches, each counted by itself."""
    drift = Drift(REFERENCE, SCHEMA)
    predict = drift.watching(lambda batch: batch[:, 0])
    for batch in batches:
        predict(batch)
        drift.count()
    lines = exposition([("", drift.families())]).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def batches(count: int, **kind: float) -> list[NDArray[np.float32]]:
    return [rows(MOST_ROWS, **kind) for _ in range(count)]


SIZE = 'slipway_feature_drift{feature="size"}'
COLOUR = 'slipway_feature_drift{feature="colour"}'


def test_values_of_training_have_almost_no_index_and_moved_ones_that_feature_alone() -> None:
    calm, moved = watch(*batches(20)), watch(*batches(20, shift=1.0))
    assert calm[SIZE] < 0.01
    assert calm[COLOUR] < 0.02
    assert moved[SIZE] > 0.25
    assert moved[COLOUR] < 0.02


def test_the_index_is_that_of_its_definition() -> None:
    batch = rows(4 * MOST_ROWS, shift=0.5, missing=0.3)
    found = watch(*np.array_split(batch, 4))
    described: Any = REFERENCE["size"]
    edges = [-math.inf, *described["edges"], math.inf]
    known = batch[~np.isnan(batch[:, 0]), 0]
    inside = [np.sum((known >= low) & (known < high)) for low, high in itertools.pairwise(edges)]
    actual = np.array([*inside, len(batch) - len(known)]) / len(batch)
    expected = np.array(described["rows"]) / sum(described["rows"])
    assert found[SIZE] == pytest.approx(float(np.sum((actual - expected) * np.log(actual / expected))), abs=1e-6)
    assert found['slipway_feature_missing_ratio{feature="size"}'] == pytest.approx(actual[-1], abs=1e-6)
    assert found["slipway_drift_rows_total"] == len(batch)


def test_old_rows_fade_so_that_the_index_is_of_recent_ones() -> None:
    needed = int(2 * WINDOW_ROWS / MOST_ROWS)
    assert watch(*batches(needed, shift=2.0))[SIZE] > 1
    assert watch(*batches(needed, shift=2.0), *batches(4 * needed))[SIZE] < 0.05


def test_few_rows_have_no_index_since_it_would_be_noise() -> None:
    assert not any(name.startswith("slipway_feature") for name in watch(rows(int(FEWEST_ROWS) // 2)))


def test_rare_categories_share_a_bin_and_one_without_any_counts_as_rare() -> None:
    described: Any = reference.describe(np.array([[0, c] for c in range(55)] * 2, np.float32), SCHEMA)["colour"]
    assert len(described["codes"]) == 50
    assert described["rows"] == [2] * 50 + [10, 0]
    bins = Bins(described)
    bins.count(np.array([0, 54, 59, np.nan], np.float32))
    assert (bins.counts[0], bins.counts[-2], bins.counts[-1]) == (1, 2, 1)


@pytest.mark.parametrize("values", [np.full(9, np.nan), np.zeros(9), np.arange(3)])
def test_a_feature_without_spread_has_bins_that_hold_all_its_rows(values: NDArray[np.float64]) -> None:
    described: Any = reference.describe(values.astype(np.float32)[:, None], Schema("y", (Feature("a"),)))["a"]
    assert sum(described["rows"]) == len(values)
    assert len(described["rows"]) == len(described["edges"]) + 2


def test_a_call_pays_next_to_nothing_and_no_more_is_kept_than_is_counted_at_a_time() -> None:
    drift = Drift(REFERENCE, SCHEMA)
    batch = rows(64)
    predict = drift.watching(lambda given: given[:, 0])
    started = time.process_time()
    for _ in range(20_000):
        predict(batch)
    assert time.process_time() - started < 0.4  # 20 µs a call on a busy machine; a count of its rows would take more
    total = next(family for family in drift.families() if family.name == "slipway_drift_rows_total")
    assert [sample.value for sample in total.samples] == [MOST_ROWS]


def test_training_describes_every_feature_in_the_manifest(model: Artifact) -> None:
    described: Any = model.provenance["reference"]
    assert described.keys() == set(model.schema.names)
    for feature in model.schema.features:
        assert sum(described[feature.name]["rows"]) == 1500
        assert ("codes" in described[feature.name]) == (feature.kind is Kind.CATEGORICAL)
