"""The histogram of predictions."""

from __future__ import annotations

import time

import numpy as np

from scoring.metrics import exposition
from scoring.predictions import BOUNDS, MOST_ANSWERS, Predictions


def counted(counts: Predictions) -> dict[str, float]:
    lines = exposition([("", [counts.family()])]).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_bounds_rise_and_each_is_there_once() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))


def test_every_answer_is_in_the_bucket_of_its_value_and_no_more_are_kept_than_are_counted_at_a_time() -> None:
    counts = Predictions()
    answers = np.linspace(0, 1, 300, dtype=np.float32)
    predict = counts.watching(lambda _: answers)
    for _ in range(5):
        predict(answers[:, None])
    found = counted(counts)

    assert found["slipway_prediction_count"] == MOST_ANSWERS
    kept = np.concatenate([answers, answers[: MOST_ANSWERS - 300]])
    assert found['slipway_prediction_bucket{le="0.5"}'] == np.sum(kept <= 0.5)


def test_of_classes_the_most_likely_one_counts() -> None:
    counts = Predictions()
    counts.watching(lambda _: np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32))(np.zeros((2, 1), np.float32))
    found = counted(counts)

    assert found["slipway_prediction_sum"] == 2
    assert found['slipway_prediction_bucket{le="0.0"}'] == 1


def test_a_call_pays_next_to_nothing() -> None:
    counts, answers = Predictions(), np.zeros(64, np.float32)
    predict = counts.watching(lambda _: answers)
    started = time.process_time()
    for _ in range(20_000):
        predict(answers[:, None])
    assert time.process_time() - started < 0.4  # 20 µs a call on a busy machine
