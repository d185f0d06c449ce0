"""The four stack files of this repository, and how any stack file is read."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import jsonschema
import pytest
import yaml

from settings import check, schema
from settings.check import load_file
from settings.problems import SettingsError
from settings.schema import SCHEMA_FILE, stack_file_schema
from settings.stack_file import read
from settings.versions import STANDARD_SUPPORT_ENDS
from tests.settings.stacks import GONE, STACKS, changed, decoded, stack_file

if TYPE_CHECKING:
    from pathlib import Path


MAY_BE_EMPTY = (
    ".slipway:network.interfaceEndpoints[]",
    ".slipway:karpenter.pools[].budgets[].reasons[]",
    ".slipway:karpenter.headroom.pools[]",
    ".slipway:budget.alertPercents[]",
    ".slipway:alarms.emails[]",
    ".slipway:packaging.blockedSeverities[]",
    ".slipway:registry.approverArns[]",
    ".slipway:registry.promoterArns[]",
    ".slipway:registry.promotesFrom.",
    ".slipway:registry.promotesTo.",
    ".slipway:monitoring.cloudWatch.",
    ".slipway:rollouts.controller.",
    ".slipway:studio.domain.",
    ".slipway:tracking.app.",
    ".slipway:models[].serving.eks.rollout.",
    ".slipway:models[].retraining.schedule.",
)
"""What one environment leaves empty and another does not, with all that is in it."""


def keys(value: object, path: str = "") -> set[str]:
    """Return the dotted keys of `value`; entries of a list count as one."""
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {path}.union(*(keys(inner, f"{path}.{name}") for name, inner in entries.items()))
    if isinstance(value, list):
        return {path}.union(*(keys(inner, f"{path}[]") for inner in cast("list[object]", value)))
    return {path}


def refusals(of: dict[str, Any], content: object) -> list[str]:
    """Return what the schema `of` has against `content`."""
    validator: Any = jsonschema.Draft202012Validator(of)
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_of_this_repository_has_no_problem(stack: str) -> None:
    assert load_file(stack_file(stack)).environment.name == stack


def test_all_stack_files_declare_the_same_keys_in_the_same_order() -> None:
    sections = list(stack_file_schema()["properties"]["config"]["properties"])
    assert [list(decoded(stack)) for stack in STACKS] == [sections] * len(STACKS)
    all_keys = [{key for key in keys(decoded(stack)) if not key.startswith(MAY_BE_EMPTY)} for stack in STACKS]
    assert all_keys == [all_keys[0]] * len(STACKS)
    assert ".slipway:nodePools[].minSize" in all_keys[0]


def kind(stack: str) -> dict[str, object]:
    """Return what decides which resources there are, without how many of each and how large."""
    settings = load_file(stack_file(stack))
    return {
        "zones": len(settings.network.zones),
        "nat": settings.network.nat_gateways,
        "endpoints": settings.network.interface_endpoints,
        "public": settings.cluster.public_endpoint,
        "version": settings.cluster.version,
        "addons": settings.cluster.addons,
        "pools": [(pool.name, pool.role, pool.capacity, pool.instance_types) for pool in settings.node_pools],
        "charts": settings.charts,
        "image": settings.karpenter.ami_alias,
        "elastic": [pool.model_copy(update={"limits": None}) for pool in settings.karpenter.pools],
        "headroom": [room.pool for room in settings.karpenter.headroom.pools],
        "teams": [
            (
                team.name,
                [duty for duty, roles in team.access if roles],
                [space.model_copy(update={"quota": None}) for space in team.namespaces],
            )
            for team in settings.teams
        ],
        "models": [(model.name, model.label, model.training, model.gate) for model in settings.models],
    }


@pytest.mark.parametrize("stack", ["staging", "local"])
def test_staging_and_local_are_of_the_same_kind_as_prod(stack: str) -> None:
    assert kind(stack) == kind("prod")
    assert kind("dev") != kind("prod")


def test_staging_is_protected_as_prod_is() -> None:
    staging, prod = (load_file(stack_file(stack)) for stack in ("staging", "prod"))
    assert staging.environment.protect_data
    assert prod.environment.protect_data
    assert staging.environment.data_classification == prod.environment.data_classification
    assert staging.cluster.deletion_protection


def test_no_environment_leads_dev_and_prod_leads_none() -> None:
    order = list(STANDARD_SUPPORT_ENDS)
    dev, staging, prod = (
        order.index(load_file(stack_file(stack)).cluster.version) for stack in ("dev", "staging", "prod")
    )
    assert dev >= staging >= prod


def test_supported_versions_are_in_the_order_of_their_end_of_support() -> None:
    ends = list(STANDARD_SUPPORT_ENDS.values())
    assert ends == sorted(ends)
    assert min(ends) > date(2027, 1, 1)


def test_environments_can_be_connected_because_no_two_ranges_overlap() -> None:
    ranges = [load_file(stack_file(stack)).network.cidr for stack in STACKS]
    overlaps = [(a, b) for index, a in enumerate(ranges) for b in ranges[:index] if a.overlaps(b)]
    assert len(ranges) == len(STACKS)
    assert overlaps == []


def test_environments_have_accounts_of_their_own() -> None:
    accounts = {load_file(stack_file(stack)).environment.account_id for stack in STACKS}
    assert len(accounts) == len(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_every_number_that_costs_or_limits_stands_below_a_comment(stack: str) -> None:
    lines = stack_file(stack).read_text(encoding="utf-8").splitlines()
    numbers = [index for index, line in enumerate(lines) if line.strip().rpartition(": ")[2].isdigit()]
    commented = {"minSize", "desiredSize", "maxSize", "accessLogDays", "maxUnavailable", "diskGib", "colsample_bytree"}
    bare = [
        lines[index]
        for index in numbers
        if "#" not in lines[index - 1] and lines[index].split(":")[0].strip() not in commented
    ]
    assert len(numbers) > 20
    assert bare == []


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_satisfies_the_schema_that_its_first_line_names(stack: str) -> None:
    text = stack_file(stack).read_text(encoding="utf-8")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=docs/settings.schema.json"
    committed = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(committed)
    assert refusals(committed, yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "edits",
    [
        {"modles": []},
        {"network.natGateway": "single"},
        {"cluster.version": 1.35},
        {"network.publicPrefix": 28},
        {"network": GONE},
        {"nodePools.0.minSize": GONE},
        {"network.cidr": "somewhere"},
    ],
)
def test_the_schema_refuses_what_one_value_alone_can_break(edits: dict[str, Any]) -> None:
    assert refusals(stack_file_schema(), {"config": decoded()}) == []
    assert refusals(stack_file_schema(), {"config": changed(edits)})


def test_the_schema_leaves_other_packages_and_pulumis_own_keys_alone() -> None:
    content = {"config": {**decoded(), "aws:region": "us-east-1"}, "encryptionsalt": "v1:x", "secretsprovider": "y"}
    assert refusals(stack_file_schema(), content) == []


def test_the_committed_schema_is_up_to_date() -> None:
    assert schema.main(["--check"]) == 0


def test_a_stale_schema_is_told_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "docs" / "settings.schema.json"
    monkeypatch.setattr(schema, "SCHEMA_FILE", file)
    assert schema.main(["--check"]) == 1
    assert capsys.readouterr().err.endswith("run python -m settings.schema\n")
    assert schema.main([]) == 0
    assert schema.main(["--check"]) == 0
    assert file.read_text(encoding="utf-8") == SCHEMA_FILE.read_text(encoding="utf-8")


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ('"true"', "true"),
        ("30", 30),
        ("30.0", 30),
        ("1e3", 1000),
        ("1.35", 1.35),
        ('"1.35"', "1.35"),
        ("0x10", 16),
        ("010", 8),
        ("012345678", 12345678),
        ("012345678901", 12345678901),
        ("-5", -5),
        ("~", None),
        ("2026-01-01", "2026-01-01"),
        ("[a, 1, {b: no}]", ["a", 1, {"b": "no"}]),
    ],
)
def test_a_scalar_means_what_it_means_to_the_engine(text: str, value: object, tmp_path: Path) -> None:
    config, secrets = read(written(tmp_path, f"config:\n  slipway:x:\n    y: {text}\n"))
    assert json.loads(config["slipway:x"]) == {"y": value}
    assert type(json.loads(config["slipway:x"])["y"]) is type(value)
    assert secrets == frozenset()


def test_a_key_without_a_namespace_is_the_projects_own(tmp_path: Path) -> None:
    config, _ = read(written(tmp_path, "config:\n  bare: 3\n  aws:region: eu-west-1\n  slipway:empty:\n"))
    assert config == {"slipway:bare": "3", "aws:region": "eu-west-1", "slipway:empty": ""}


def test_an_encrypted_value_is_found_at_any_depth(tmp_path: Path) -> None:
    a, d, e = "{b: [{c: {secure: AAAB}}]}", "{secure: AAAB}", "{f: secure, g: [{secure: AAAB, h: 1}]}"
    _, secrets = read(written(tmp_path, f"config:\n  slipway:a: {a}\n  slipway:d: {d}\n  slipway:e: {e}\n"))
    assert secrets == {"slipway:a", "slipway:d"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("config:\n  slipway:a: 1\n  slipway:a: 2\n", "key slipway:a again (line 3, column 3)"),
        ("config: [1]\n", "no mapping below config:"),
        ("- 1\n", "no mapping below config:"),
        ("config: {a: [\n", "(line 2, column 1)"),
        ("config: &a\n  b: *a\n", "an alias inside itself"),
        ("config:\n\ta: 1\n", "(line 2, column 1)"),
    ],
)
def test_a_file_that_is_no_stack_file_is_one_problem_that_says_where(text: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(written(tmp_path, text))
    (problem,) = caught.value.problems
    assert problem.file == "Pulumi.x.yaml"
    assert problem.found.endswith(found)
    assert str(problem).endswith("Pulumi.dev.yaml shows the form")


def test_a_missing_file_is_a_problem_and_not_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(tmp_path / "Pulumi.gone.yaml")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_check_reports_all_files_and_fails_if_one_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = stack_file("prod")
    bad = written(tmp_path, good.read_text(encoding="utf-8").replace("privatePrefix: 19", "privatePrefix: 17"))
    assert check.main([str(good)]) == 0
    capsys.readouterr()
    assert check.main([str(good), str(bad)]) == 1
    output = capsys.readouterr()
    assert output.out == f"Pulumi.prod.yaml · no problem · digest {load_file(good).digest[:12]}\n"
    head, line = output.err.splitlines()
    assert head == "1 problem in the settings; nothing was created."
    assert line.startswith("  Pulumi.x.yaml · slipway:network.privatePrefix · found 17 · ")
    assert line.endswith("raise it to 18 or more")


def test_the_check_takes_all_stack_files_of_the_folder_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stack_file("prod").parent)
    assert check.main([]) == 0
    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"Pulumi.{stack}.yaml" for stack in sorted(STACKS)
    ]


def test_the_digest_depends_on_values_and_not_on_their_layout(tmp_path: Path) -> None:
    prod = load_file(stack_file("prod"))
    shuffled = {name: decoded()[name] for name in sorted(decoded(), reverse=True)}
    same = written(tmp_path, json.dumps({"config": shuffled}))
    assert load_file(same).digest == prod.digest
    other = written(tmp_path, json.dumps({"config": changed({"nodePools.1.maxSize": 21})}))
    assert load_file(other).digest != prod.digest
