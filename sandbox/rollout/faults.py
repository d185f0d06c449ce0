"""`faults.py FAULT serve …`: the model server with something wrong, so that a rollout has something to find.

It runs with the model image's interpreter and packages, not with those of this repository's other programs.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SLOW_SECONDS = 0.3
HEALTHY_CALLS = 100
FAILING_EVERY = 20
REMEMBERED = 10_000


def slow(predict: Predict) -> Predict:
    """Every call takes 300 ms longer, and all that wait with it."""

    def faulty(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(SLOW_SECONDS)
        return predict(rows)

    return faulty


def crashing(predict: Predict) -> Predict:
    """The process ends in the middle of its hundredth call."""
    calls = 0

    def faulty(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls > HEALTHY_CALLS:
            os._exit(139)
        return predict(rows)

    return faulty


def failing(predict: Predict) -> Predict:
    """Every twentieth call ends in an error."""
    calls = 0

    def faulty(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls % FAILING_EVERY == 0:
            raise RuntimeError("a fault that was asked for")
        return predict(rows)

    return faulty


def wrong(predict: Predict) -> Predict:
    """The features are lost on their way: every row is one of zeros."""

    def faulty(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return predict(rows * 0)

    return faulty


def mixed(predict: Predict) -> Predict:
    """Rows get answers of other rows: their distribution is right, and only what becomes of them shows it."""
    draw, known = np.random.default_rng(0), np.empty(0, np.float32)

    def faulty(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal known
        answers = predict(rows)
        known = np.concatenate((known, answers))[-REMEMBERED:]
        return known[draw.integers(len(known), size=len(answers))]

    return faulty


FAULTS = {"slow": slow, "crashing": crashing, "failing": failing, "wrong": wrong, "mixed": mixed}
UNREADY = "unready"
"""A server that never listens."""


def main() -> int:
    """Serve with a fault that begins when the model is loaded: nothing finds it before there are requests."""
    name = sys.argv.pop(1)
    if name == UNREADY:
        time.sleep(3600)
    from scoring import __main__ as image  # noqa: PLC0415 # in the model image only
    from scoring import served  # noqa: PLC0415 # as above

    load = served.load

    def faulty_load(*arguments: object, **named: object) -> served.ServedModel:
        model = load(*arguments, **named)  # pyright: ignore[reportArgumentType] - handed on as it came
        model.batcher.around(FAULTS[name])
        return model

    served.load = faulty_load
    return image.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
