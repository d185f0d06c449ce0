"""Starts the looks for drift of a model: at the version that serves, whoever has released it."""
