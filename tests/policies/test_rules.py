"""Every rule against its cases: as a pure function, and through the policy SDK's own proxies and server object."""

from collections.abc import Callable

import pytest

from crossguard.inprocess import InProcess
from guardrails.registry import all_rules
from guardrails.rule import AnyRule, ResourceRule
from tests.policies.corpus import Case, cases

CASES = [pytest.param(case, id=f"{case.rule.name}: {case.title}") for case in cases()]
RULES = [pytest.param(rule, id=rule.name) for rule in all_rules()]


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_is_the_expected_one(case: Case) -> None:
    verdict = case.judge()
    assert verdict.outcome == case.verdict, verdict
    lines = verdict.violations or verdict.undetermined
    assert sorted(line.path for line in lines) == sorted(case.paths)
    if case.urns:
        assert sorted(line.urn or "" for line in lines) == sorted(case.urns)


@pytest.mark.parametrize("case", CASES)
def test_the_sdk_reports_the_same_with_level_and_urn(case: Case) -> None:
    name = case.rule.name
    pack = InProcess((case.rule,), {name: {"enforcementLevel": "mandatory", **case.facts}})
    if isinstance(case.rule, ResourceRule):
        lines = pack.analyze(case.resources[0])
    else:
        lines = pack.analyze_stack(case.resources)
    verdict = case.judge()
    assert [line.message.partition("\n")[2] for line in lines if line.policy == name] == [
        line.text for line in verdict.violations
    ]
    assert {line.level for line in lines if line.policy == name} <= {"mandatory"}
    notes = [line for line in lines if line.policy.startswith("undecided")]
    assert [line.urn for line in notes] == [line.urn for line in verdict.undetermined]
    assert {line.level for line in notes} <= {"advisory"}
    assert len(lines) == len(verdict.violations) + len(notes)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_firing_and_a_passing_and_an_undetermined_case(rule: AnyRule) -> None:
    verdicts = {case.verdict for case in cases() if case.rule is rule}
    wanted = {"pass", "violation", "undetermined"}
    if rule.name == "volumes-encrypted-by-default":
        wanted -= {"violation"}  # the account may encrypt by itself, which no stack shows
    assert wanted <= verdicts


@pytest.mark.parametrize("rule", RULES)
def test_every_type_that_a_rule_names_has_a_case(rule: AnyRule) -> None:
    subjects = {each.token for case in cases() if case.rule is rule for each in case.resources}
    if len(rule.tokens) < 20:  # longer lists are generated
        assert set(rule.tokens) - {"*"} <= subjects


@pytest.mark.parametrize("case", [param for param in CASES if param.values[0].verdict == "violation"])  # type: ignore[union-attr]
def test_a_violation_says_where_what_is_wanted_and_how_to_mend_it(case: Case) -> None:
    for line in case.judge().violations:
        subject = next(each for each in case.resources if each.urn == line.urn)
        for part in (subject.name, subject.token, line.path, "found ", "want ", "Fix: ", case.rule.id, case.rule.name):
            assert part in line.text
        assert "\n" not in line.text


def test_the_pack_runs_all_rules_at_once_on_a_whole_stack(pack: Callable[[str], InProcess]) -> None:
    resources = [each for case in cases() for each in case.resources]
    lines = [line for each in resources for line in pack("prod").analyze(each)]
    assert {line.policy for line in lines} >= {rule.name for rule in all_rules() if isinstance(rule, ResourceRule)}
