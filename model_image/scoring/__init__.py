"""The model image: training and serving of one XGBoost model, from one contract."""
