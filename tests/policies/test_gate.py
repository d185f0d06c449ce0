"""The pull-request gate: our own program, wholly known, under all rules."""

from __future__ import annotations

import copy
import datetime as dt
import json
import operator
import sys
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest

from crossguard.inprocess import InProcess
from guardrails import deployment, gate, report
from guardrails.evaluation import Clock
from guardrails.gate import Outcome
from guardrails.jobs import PIPELINE, SettingFacts
from guardrails.packconfig import Configured, configure, load
from guardrails.registry import all_rules
from guardrails.rule import Finding, Level, ResourceRule
from guardrails.view import UNKNOWN_SENTINELS
from sandbox import commands
from sandbox import gate as command
from sandbox.console import Console
from tests.policies.elsewhere import CONFIG, elsewhere
from tests.support.changes import overrides
from tests.support.optional import PARTS
from tests.support.recorded import STACKS, record_deployment, stack_section
from tests.support.targets import all_served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from guardrails.resources import Resource

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
URN = "urn:pulumi:s::p::t:t:T::n"
TODAY = dt.date(2026, 11, 22)
CLOCK = Clock(today=lambda: TODAY)


def configured(environment: str = "prod") -> dict[str, Configured]:
    return configure(all_rules(), load(CONFIG / f"{environment}.json"))


def recorded(stack: str = "prod") -> deployment.Deployment:
    return deployment.read(record_deployment(stack))


def with_change(token: str, property_: str, value: Any) -> deployment.Deployment:
    """The prod deployment with one property of one resource changed, in its inputs and its outputs."""
    document = copy.deepcopy(record_deployment("prod"))
    changed = next(each for each in document["deployment"]["resources"] if each["type"] == token)
    for properties in (changed["inputs"], changed["outputs"]):
        properties[property_] = value
    return deployment.read(document)


@pytest.mark.parametrize("stack", STACKS)
def test_every_environment_passes_and_leaves_nothing_undetermined(stack: str) -> None:
    found = gate.run(recorded(stack), configured(stack))
    assert [each.message.text for each in found.findings if each.blocks] == []
    assert found.count(Outcome.UNDETERMINED) == 0
    assert sum(found.resources.values()) > 150
    assert found.judgements > 3 * len(found.rules)


def test_prod_passes_with_every_optional_part() -> None:
    whole = deployment.read(record_deployment("prod", overrides=overrides(PARTS)))
    assert "\n".join(each.message.text for each in gate.run(whole, configured()).findings if each.blocks) == ""


def test_prod_passes_with_every_kind_of_serving_that_stays_in_the_vpc() -> None:
    def blocked(overrides_: str) -> list[tuple[str, str]]:
        served = deployment.read(record_deployment("prod", overrides=overrides_))
        return [(each.rule.name, each.message.text) for each in gate.run(served, configured()).findings if each.blocks]

    assert blocked(all_served("now-and-then")) == []
    isolated = [text for rule, text in blocked(all_served()) if rule == "sagemaker-in-vpc-isolated"]
    assert isolated
    assert all("registry-now-and-then-approved" in text for text in isolated)


def of_pipelines(found: gate.Report) -> list[tuple[str, str, str]]:
    """Rule, place and remedy of what blocks a pipeline."""
    blocking = [each for each in found.findings if each.blocks]
    assert {(each.message.urn or "").split("::")[2].rpartition("$")[2] for each in blocking} <= {PIPELINE}
    return [(each.rule.name, each.message.path, each.message.fix) for each in blocking]


def setting(name: str) -> str:
    return f"change {name}, or what the pack configuration allows, with a review"


TRAINS = '"Type": "Training"'
TRAIN = 'pipelineDefinition.Steps["Train"].Arguments.'
BEYOND: tuple[tuple[dict[str, object], str, str, str], ...] = (
    (
        {"models.0.training.keepAliveSeconds": 3600},
        "training-bounded",
        f"{TRAIN}ResourceConfig.KeepAlivePeriodInSeconds",
        "training.keepAliveSeconds of the model (null keeps none)",
    ),
    (
        {"models.0.training.instanceCount": 16},
        "training-bounded",
        f"{TRAIN}ResourceConfig.InstanceCount",
        "training.instanceCount of the model",
    ),
    (
        {"models.0.training.maxRuntimeSeconds": 432000},
        "training-bounded",
        f"{TRAIN}StoppingCondition.MaxRuntimeInSeconds",
        "training.maxRuntimeSeconds of the model",
    ),
    (
        {"models.0.drift.job.maxRuntimeSeconds": 432000},
        "training-bounded",
        'pipelineDefinition.Steps["Compare"].Arguments.StoppingCondition.MaxRuntimeInSeconds',
        "drift.job.maxRuntimeSeconds of the model",
    ),
    (
        {"models.0.training.fallbackInstanceTypes": ["ml.m5.24xlarge"]},
        "instance-allowlist",
        f"{TRAIN}ResourceConfig.InstanceType",
        "training.instanceType or training.fallbackInstanceTypes of the model",
    ),
    (
        {"models.0.drift.job.instanceType": "ml.c5.xlarge"},
        "instance-allowlist",
        'pipelineDefinition.Steps["Compare"].Arguments.ProcessingResources.ClusterConfig.InstanceType',
        "drift.job.instanceType of the model",
    ),
)
"""Settings of an on-demand training and of a look for drift, and what names each: rule, place and setting."""


