"""What XGBoost's own `Booster.predict` answers, the yardstick of everything that predicts here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xgboost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scoring.contract import Schema


def predicted(booster: xgboost.Booster | bytes, schema: Schema, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ask a booster, or the one of some model bytes, through a `DMatrix`.

    Args:
        booster: The model.
        schema: Names and kinds of its features.
        rows: Of shape (n, features), codes of categories in their place, NaN where missing.

    Returns:
        float32 of shape (n,), or (n, classes).
    """
    model = xgboost.Booster(model_file=bytearray(booster)) if isinstance(booster, bytes) else booster
    data = xgboost.DMatrix(
        rows, feature_names=schema.names, feature_types=schema.xgboost_types, enable_categorical=True, nthread=1
    )
    return np.asarray(model.predict(data), dtype=np.float32)
