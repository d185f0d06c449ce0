"""Whether an answer holds the right numbers, in whatever document a server puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OK = 200


class Oracle:
    """Compares answers with the right ones; a body that was right once is recognised by its bytes."""

    def __init__(self, answers: NDArray[np.float32], marker: bytes, tolerance: float) -> None:
        """Take the right answers.

        Args:
            answers: Of shape (bodies, rows).
            marker: The numbers begin after it and the next bracket; empty where they are the whole body, as in CSV.
            tolerance: Largest deviation of a number.
        """
        self._answers = answers
        self._marker = marker
        self._tolerance = tolerance
        self._right: list[bytes] = [b""] * len(answers)
        self.deviation = 0.0
        """Largest one seen."""

    def __call__(self, place: int, status: int, _head: bytes, body: bytes) -> str:
        """Judge one answer."""
        if status != OK:
            return f"status {status}"
        if body == self._right[place]:
            return ""
        try:
            found = self.numbers(body)
        except (ValueError, orjson.JSONDecodeError):
            return "unreadable"
        expected = self._answers[place]
        if found.shape != expected.shape:
            return "wrong count"
        deviation = float(np.abs(found - expected).max())
        self.deviation = max(self.deviation, deviation)
        if not deviation <= self._tolerance:
            return "wrong"
        self._right[place] = body
        return ""

    def numbers(self, body: bytes) -> NDArray[np.float32]:
        """Read the numbers.

        Raises:
            ValueError: there are none where they should be.
        """
        if not self._marker:
            return np.array([float(text) for text in body.split()], np.float32)
        start = body.index(b"[", body.index(self._marker))
        values: Sequence[float] = orjson.loads(body[start : body.index(b"]", start) + 1])
        return np.array(values, np.float32)
