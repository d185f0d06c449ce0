"""The registry, the containment of crashes, exemptions, messages and remedies."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from crossguard.inprocess import InProcess
from crossguard.remedies import apply
from guardrails.evaluation import Clock, Settings, Verdict, judge_resource
from guardrails.exemptions import Exemption
from guardrails.facts import NoFacts
from guardrails.registry import all_rules, collect
from guardrails.resources import STACK_TOKEN, Resource, resource
from guardrails.rule import AnyRule, Finding, Kind, Level, Levels, ResourceRule, Severity, Violation, show
from guardrails.view import UNKNOWN, value_of

BUCKET = "aws:s3/bucket:Bucket"
TODAY = dt.date(2026, 11, 22)
CLOCK = Clock(lambda: TODAY)


def always(_resource: Resource, _facts: NoFacts) -> Iterator[Finding]:
    yield Violation(path="acl", found="something", wanted="nothing")


def crash(_resource: Resource, _facts: NoFacts) -> Iterator[Finding]:
    yield Violation(path="first", found="something", wanted="nothing")
    raise KeyError("hunter2")


def made(name: str = "always", identifier: str = "TST-01", check: Any = always) -> ResourceRule[object]:
    rule = ResourceRule(
        id=identifier,
        name=name,
        title="Nothing passes",
        tokens=(BUCKET,),
        severity=Severity.LOW,
        levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
        frameworks=("soc2:CC6.1",),
        why="it is a test",
        fix="do not test",
        facts=NoFacts,
        check=check,
    )
    return cast("ResourceRule[object]", rule)


def exemption(**changes: str) -> Exemption:
    fields = {
        "urn": "urn:pulumi:*::logs",
        "reason": "delivered by AWS itself",
        "owner": "platform",
        "expires": "2026-12-31",
    }
    return Exemption(**{**fields, **changes})


def judged(*exemptions: Exemption, name: str = "logs", token: str = BUCKET, check: Any = always) -> Verdict:
    subject = resource(token, {}, name=name)
    return judge_resource(made(check=check), subject, Settings(facts=NoFacts(), exemptions=exemptions), CLOCK)


def test_two_rules_with_one_name_or_one_number_are_refused_and_all_clashes_are_named() -> None:
    rules = [made(), made(identifier="TST-02"), made(name="other", identifier="TST-02")]
    with pytest.raises(ValueError, match=r"declared twice: name always, resource rule TST-02$"):
        collect(rules)
    assert collect([made(), made(name="other", identifier="TST-02"), "no rule"]) == (rules[0], rules[2])


def test_a_resource_rule_and_a_stack_rule_may_share_a_number() -> None:
    kinds = {rule.kind for rule in all_rules() if rule.id == "SUP-03"}
    assert kinds == {Kind.RESOURCE, Kind.STACK}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "one"}, "does not look like NET-05"),
        ({"name": "Not Kebab"}, "is not in kebab case"),
        ({"fix": ""}, "must not be empty"),
        ({"tokens": ()}, "must not be empty"),
    ],
)
def test_a_rule_that_cannot_be_found_or_explained_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(made(), **change)


def test_a_crash_is_a_violation_that_names_rule_and_resource_but_not_what_it_held() -> None:
    verdict = judged(check=crash)
    assert [line.path for line in verdict.violations] == ["first", ""]
    text = verdict.violations[1].text
    assert "rule crashed with KeyError" in text
    assert "logs" in text
    assert "TST-01 always" in text
    assert "hunter2" not in text


def test_after_a_crash_the_other_rules_still_run_through_the_sdk() -> None:
    rules: tuple[AnyRule, ...] = (made("crashing", "TST-02", crash), made())
    lines = InProcess(rules, {}).analyze(resource(BUCKET, {}))
    assert [(line.policy, line.level) for line in lines] == [
        ("crashing", "mandatory"),
        ("crashing", "mandatory"),
        ("always", "mandatory"),
    ]


def test_a_valid_exemption_turns_a_violation_into_advice_that_says_why_and_until_when() -> None:
    verdict = judged(exemption())
    assert not verdict.violations
    assert verdict.exempted[0].text.endswith("Exempted until 2026-12-31 by platform: delivered by AWS itself")


def test_an_exemption_for_another_resource_does_not_help() -> None:
    assert judged(exemption(), name="data").violations


def test_an_exemption_holds_on_its_last_day() -> None:
    assert not judged(exemption(expires=TODAY.isoformat())).violations


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expires": "2026-11-21"}, "expired on 2026-11-21"),
        ({"expires": "next year"}, "is not a day; write YYYY-MM-DD"),
        ({"reason": "because"}, "says too little"),
        ({"owner": " "}, "owner is empty"),
        ({"urn": "*"}, "covers every name"),
        ({"urn": "urn:pulumi:prod::*::aws:s3/bucket:Bucket::*"}, "covers every name"),
    ],
)
def test_a_broken_exemption_exempts_nothing_and_is_reported_on_the_stack(change: dict[str, str], problem: str) -> None:
    assert judged(exemption(**change)).violations
    reported = judged(exemption(**change), token=STACK_TOKEN).violations
    assert len(reported) == 1
    assert problem in reported[0].text


def test_a_broken_exemption_blocks_through_the_sdk_before_anything_is_made() -> None:
    config = {"always": {"exemptions": [{"urn": "*", "reason": "a b c", "owner": "o", "expires": "2099-01-01"}]}}
    lines = InProcess((made(),), config).analyze(resource(STACK_TOKEN, {}))
    assert [(line.policy, line.level) for line in lines] == [("always", "mandatory")]


def test_exempted_findings_are_printed_as_advice_through_the_sdk() -> None:
    entry = {"urn": "*::subject", "reason": "a b c", "owner": "o", "expires": "2099-01-01"}
    lines = InProcess((made(),), {"always": {"exemptions": [entry]}}).analyze(resource(BUCKET, {}))
    assert [(line.policy, line.level) for line in lines] == [("undecided", "advisory")]


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("masterPassword", "hunter2"),
        ("grafana.adminSecret", "hunter2"),
        ("apiKey", "hunter2"),
        ("sessionToken", "hunter2"),
        ("comment", "AKIAQWERTYUIOPASDFGH"),
        ("comment", "wJalrXUtnFEMIK7MDENGbPxRfiCYzzzzzzzzKEYz"),
    ],
)
def test_what_looks_secret_is_never_shown(path: str, raw: str) -> None:
    assert show(value_of(raw, path)) == "a value that looks secret"


@pytest.mark.parametrize(
    ("path", "raw", "shown"),
    [
        ("metadataOptions.httpTokens", "optional", "optional"),
        ("kmsMasterKeyId", "alias/aws/s3", "alias/aws/s3"),
        ("port", 22.0, "22"),
        ("open", True, "true"),
        ("list", [1], "a list"),
        ("map", {"a": 1}, "an object"),
        ("nothing", None, "nothing"),
        ("later", UNKNOWN, "a value not known yet"),
        ("long", "x " * 100, "x " * 60 + "…"),
    ],
)
def test_ordinary_values_are_shown_short(path: str, raw: object, shown: str) -> None:
    assert show(value_of(raw, path)) == shown


def test_no_message_of_the_credentials_rule_shows_the_credential() -> None:
    key = "AKIAQWERTYUIOPASDFGH"
    subject = resource("kubernetes:core/v1:ConfigMap", {"data": {"a": key, "b": f"AWS_SECRET_ACCESS_KEY={'s' * 40}"}})
    reported = InProcess(all_rules(), {}).analyze(subject)
    lines = [line for line in reported if line.policy == "no-static-aws-credentials"]
    assert len(lines) == 2
    assert not any(key in line.message or "sss" in line.message for line in reported)


def dev_pack() -> InProcess:
    config = {"required-tags": {"enforcementLevel": "remediate", "remedies": {"Environment": "dev", "Owner": "ml"}}}
    return InProcess(all_rules(), {**config, "ecr-immutable": "remediate"})


def test_a_remedy_adds_missing_tags_to_both_maps_and_keeps_the_rest() -> None:
    before: dict[str, Any] = {"bucket": "b", "tags": {"Owner": "me"}, "tagsAll": {"Owner": "me"}, "arn": UNKNOWN}
    after = dev_pack().remediate(resource(BUCKET, before))
    both = {"Owner": "me", "Environment": "dev"}
    assert after == {**before, "tags": both, "tagsAll": both}


def test_a_remedy_leaves_unknown_tags_alone() -> None:
    assert dev_pack().remediate(resource(BUCKET, {"tags": UNKNOWN})) is None


def test_remedies_of_two_rules_add_up_and_are_stable() -> None:
    pack = dev_pack()
    token = "aws:ecr/repository:Repository"  # noqa: S105 - a type token
    after = pack.remediate(resource(token, {"imageTagMutability": "IMMUTABLE"}))
    assert after is not None
    assert after["imageScanningConfiguration"] == {"scanOnPush": True}
    assert after["tags"] == {"Environment": "dev", "Owner": "ml"}
    assert pack.remediate(resource(token, after)) is None


def test_a_remedy_keeps_secrets_secret() -> None:
    from pulumi_policy import Secret  # noqa: PLC0415 - only this test builds what the SDK's remediation hands over
    from pulumi_policy.secret import secrets_preserving_proxy  # noqa: PLC0415 - as above

    held = secrets_preserving_proxy({"tags": Secret({"Owner": "me"}), "password": Secret("x")})
    after = cast("dict[str, Any]", apply({("tags", "Environment"): "dev"}, held))
    assert isinstance(after["password"], Secret)
    assert isinstance(after["tags"], Secret)
    assert after["tags"].value == {"Owner": "me", "Environment": "dev"}


def test_production_does_not_remedy() -> None:
    assert InProcess(all_rules(), {}).remediate(resource(BUCKET, {})) is None


@pytest.mark.parametrize("name", ["service-account-hygiene", "replicas-pdb-spread-probes", "resources-set"])
def test_a_workload_of_a_cluster_that_does_not_exist_yet_is_undecided_and_no_violation(name: str) -> None:
    # Without a kubeconfig the engine shows stack policies no property of an object.
    rules = tuple(rule for rule in all_rules() if rule.name == name)
    pack = InProcess(rules, {name: "mandatory"})
    found = pack.analyze_stack([resource("kubernetes:apps/v1:Deployment", {}, name="server")])
    assert {line.policy for line in found} == {"undecided-in-stack"}
    bare: dict[str, Any] = {
        "metadata": {"namespace": "serving", "name": "server"},
        "spec": {"template": {"spec": {"containers": [{}]}}},
    }
    written = pack.analyze_stack([resource("kubernetes:apps/v1:Deployment", bare, name="server")])
    assert name in {line.policy for line in written}
