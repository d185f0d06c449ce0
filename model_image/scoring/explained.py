"""Answers of ``/invocations`` with what each feature adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from scoring.batcher import as_texts
from scoring.tensors import CONTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

EXPLAINED_BYTES = 1 << 20
"""What a request for contributions counts for among the bytes that wait, for the time that it takes."""


def write_csv(numbers: list[bytes], contributions: NDArray[np.float32]) -> bytes:
    """Write one row a line: its values, and behind them, for each value, what every feature adds and the mean.

    Args:
        numbers: The answers as decimal texts, one a row.
        contributions: float32 of shape (n, outputs, features + 1).
    """
    added = as_texts(contributions.reshape(len(numbers), -1))
    return b"".join([b"%b,%b\n" % pair for pair in zip(numbers, added, strict=True)])


def write_json(
    plain: Callable[[list[bytes]], bytes], numbers: list[bytes], contributions: NDArray[np.float32]
) -> bytes:
    """Write the object of ``plain`` with ``contributions``: one list a row, or for several outputs one list each.

    Args:
        plain: Writes the answers alone.
        numbers: The answers as decimal texts, one a row.
        contributions: As for `write_csv`.
    """
    found = contributions[:, 0] if contributions.shape[1] == 1 else contributions
    text = orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)
    return b'%b,"%b":%b}' % (plain(numbers)[:-1], CONTRIBUTIONS.encode(), text)
