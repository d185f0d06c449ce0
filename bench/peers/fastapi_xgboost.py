"""FastAPI and XGBoost's Python API: `fastapi_xgboost.py MODEL PORT`."""

import sys

import xgboost
from fastapi_common import serve

booster = xgboost.Booster({"nthread": 1}, model_file=sys.argv[1])
serve(booster.inplace_predict)
