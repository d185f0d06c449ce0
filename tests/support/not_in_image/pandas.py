"""Hides what the image does not have: XGBoost imports it if it finds it, which takes seconds."""

raise ImportError("not in the image")
