"""Convert an XGBoost classifier to ONNX: `to_onnx.py MODEL`, unless the file is there beside it already."""

import sys
from pathlib import Path

import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

target = Path(sys.argv[1]).with_suffix(".onnx")
if not target.exists():
    booster = xgboost.Booster(model_file=sys.argv[1])
    model = convert_xgboost(booster, initial_types=[("input", FloatTensorType([None, booster.num_features()]))])
    target.with_suffix(".partial").write_bytes(model.SerializeToString())
    target.with_suffix(".partial").rename(target)
