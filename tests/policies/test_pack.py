"""The pack as a program: the way the engine starts it, and under the real engine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from crossguard.pack import PACK_NAME
from guardrails.packconfig import REPORTS
from guardrails.registry import all_rules
from tests.policies.state import deployment

POLICIES = Path(__file__).parents[2] / "policies"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


@pytest.fixture
def analyzer() -> Iterator[Any]:
    """A client of the pack, started in its folder with an engine's address, as the engine does."""
    command = [sys.executable, "__main__.py", "127.0.0.1:0", "."]
    with subprocess.Popen(command, cwd=POLICIES, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def test_the_pack_serves_the_engine_s_protocol(analyzer: Any) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), timeout=20)
    assert info.name == PACK_NAME
    assert {policy.name for policy in info.policies} == {rule.name for rule in all_rules()} | set(REPORTS)
    bad = struct_pb2.Struct()
    json_format.ParseDict({"metadataOptions": {"httpTokens": "optional", "httpPutResponseHopLimit": 1}}, bad)
    response = analyzer.Analyze(proto.AnalyzeRequest(type=TEMPLATE, urn="u", name="nodes", properties=bad), timeout=20)
    found = {each.policyName: each for each in response.diagnostics}
    assert "metadataOptions.httpTokens: found optional, want required" in found["imds-v2-hop-1"].message
    assert found["imds-v2-hop-1"].severity == proto.POLICY_SEVERITY_HIGH
    assert found["imds-v2-hop-1"].enforcementLevel == proto.MANDATORY
    assert "volumes-encrypted" not in found


def test_the_pack_names_its_runtime_and_the_project_s_environment() -> None:
    described = yaml.safe_load((POLICIES / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert described["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": "../.venv"}}
    assert described["version"]


def pulumi_cli() -> str:
    command = os.environ.get("SLIPWAY_PULUMI") or shutil.which("pulumi")
    if command is None or not Path(command).is_file():
        pytest.fail(
            "no Pulumi CLI: set SLIPWAY_PULUMI to its path, or put pulumi on PATH; "
            "without it nothing proves that the engine can run the pack"
        )
    return command


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An engine that knows no account, and a starter for Python packs where there is no language host."""
    starter = tmp_path / "bin" / "pulumi-analyzer-policy-python"
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" __main__.py "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    (tmp_path / "backend").mkdir()
    return {
        "PATH": f"{starter.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "x",
    }


def analyze(folder: Path, config: Path, environment: dict[str, str]) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, policy events and standard error of `pulumi policy analyze` on the hand-written state."""
    state = folder / "state.json"
    state.write_text(deployment(), encoding="utf-8")
    pack = ("--policy-pack", str(POLICIES), "--policy-pack-config", str(config))
    command = [pulumi_cli(), "policy", "analyze", *pack, "--file", str(state), "--json"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    events = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return ran.returncode, [each["policyEvent"] for each in events if "policyEvent" in each], ran.stderr


def found(events: list[dict[str, Any]], level: str) -> set[tuple[str, str]]:
    """Policy and resource name of the events of a level."""
    return {
        (each["policyName"], each["resourceUrn"].rpartition("::")[2])
        for each in events
        if each["enforcementLevel"] == level
    }


@pytest.mark.engine
def test_the_real_engine_blocks_the_bad_resources_of_a_state_and_no_others(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    code, events, _ = analyze(tmp_path, POLICIES / "config" / "prod.json", environment)
    assert code != 0
    assert found(events, "mandatory") == {
        ("imds-v2-hop-1", "bad-nodes"),
        ("s3-public-access-block", "bad"),
        ("s3-kms-encryption", "bad"),
        ("s3-tls-only", "bad"),
        ("s3-versioning", "bad"),
        ("s3-lifecycle", "bad"),
        ("stateful-protected", "bad"),
    }
    assert found(events, "advisory") == {
        ("undecided-in-stack", "bad-nodes"),
        ("s3-access-logs", "bad"),
        ("tag-propagation", "bad-nodes"),
    }
    assert {each["severity"] for each in events if each["policyName"] == "s3-public-access-block"} == {"critical"}


@pytest.mark.engine
def test_the_real_engine_takes_levels_and_exemptions_from_the_configuration(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    accepted = {
        "urn": "*::bad-nodes",
        "reason": "test of exemptions only",
        "owner": "platform",
        "expires": "2099-01-01",
    }
    config: dict[str, Any] = json.loads((POLICIES / "config" / "dev.json").read_text(encoding="utf-8"))
    config["required-tags"]["environment"] = "prod"
    config["imds-v2-hop-1"]["exemptions"] = [accepted]
    config["s3-public-access-block"] = "disabled"
    config["sg-no-world-ingress"]["exemptions"] = [{**accepted, "expires": "2020-01-01"}]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    _, events, _ = analyze(tmp_path, path, environment)
    assert found(events, "mandatory") == {("sg-no-world-ingress", "slipway-prod")}
    assert found(events, "advisory") == {
        ("undecided", "bad-nodes"),
        ("undecided-in-stack", "bad-nodes"),
        ("s3-kms-encryption", "bad"),
        ("s3-tls-only", "bad"),
        ("s3-versioning", "bad"),
        ("s3-lifecycle", "bad"),
        ("s3-access-logs", "bad"),
        ("tag-propagation", "bad-nodes"),
    }


@pytest.mark.engine
def test_the_real_engine_refuses_a_configuration_that_the_schema_does_not_allow(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"irsa-trust-scoped": {"mostSubjects": "many"}}', encoding="utf-8")
    code, events, problems = analyze(tmp_path, path, environment)
    assert code != 0
    assert not events
    assert "mostSubjects" in problems
