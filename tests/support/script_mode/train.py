"""A training script as AWS's XGBoost image runs one: hyperparameters are its options, `SM_…` says where things lie."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import xgboost
from settings_of_the_job import parameters
from xgboost.callback import EarlyStopping


def main() -> None:
    """Train on the numbers of channel `train`, stop by those of `validation`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--num_round", type=int, required=True)
    parser.add_argument("--early_stopping_rounds", type=int, required=True)
    parser.add_argument("--trees", type=int, default=1, help="trees of a round")
    options, told = parser.parse_known_args()
    data = {name: read(os.environ[f"SM_CHANNEL_{name.upper()}"]) for name in ("train", "validation")}
    booster = xgboost.train(
        {**parameters(told), "num_parallel_tree": options.trees, "nthread": 1},
        data["train"],
        num_boost_round=options.num_round,
        evals=[(data["validation"], "validation")],
        callbacks=[EarlyStopping(options.early_stopping_rounds, save_best=True)],
        verbose_eval=False,
    )
    sys.stdout.write(f"{booster.num_boosted_rounds()} rounds\n")
    booster.save_model(Path(os.environ["SM_MODEL_DIR"]) / "model.ubj")


def read(folder: str) -> xgboost.DMatrix:
    """Every file of a channel: the label first, empty cells are missing."""
    files = sorted(Path(folder).iterdir())
    rows = np.concatenate([np.genfromtxt(file, delimiter=",", dtype=np.float32) for file in files])
    return xgboost.DMatrix(rows[:, 1:], rows[:, 0])


if __name__ == "__main__":
    main()
