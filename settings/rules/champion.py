"""What judges a model: rows that columns of the data choose, and the model in service, by a metric that has a test."""

import re
from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.models import ModelRule

FEATURE: Final = re.compile(r"^f(0|[1-9][0-9]{0,3})$")
"""Name of a feature in files that have none; the image reads 10,000 of them."""
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


def columns_without_names_are_named_by_their_index(settings: Settings, index: int) -> Iterator[Finding]:
    """A file of libsvm has indices for columns; whatever else a setting names is nowhere."""
    model = settings.models[index]
    if model.data.format != "libsvm":
        return
    told = model.training.hyperparameters
    champion, drift = model.gate.champion, model.drift
    eks = None if model.serving is None else model.serving.eks
    capture = None if eks is None else eks.capture
    lists: dict[tuple[str, ...], tuple[str, ...]] = {
        ("data", "moving"): model.data.moving,
        ("data", "splitBy"): model.data.split_by,
        ("gate", "champion", "slices"): () if champion is None else champion.slices,
        ("drift", "ignored"): () if drift is None else drift.ignored,
        ("serving", "eks", "capture", "drop"): () if capture is None else capture.drop,
    }
    named: dict[tuple[str | int, ...], str] = {
        (*path, at): name for path, names in lists.items() for at, name in enumerate(names)
    }
    named |= {("training", "hyperparameters", "monotone_constraints", name): name for name in told.monotone_constraints}
    allowed = "f0 to f9999, the indices of its features, with format libsvm"
    wrong = {path: (name, allowed) for path, name in named.items() if not FEATURE.match(name)}
    if FEATURE.match(model.label):
        wrong["label",] = (model.label, "any name but that of a feature with format libsvm, whose labels have none")
    if told.slices:
        wrong["training", "hyperparameters", "slices"] = (told.slices, "nothing with format libsvm, which has no texts")
    for path, (found, may) in wrong.items():
        remedy = "write another name" if path == ("label",) else "write the feature's index after an f, or remove it"
        yield Finding(path=("models", index, *path), found=found, allowed=may, remedy=remedy)


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    a_challenge_is_by_a_metric_with_a_test,
    listed_columns_are_features_once,
    columns_without_names_are_named_by_their_index,
)
