"""The gate without an engine against the real engine: same deployment, same verdicts in preview and over a state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import pytest

from guardrails import deployment, gate
from guardrails.gate import Outcome
from guardrails.packconfig import configure
from guardrails.registry import all_rules
from sandbox.engine import CLI_VARIABLE, ROOT, Engine, PolicyPack
from sandbox.engine import Outcome as Operation
from sandbox.wire import SIGNATURE
from tests.policies.elsewhere import elsewhere
from tests.support.recorded import record_deployment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.engine import State

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]

Said = set[tuple[str, str, str]]
"""Policy, URN, what it found."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("config") / "elsewhere.json"
    file.write_text(json.dumps(elsewhere()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def engine_says(tmp_path_factory: pytest.TempPathFactory, config: Path) -> tuple[Operation, State]:
    """A first preview of prod under a configuration that it breaks, and its state after an update without policies."""
    engine = Engine(tmp_path_factory.mktemp("prod") / "sandbox", "prod")
    previewed = engine.preview(PolicyPack(ROOT / "policies", config))
    engine.up()
    return previewed, engine.export()


@pytest.fixture(scope="module")
def gate_says() -> gate.Report:
    return gate.run(deployment.read(record_deployment("prod")), configure(all_rules(), elsewhere()))


def violations(report: gate.Report) -> Said:
    return {
        (each.rule.name, each.message.urn or "", each.message.text)
        for each in report.findings
        if each.outcome is Outcome.VIOLATION
    }


def text(message: str) -> str:
    """What a rule found; the engine puts the rule's description before it."""
    return message.strip().split("\n", 1)[-1].strip()


UNSEEN = {"kubeconfig", "kubeconfigJson", "__internal", "packageVersion"}
"""Encrypted in a state, or the engine's own book-keeping; it also numbers providers by chance."""


def seen(value: Any) -> Any:
    if isinstance(value, dict):
        held = cast("dict[str, Any]", value)
        chance = {"id"} if "pulumi:providers:" in str(held.get("urn")) else set[str]()
        hashed = {"hash"} if SIGNATURE in held else set[str]()  # the engine reads files, a recording does not
        return {key: seen(each) for key, each in held.items() if key not in UNSEEN | chance | hashed}
    return [seen(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def by_urn(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What policies see of a state."""
    kept = ("type", "inputs", "outputs", "parent", "protect")
    return {
        each["urn"]: {key: seen(each[key]) for key in kept if each.get(key)}
        | {"edges": {name: sorted(urns) for name, urns in each.get("propertyDependencies", {}).items()}}
        for each in resources
    }


def test_a_recording_is_the_state_that_the_engine_writes(engine_says: tuple[Operation, State]) -> None:
    recorded = by_urn(record_deployment("prod")["deployment"]["resources"])
    written = by_urn(engine_says[1].resources)
    engine_s_own = {urn for urn in written if "::default" in urn and "pulumi:providers:" in urn}
    assert set(written) - engine_s_own == set(recorded)
    assert len(recorded) > 150
    for urn, resource in recorded.items():
        assert resource == written[urn], urn


def test_a_preview_says_what_the_gate_says_or_that_it_cannot_say_yet(
    engine_says: tuple[Operation, State], gate_says: gate.Report
) -> None:
    previewed = engine_says[0]
    said = {(each.policy, each.urn, text(each.message)) for each in previewed.violations}
    open_ = {(urn, message) for policy, urn, message in said if policy.startswith("undecided")}
    decided = {each for each in said if not each[0].startswith("undecided")}
    assert decided
    assert {(policy, urn) for policy, urn, _ in decided} <= {(policy, urn) for policy, urn, _ in violations(gate_says)}
    later = {each[:2] for each in violations(gate_says)} - {each[:2] for each in decided}
    assert {
        (policy, urn) for policy, urn in later if not any(urn == at and policy in message for at, message in open_)
    } == set()


def test_the_analysis_of_the_state_says_exactly_what_the_gate_says(
    engine_says: tuple[Operation, State], gate_says: gate.Report, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(asdict(engine_says[1])), encoding="utf-8")
    found = analyze(state, config, tmp_path)
    said = {(each["policyName"], each["resourceUrn"], text(each["message"])) for each in found}
    undecided = {each for each in said if each[0].startswith("undecided")}
    assert said - undecided == violations(gate_says)
    assert len(said) > 100


def analyze(state: Path, config: Path, folder: Path) -> list[dict[str, Any]]:
    """The policy events of `pulumi policy analyze`, which knows no account and no language host."""
    starter = folder / "bin" / "pulumi-analyzer-policy-python"
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" __main__.py "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    (folder / "backend").mkdir()
    environment = {
        "PATH": f"{starter.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "x",
    }
    pack = ("--policy-pack", str(ROOT / "policies"), "--policy-pack-config", str(config))
    ran = subprocess.run(
        [os.environ.get(CLI_VARIABLE) or "pulumi", "policy", "analyze", *pack, "--file", str(state), "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    events = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert events, ran.stderr
    return [each["policyEvent"] for each in events if "policyEvent" in each]
