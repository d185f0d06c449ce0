"""The pages that say how a model is added, served and searched for."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import yaml

from settings.model import (
    AsynchronousSpec,
    BatchSpec,
    HostingSpec,
    RealTimeSpec,
    RequestsSpec,
    RolloutSpec,
    ScalingSpec,
    ServerlessSpec,
    Target,
    TuningSpec,
)
from settings.parse import parse
from tests.settings.stacks import ROOT, decoded, encoded

if TYPE_CHECKING:
    from pydantic import BaseModel

    from settings.model import ModelSpec

SECTIONS: Final[tuple[type[BaseModel], ...]] = (
    RealTimeSpec,
    ServerlessSpec,
    AsynchronousSpec,
    BatchSpec,
    HostingSpec,
    RequestsSpec,
    RolloutSpec,
    ScalingSpec,
    TuningSpec,
)


def blocks(page: str) -> list[Any]:
    """The YAML that a page shows."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(textwrap.dedent(block)) for block in shown]


def entry() -> dict[str, Any]:
    """The entry that the page shows."""
    ((model,), *_) = blocks("models.md")
    return model


def added(**parts: Any) -> ModelSpec:
    """The entry with other parts, as dev takes it beside its own models."""
    content = decoded("dev")
    models = [*content["slipway:models"], {**entry(), **parts}]
    settings = parse(encoded({**content, "slipway:models": models}), file="Pulumi.dev.yaml")
    assert [model.name for model in settings.models] == [model["name"] for model in models]
    return settings.models[-1]


def keys(shown: Any) -> set[str]:
    """Every key of a block, at any depth."""
    match shown:
        case dict():
            mapping = cast("dict[str, Any]", shown)
            return {*mapping, *(key for value in mapping.values() for key in keys(value))}
        case list():
            return {key for value in cast("list[Any]", shown) for key in keys(value)}
        case _:
            return set()


SERVED: Final = blocks("serving-targets.md")
SEARCHED: Final = blocks("pipelines.md")


def test_the_entry_of_the_page_is_taken_beside_the_models_that_there_are() -> None:
    assert added().name == "churn"


@pytest.mark.parametrize("block", SERVED, ids=lambda block: block["serving"]["target"])
def test_what_a_page_serves_a_model_by_is_taken_in_place_of_the_pods(block: dict[str, Any]) -> None:
    serving = added(**block).serving
    assert serving is not None
    assert serving.target.value == block["serving"]["target"]


@pytest.mark.parametrize("block", SERVED, ids=lambda block: block["serving"]["target"])
def test_what_a_page_serves_a_model_by_may_stand_beside_the_pods(block: dict[str, Any]) -> None:
    assert added(serving={**entry()["serving"], **block["serving"]}).pods is None


@pytest.mark.parametrize("block", SEARCHED)
def test_the_search_of_a_page_is_taken_in_place_of_one_training(block: dict[str, Any]) -> None:
    assert added(training={**entry()["training"], **block}).training.tuning is not None


def test_the_pages_show_every_target_and_every_key_that_one_may_write() -> None:
    assert {block["serving"]["target"] for block in SERVED} == {target.value for target in Target} - {Target.EKS}
    hosted = [block["serving"]["hosting"] for block in SERVED if "hosting" in block["serving"]]
    assert sorted(kind for each in hosted for kind, value in each.items() if value) == ["fleet", "row"]
    shown = keys([SERVED, SEARCHED])
    assert {str(field.alias) for section in SECTIONS for field in section.model_fields.values()} - shown == set()


def test_the_entry_of_the_page_has_every_key_that_a_model_has() -> None:
    (model, *_) = decoded("dev")["slipway:models"]
    assert list(entry()) == list(model)
