"""The page that says how a model is added."""

from __future__ import annotations

import re
import textwrap
from typing import Any, Final

import yaml

from settings.parse import parse
from tests.settings.stacks import ROOT, decoded, encoded

PAGE: Final = ROOT / "docs" / "models.md"


def entry() -> dict[str, Any]:
    """The entry that the page shows."""
    block = re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    (model,) = yaml.safe_load(textwrap.dedent(block[1]))
    return model


def test_the_entry_of_the_page_is_taken_beside_the_models_that_there_are() -> None:
    content = decoded("dev")
    models = content["slipway:models"]
    settings = parse(encoded({**content, "slipway:models": [*models, entry()]}), file="Pulumi.dev.yaml")
    assert [model.name for model in settings.models] == [*(model["name"] for model in models), "churn"]


def test_the_entry_of_the_page_has_every_key_that_a_model_has() -> None:
    (model, *_) = decoded("dev")["slipway:models"]
    assert list(entry()) == list(model)
