"""The four configuration files, their schema, and the relation between environments."""

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy import policy as sdk_policy

from crossguard.inprocess import Diagnostic, InProcess
from crossguard.pack import policies
from guardrails import facts
from guardrails.levels import FOLDER, KINDS, text_of, with_levels
from guardrails.packconfig import REPORTS, ConfigError, configure, load, schema_of, settings_of
from guardrails.registry import all_rules
from guardrails.rule import AnyRule, Level, ResourceRule
from tests.policies.corpus import Case, cases

RULES = [pytest.param(rule, id=rule.name) for rule in all_rules()]
ENVIRONMENTS = sorted(KINDS)
TAGS = ("Project", "Environment", "Owner", "CostCenter", "DataClassification")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_file_names_every_rule_with_its_level_and_nothing_else(environment: str) -> None:
    path = FOLDER / f"{environment}.json"
    expected = with_levels(load(path), all_rules(), KINDS[environment])
    assert path.read_text(encoding="utf-8") == text_of(expected), "run python -m guardrails.levels in policies/"
    assert set(expected) == {rule.name for rule in all_rules()} | set(REPORTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_file_is_valid_by_the_schema_that_the_engine_checks_and_by_our_own_reader(environment: str) -> None:
    config = load(FOLDER / f"{environment}.json")
    for rule in all_rules():
        level = {"enforcementLevel": {"enum": list(Level)}}
        schema = {"type": "object", "additionalProperties": False, "properties": {**level, **schema_of(rule)}}
        jsonschema.validate(config[rule.name], schema)
    assert len(configure(all_rules(), config)) == len(all_rules())


@pytest.mark.parametrize("rule", RULES)
def test_defaults_in_code_and_schema_are_the_same_and_every_property_is_explained(rule: AnyRule) -> None:
    schema = schema_of(rule)
    defaults: dict[str, Any] = {name: each["default"] for name, each in schema.items()}
    assert settings_of(rule, defaults) == settings_of(rule, {})
    for name, each in schema.items():
        assert str(each["description"]).endswith((".", "?")), name
        jsonschema.validate(each["default"], each)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environment_tag_is_the_file_s_own_and_five_tags_are_required(environment: str) -> None:
    config = configure(all_rules(), load(FOLDER / f"{environment}.json"))
    tags: Any = config["required-tags"].settings.facts
    assert tags.environment == environment
    assert tags.required == TAGS


def test_no_rule_is_stricter_in_dev_than_in_prod() -> None:
    for rule in all_rules():
        assert rule.levels.dev.strictness <= rule.levels.prod.strictness, rule.name
    assert any(rule.levels.dev is not rule.levels.prod for rule in all_rules())


def blocking(environment: str, case: Case) -> set[str]:
    found: tuple[Diagnostic, ...]
    pack = as_prod(environment, case.rule.name)
    if isinstance(case.rule, ResourceRule):
        found = tuple(line for each in case.resources for line in pack.analyze(each))
    else:
        found = pack.analyze_stack(case.resources)
    return {line.policy for line in found if line.level == "mandatory"}


@cache
def as_prod(environment: str, name: str) -> InProcess:
    """One rule with an environment's configuration, but the Environment tag of prod, which the cases have."""
    config: dict[str, Any] = load(FOLDER / f"{environment}.json")
    own = {**config[name], **({"environment": "prod"} if name == "required-tags" else {})}
    return InProcess(tuple(rule for rule in all_rules() if rule.name == name), {name: own})


def test_what_blocks_dev_also_blocks_prod_staging_and_local() -> None:
    blocked = {environment: [blocking(environment, case) for case in cases()] for environment in ENVIRONMENTS}
    for environment in ("prod", "staging", "local"):
        assert all(less <= more for less, more in zip(blocked["dev"], blocked[environment], strict=True))
    assert any(less < more for less, more in zip(blocked["dev"], blocked["prod"], strict=True))
    assert any(blocked["dev"])


def test_local_and_staging_say_what_prod_says() -> None:
    prod = load(FOLDER / "prod.json")
    for environment in ("local", "staging"):
        same: dict[str, Any] = load(FOLDER / f"{environment}.json")
        assert same["required-tags"]["environment"] == environment
        same["required-tags"] = {**same["required-tags"], "environment": "prod"}
        assert same == prod


def test_all_problems_of_a_configuration_are_reported_together() -> None:
    config: dict[str, Any] = {
        "no-such-rule": "mandatory",
        "required-tags": {"enforcementLevel": "fatal", "required": "Owner", "colour": "red"},
        "irsa-trust-scoped": {"mostSubjects": 2.5, "exemptions": [{"urn": "x"}]},
        "eks-endpoint-private": {"allowPublic": "yes"},
    }
    with pytest.raises(ConfigError) as caught:
        configure(all_rules(), config)
    assert sorted(line.partition(":")[0] for line in str(caught.value).splitlines()) == [
        "eks-endpoint-private.allowPublic",
        "irsa-trust-scoped.exemptions[0]",
        "irsa-trust-scoped.mostSubjects",
        "no-such-rule",
        "required-tags.colour",
        "required-tags.enforcementLevel",
        "required-tags.required",
    ]


def test_whole_numbers_may_come_as_floats() -> None:
    rule = next(rule for rule in all_rules() if rule.name == "irsa-trust-scoped")
    read: Any = settings_of(rule, {"mostSubjects": 3.0}).facts
    assert read.most_subjects == 3
    assert isinstance(read.most_subjects, int)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prod.json"
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prod\.json: want an object with one key per rule$"):
        load(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prod\.json: not JSON"):
        load(path)


def test_a_configuration_that_the_pack_cannot_use_is_a_violation_not_a_crash() -> None:
    rule = next(rule for rule in all_rules() if rule.name == "imds-v2-hop-1")
    servicer: Any = sdk_policy._PolicyAnalyzerServicer("pack", "1", policies([rule]), EnforcementLevel.MANDATORY)  # pyright: ignore[reportPrivateUsage] - bypasses the reader under test
    request = proto.ConfigureAnalyzerRequest()
    request.policyConfig[rule.name].enforcementLevel = proto.MANDATORY
    request.policyConfig[rule.name].properties.update({"colour": "red"})
    servicer.Configure(request, None)
    found = servicer.Analyze(proto.AnalyzeRequest(type=rule.tokens[0], urn="u", name="n"), None).diagnostics
    assert found[0].message.endswith(
        "the pack configuration cannot be used: imds-v2-hop-1.colour: unknown property; known are none"
    )


def test_facts_of_all_kinds_have_a_schema() -> None:
    for rule in all_rules():
        assert all({"type", "description", "default"} <= set(each) for each in facts.schema(rule.facts).values())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_pods_of_every_training_namespace_keep_the_memory_that_they_may_use(environment: str) -> None:
    stack = yaml.safe_load((FOLDER.parents[1] / f"Pulumi.{environment}.yaml").read_text(encoding="utf-8"))["config"]
    spaces = [space for team in stack["slipway:teams"] for space in team["namespaces"]]
    training = [space["name"] for space in spaces if space["workloadType"] == "training"]
    facts: Any = configure(all_rules(), load(FOLDER / f"{environment}.json"))["resources-set"].settings.facts
    assert training
    assert [name for name in training if not any(fnmatchcase(name, each) for each in facts.guaranteed)] == []
