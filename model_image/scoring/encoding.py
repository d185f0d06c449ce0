"""From a cell's text to the float that the model sees; training and serving share it, so they cannot disagree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scoring.contract import Feature, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MISSING = math.nan
"""What XGBoost takes as "no value"."""


def number(text: str) -> float:
    """Read a decimal number; blank and ``nan`` are missing, ``inf`` is returned for the caller to judge.

    Python's digit separators (``1_000``) are refused: other tools read such a cell as text.

    Raises:
        ValueError: the text is not a number.
    """
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return float(text) if text and not text.isspace() else MISSING


class Codes(dict[str, float]):
    """Category text to code; blank and unseen text is missing."""

    def __init__(self, categories: Sequence[str]) -> None:
        """Number the categories by place."""
        super().__init__({text: float(code) for code, text in enumerate(categories)})

    def __missing__(self, key: str) -> float:
        """Give the missing value for what training never saw."""
        return MISSING


def text_encoder(feature: Feature) -> Callable[[str], float]:
    """Give the function from a cell's text to its value; only a numeric feature's raises ``ValueError``."""
    return number if feature.kind is Kind.NUMERIC else Codes(feature.categories).__getitem__


def to_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32 as XGBoost stores it; a magnitude beyond its range becomes infinite, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN becomes a quiet one
        return values.astype(np.float32)
