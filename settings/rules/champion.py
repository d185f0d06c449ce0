"""The model in service in the gate: compared by a metric that can be tested, and sliced by columns that models read."""

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


def slices_are_features_once(settings: Settings, index: int) -> Iterator[Finding]:
    """All rows of one label are a slice in which no ranking is right or wrong."""
    model = settings.models[index]
    if model.gate.champion is None:
        return
    slices = model.gate.champion.slices
    wrong = {at: f"{name}, the label" for at, name in enumerate(slices) if name == model.label}
    wrong |= {at: f"{slices[at]} again" for at in repeated(list(slices))}
    for at, found in wrong.items():
        yield Finding(
            path=("models", index, "gate", "champion", "slices", at),
            found=found,
            allowed="another column of the data, once",
            remedy="remove it",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (a_challenge_is_by_a_metric_with_a_test, slices_are_features_once)