def test_each_setting_beyond_what_prod_pays_for_is_refused_and_named() -> None:
    edits: dict[str, object] = {"models.0.training.spot": False, "models.0.training.maxWaitSeconds": None}
    for edit, *_ in BEYOND:
        edits |= edit
    changed = deployment.read(record_deployment("prod", overrides=overrides(edits)))
    found = of_pipelines(gate.run(changed, configured()))
    assert sorted(found) == sorted((rule, path, setting(named)) for _, rule, path, named in BEYOND)


def test_one_attempt_and_longer_jobs_are_refused_in_every_step_with_their_settings() -> None:
    edits = {"models.0.pipeline.attempts": 1, "models.0.processing.maxRuntimeSeconds": 100_000}
    changed = deployment.read(record_deployment("prod", overrides=overrides(edits)))
    found = of_pipelines(gate.run(changed, configured()))
    again = {path for _, path, fix in found if fix == setting("pipeline.attempts of the model")}
    longer = {path for _, path, fix in found if fix == setting("processing.maxRuntimeSeconds of the model")}
    steps = ("Process", "Train", "Evaluate", "Compare")
    assert again == {f'pipelineDefinition.Steps["{each}"].RetryPolicies' for each in steps}
    assert longer == {
        f'pipelineDefinition.Steps["{each}"].Arguments.StoppingCondition.MaxRuntimeInSeconds'
        for each in ("Process", "Evaluate")
    }
    assert len(found) == len(again) + len(longer)


@pytest.mark.parametrize("environment", STACKS)
def test_settings_that_messages_name_are_those_of_a_model(environment: str) -> None:
    model: Any = stack_section(environment, "models")[0]
    told = {
        name
        for each in configured(environment).values()
        if isinstance(each.settings.facts, SettingFacts)
        for value in each.settings.facts.settings.values()
        for name in value.partition(" of the model")[0].split(" or ")
    }
    assert len(told) >= 10
    for name in told:
        assert reduce(operator.getitem, name.split("."), model) is not ..., name


def without_guards(arguments: dict[str, Any]) -> None:
    del arguments["ResourceConfig"]["VolumeKmsKeyId"]
    del arguments["VpcConfig"]
    arguments |= {"EnableNetworkIsolation": False, "EnableInterContainerTrafficEncryption": False}
    arguments["ResourceConfig"]["InstanceCount"] = 2


def test_a_training_in_the_open_is_refused_for_each_guard_that_it_lacks() -> None:
    document = copy.deepcopy(record_deployment("prod"))
    pipelines = [each for each in document["deployment"]["resources"] if each["type"] == PIPELINE]
    (changed,) = [each for each in pipelines if TRAINS in each["inputs"]["pipelineDefinition"]]
    definition = json.loads(changed["inputs"]["pipelineDefinition"])
    without_guards(next(each["Arguments"] for each in definition["Steps"] if each["Name"] == "Train"))
    for properties in (changed["inputs"], changed["outputs"]):
        properties["pipelineDefinition"] = json.dumps(definition)
    found = of_pipelines(gate.run(deployment.read(document), configured()))
    assert sorted((rule, path) for rule, path, _ in found) == [
        ("sagemaker-in-vpc-isolated", f"{TRAIN}EnableNetworkIsolation"),
        ("sagemaker-in-vpc-isolated", f"{TRAIN}VpcConfig.Subnets"),
        ("sagemaker-internode-tls", f"{TRAIN}EnableInterContainerTrafficEncryption"),
        ("sagemaker-kms", f"{TRAIN}ResourceConfig.VolumeKmsKeyId"),
    ]


