"""Copies versions of models into MLflow: what each learnt with and how well, beside one another."""
