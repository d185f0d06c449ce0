"""Loading inside a Pulumi program, however the program is run."""

from __future__ import annotations

import json
from contextvars import copy_context
from typing import TYPE_CHECKING

import pulumi
import pytest
from pulumi.runtime import config as held
from pulumi.runtime.settings import reset_options

from settings.load import load_settings
from tests.settings.stacks import changed, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from settings.model import Settings


def loaded(config: Mapping[str, str] | None, secrets: Sequence[str] = ()) -> Settings:
    """Load in a context of its own, as an inline program does; without `config` only the environment is left."""

    def program() -> Settings:
        reset_options(project="slipway", stack="prod")
        if config is not None:
            held.set_all_config(dict(config), list(secrets))
        return load_settings()

    return copy_context().run(program)


def test_settings_are_read_from_the_process_as_inline_programs_and_mocks_set_them() -> None:
    assert loaded(encoded(changed({}))).environment.name == "prod"


def test_settings_are_read_from_the_variable_as_the_command_line_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(encoded(changed({"nodePools.1.maxSize": 7}))))
    assert loaded(None).node_pools[1].max_size == 7


@pytest.mark.parametrize("way", ["process", "variable"])
def test_an_unknown_key_is_found_in_both_ways(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = encoded(changed({"nodePool": [], "store.forceDestroy": True}))
    if way == "variable":
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(config))
    with pytest.raises(pulumi.RunError) as caught:
        loaded(config if way == "process" else None)
    head, *lines = str(caught.value).splitlines()
    assert head == "2 problems in the settings; nothing was created."
    assert lines[0].startswith("  Pulumi.prod.yaml · slipway:store.forceDestroy · ")
    assert lines[1].endswith("write nodePools instead")


def test_the_error_hides_where_it_came_from() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        loaded({})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("way", ["process", "variable"])
def test_an_encrypted_setting_is_refused_in_both_ways(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = encoded(changed({}))
    if way == "variable":
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(config))
        monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(["slipway:store"]))
    with pytest.raises(pulumi.RunError, match=r"write the value itself instead of secure:$"):
        loaded(config if way == "process" else None, ["slipway:store"])