def test_a_rule_takes_less_than_a_millisecond_for_a_resource(record_property: Callable[[str, object], None]) -> None:
    found = gate.run(recorded(), configured())
    milliseconds = 1000 * found.seconds / found.judgements
    record_property("milliseconds per judgement", milliseconds)
    measured = f"{milliseconds:.3f} ms per judgement, {found.judgements} judgements by {len(found.rules)} rules"
    sys.stdout.write(f"{measured}\n")  # pytest shows it with -rP
    assert milliseconds < 1


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_in_a_recording_is_unknown(stack: str) -> None:
    text = json.dumps(record_deployment(stack))
    assert not [sentinel for sentinel in UNKNOWN_SENTINELS if sentinel in text]


def test_the_recording_holds_the_children_of_the_remote_component_after_the_transforms_of_the_program() -> None:
    (cluster,) = [each for each in recorded().inputs if each.token == "aws:eks/cluster:Cluster"]  # noqa: S105 - a type
    assert cluster.get("accessConfig.bootstrapClusterCreatorAdminPermissions").flag() is False
    assert cluster.parent is not None
    assert "eks:index:Cluster" in cluster.parent


def test_two_recordings_under_different_hash_seeds_are_equal() -> None:
    by_urn = [
        {each["urn"]: each for each in record_deployment("prod", hash_seed=seed)["deployment"]["resources"]}
        for seed in ("0", "1")
    ]
    assert by_urn[0] == by_urn[1]


