"""What judges a model: rows that columns of the data choose, and the model in service, by a metric that has a test."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.models import ModelRule

UNTESTED: Final = ("macro_f1", "weighted_f1")
"""Metrics of a gate that are no mean over rows and have no test of their own in the image."""


def a_challenge_is_by_a_metric_with_a_test(settings: Settings, index: int) -> Iterator[Finding]:
    """Without a test nobody knows whether the difference of two models is chance."""
    gate = settings.models[index].gate
    if gate.champion is not None and gate.metric in UNTESTED:
        yield Finding(
            path=("models", index, "gate", "champion"),
            found=f"a comparison by {gate.metric}",
            allowed="one by auc, accuracy or r2",
            remedy="write metric: accuracy, or champion: null",
        )


def listed_columns_are_features_once(settings: Settings, index: int) -> Iterator[Finding]:
    """All rows of one label are a slice in which no ranking is right, and dealt out by it, each side has other ones."""
    model = settings.models[index]
    lists: dict[tuple[str, ...], tuple[str, ...]] = {
        ("data", "moving"): model.data.moving,
        ("data", "splitBy"): model.data.split_by,
    }
    if model.gate.champion is not None:
        lists["gate", "champion", "slices"] = model.gate.champion.slices
    for path, names in lists.items():
        wrong = {at: f"{name}, the label" for at, name in enumerate(names) if name == model.label}
        wrong |= {at: f"{names[at]} again" for at in repeated(list(names))}
        for at, found in wrong.items():
            yield Finding(
                path=("models", index, *path, at),
                found=found,
                allowed="another column of the data, once",
                remedy="remove it",
            )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (a_challenge_is_by_a_metric_with_a_test, listed_columns_are_features_once)
