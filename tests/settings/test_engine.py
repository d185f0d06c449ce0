"""The real engine: it hands a program what we read from the file, and a wrong file ends in our message alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pulumi.runtime import config as held

from sandbox.engine import Engine, EngineError
from settings.load import load_settings
from settings.stack_file import read
from tests.settings.stacks import STACKS, stack_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

ODD = """
config:
  slipway:odd:
    underscores: [1_000, 1_0.5, a_1, _1, 0x_1F, -1_0]
    list: [1, "1", 1.0, 1.5, yes, on, true, "true", ~, "", 0x1F, 017, 012345678901, 1e3, -2, "1.35", 1.35]
    anchored: &anchored {a: 1, b: two}
    alias: *anchored
    merged: {<<: *anchored, b: three}
    folded: >-
      two
      lines
  slipway:text: "1.35"
  slipway:number: 5
  slipway:switch: true
  slipway:empty:
  bare: {x: 3}
  aws:region: eu-west-1
"""


def handed_over(file: Path, folder: Path) -> dict[str, object]:
    """Return the configuration that the engine hands to a program whose stack file is `file`."""
    seen: dict[str, str] = {}

    def program() -> None:
        seen.update(held.CONFIG.get())

    Engine(folder, "test", stack_file=file, program=program).preview()
    assert seen
    return values(seen)


def values(config: dict[str, str]) -> dict[str, object]:
    def value(text: str) -> object:
        try:
            return json.loads(text)
        except ValueError:
            return text

    return {key: value(text) for key, text in config.items()}


def test_our_reader_and_the_engine_take_the_same_from_a_file_of_oddities(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(ODD, encoding="utf-8")
    ours, _ = read(file)
    assert handed_over(file, tmp_path / "engine") == values(ours)


@pytest.mark.parametrize("stack", STACKS)
def test_our_reader_and_the_engine_take_the_same_from_a_stack_file(stack: str, tmp_path: Path) -> None:
    ours, _ = read(stack_file(stack))
    assert handed_over(stack_file(stack), tmp_path / "engine") == values(ours)


def test_a_wrong_file_ends_in_every_problem_without_a_traceback_and_before_any_resource(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    text = stack_file("dev").read_text(encoding="utf-8")
    file.write_text(
        text.replace("slipway:models:", "slipway:modles:").replace('version: "1.36"', "version: 1.36"), encoding="utf-8"
    )
    engine = Engine(tmp_path / "engine", "test", stack_file=file, program=lambda: void(load_settings()))
    with pytest.raises(EngineError) as caught:
        engine.preview()
    message = str(caught.value)
    assert "3 problems in the settings; nothing was created." in message
    assert 'Pulumi.test.yaml · slipway:cluster.version · found 1.36 · allowed: "1.35"' in message
    assert "write models instead" in message
    assert "Traceback" not in message
    assert "settings/load.py" not in message
    assert list(engine.world().all()) == []


def void(_: object) -> None: ...