def said(lines: Iterable[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    return sorted(lines)


def test_the_policy_sdk_says_the_same_about_our_own_program() -> None:
    subject = recorded()
    config = elsewhere()
    found = gate.run(subject, configure(all_rules(), config))
    pack = InProcess(all_rules(), config)
    lines = [line for each in subject.inputs for line in pack.analyze(each)]
    lines += pack.analyze_stack(subject.outputs)
    by_sdk = [(each.policy, each.level, each.urn, each.message.partition("\n")[2]) for each in lines]
    by_gate = [
        (each.rule.name, str(each.level), each.message.urn or "", each.message.text)
        for each in found.findings
        if each.outcome is Outcome.VIOLATION
    ]
    assert said(by_gate) == said(by_sdk)
    assert len({policy for policy, *_ in by_gate}) >= 10
    assert len(by_gate) > 100


def test_a_mandatory_violation_blocks_and_names_the_line_that_made_the_resource() -> None:
    found = gate.run(with_change(TEMPLATE, "metadataOptions", {"httpTokens": "optional"}), configured())
    blocking = [each for each in found.findings if each.blocks]
    assert {each.rule.name for each in blocking} == {"imds-v2-hop-1"}
    source = blocking[0].source
    assert source is not None
    assert source.file == "components/node_pools.py"
    assert found.findings[0] is blocking[0]


def test_an_unknown_value_blocks_where_a_rule_hangs_on_it_and_nowhere_else() -> None:
    sentinel = min(UNKNOWN_SENTINELS)
    found = gate.run(with_change(TEMPLATE, "metadataOptions", sentinel), configured())
    assert {(each.outcome, each.rule.name) for each in found.findings if each.blocks} == {
        (Outcome.UNDETERMINED, "imds-v2-hop-1")
    }
    assert gate.run(with_change(TEMPLATE, "description", sentinel), configured()).passed


def crashes(_subject: Resource, _facts: object) -> Iterator[Finding]:
    raise RuntimeError("boom")


def test_a_crash_blocks_even_in_an_advisory_rule_while_a_disabled_rule_never_runs() -> None:
    rules = configured()
    tags = rules["imds-v2-hop-1"]
    assert isinstance(tags.rule, ResourceRule)
    broken = replace(tags, level=Level.ADVISORY, rule=replace(tags.rule, check=crashes))
    found = gate.run(recorded(), {**rules, "imds-v2-hop-1": broken})
    assert {(each.outcome, each.rule.name) for each in found.findings if each.blocks} == {
        (Outcome.CRASH, "imds-v2-hop-1")
    }
    off = gate.run(recorded(), {**rules, "imds-v2-hop-1": replace(broken, level=Level.DISABLED)})
    assert off.passed
    assert len(off.rules) == len(found.rules) - 1


def test_the_remedies_of_an_environment_are_applied_before_it_is_judged_and_are_shown() -> None:
    changed = with_change("aws:cloudwatch/logGroup:LogGroup", "retentionInDays", None)
    assert not gate.run(changed, configured("prod")).passed
    development = configured("dev")
    for facts in ("required-tags", "namespace-guardrails"):
        development[facts] = configured("prod")[facts]
    found = gate.run(changed, development)
    assert found.passed
    assert [each.rule.name for each in found.findings if each.outcome is Outcome.REMEDIED] == ["log-retention"]


def exempting(days: int) -> dict[str, Configured]:
    config = load(CONFIG / "prod.json")
    accepted = {
        "urn": "urn:pulumi:prod::*::pools-*",
        "reason": "the agent runs in the host network",
        "owner": "platform",
        "expires": (TODAY + dt.timedelta(days=days)).isoformat(),
    }
    return configure(all_rules(), config | {"imds-v2-hop-1": {"exemptions": [accepted]}})


def test_an_exempted_finding_is_shown_and_does_not_block() -> None:
    found = gate.run(with_change(TEMPLATE, "metadataOptions", {"httpTokens": "optional"}), exempting(90), CLOCK)
    assert found.passed
    assert found.count(Outcome.EXEMPTED) >= 1
    assert found.expiring == ()


@pytest.mark.parametrize(("days", "announced"), [(0, True), (30, True), (31, False)])
def test_an_exemption_is_announced_in_its_last_thirty_days(days: int, announced: bool) -> None:
    found = gate.run(recorded(), exempting(days), CLOCK)
    assert [each.days for each in found.expiring] == ([days] if announced else [])


def test_an_expired_exemption_blocks() -> None:
    found = gate.run(recorded(), exempting(-1), CLOCK)
    (blocking,) = [each for each in found.findings if each.blocks]
    assert "expired on 2026-11-21" in blocking.message.text
    assert blocking.message.urn is None


def test_a_report_is_the_same_in_every_run_and_counts_what_it_lists() -> None:
    rules = configure(all_rules(), elsewhere())
    first, second = (report.document("prod", gate.run(recorded(), rules, CLOCK), rules) for _ in range(2))
    timings: list[Any] = [first.pop("timing"), second.pop("timing")]
    assert first == second
    assert json.loads(json.dumps(first)) == first
    counts: Any = first["counts"]
    findings: Any = first["findings"]
    assert counts["blocking"] == sum(each["blocks"] for each in findings) > 50
    assert counts["advice"] == len(findings) - counts["blocking"]
    ours = [each for each in findings if each["urn"] and "eks:index:" not in each["urn"]]
    assert ours
    assert all(each["source"]["file"].startswith(("components/", "__main__.py")) for each in ours)
    assert all(set(timing) == {"secondsInRules", "millisecondsPerJudgement"} for timing in timings)


@pytest.mark.parametrize("broken", [{}, {"deployment": {}}, [], {"deployment": {"resources": [{"urn": "x"}]}}])
def test_what_is_no_deployment_is_refused(broken: object) -> None:
    with pytest.raises(deployment.DeploymentError):
        deployment.read(broken)


def test_a_position_outside_the_project_is_no_source() -> None:
    def source(position: str) -> object:
        held = {"urn": URN, "type": "t:t:T", "sourcePosition": position}
        return deployment.read({"deployment": {"resources": [held]}}).sources

    assert source("project:///../elsewhere/x.py#3") == {}
    assert source("project:///components/x.py#3") == {URN: deployment.Source("components/x.py", 3)}


def test_the_command_writes_reports_prints_fixes_and_ends_with_an_error_when_something_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(names: Iterable[str], charts: Path | None = None) -> Iterator[command.Judged]:
        assert charts is None
        for name in names:
            yield command.judged(name, record_deployment(name), elsewhere() if name == "prod" else None)

    monkeypatch.setattr(command, "judge", judge)
    commands.policy(Console(), "dev", None)
    assert "✓ dev: " in capsys.readouterr().out
    with pytest.raises(commands.CommandError, match="the policies refuse prod:"):
        commands.policy(Console(), None, str(tmp_path / "reports"))
    printed = capsys.readouterr().out
    assert "✗ violation (mandatory)" in printed
    assert "Fix: " in printed
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {f"policy-{stack}.json" for stack in STACKS}
    written = json.loads((tmp_path / "reports" / "policy-prod.json").read_text(encoding="utf-8"))
    assert written["passed"] is False
    assert written["stackFile"] == "Pulumi.prod.yaml"


def test_a_program_that_fails_is_told_in_its_own_words() -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "x.py", line 1\n    y\nRecordingError: urn: size: big\n  and more'
    )
    assert command.last_error(traceback) == "RecordingError: urn: size: big\n  and more"
