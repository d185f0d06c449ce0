"""A second file beside the script, as they come."""

from __future__ import annotations


def parameters(told: list[str]) -> dict[str, str | list[str]]:
    """What XGBoost is told, of `--name value` words; of several metrics the last one stops a training."""
    pairs = zip(told[::2], told[1::2], strict=True)
    found: dict[str, str | list[str]] = {name.removeprefix("--"): value for name, value in pairs}
    return {name: str(value).split(",") if name == "eval_metric" else value for name, value in found.items()}
