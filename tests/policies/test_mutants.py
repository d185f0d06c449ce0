"""The rules against our own program, broken in one place after another (see `tests.policies.mutation`)."""

from __future__ import annotations

import re
import sys
from collections import Counter
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from guardrails import gate
from guardrails.evaluation import Clock
from guardrails.gate import Outcome
from guardrails.rule import Level
from guardrails.view import Known
from tests.policies.mutation import (
    Mutant,
    Operator,
    base,
    changed,
    configured,
    generalised,
    is_list,
    is_map,
    mutants,
    news,
    operators,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEWEST = 300
LEAST_COVERED = 0.4
SECURITY = re.compile(
    r"(?i)polic(y|ies)\b|encrypt|kms|public|private|cidr|ingress|egress|role|principal|tls|ssl|auth|secret|token|keyarn|"
    r"protect|destroy|forcedelete|mutab|scan|retention|expir|lifecycle|taint|privileg|securitycontext|capabilit|image|"
    r"limits|requests|hoplimit|metadataoptions|version|endpoint|loggin|logtypes|subnet|namespace|verbs|resources|subjects|"
    r"apigroups|repo$|scheme|nodeclassref|requirements|quota|hard\b|redrive|deadletter|sse|pod-security"
)
"""Names of properties on which a rule could hang."""


@cache
def made() -> dict[Operator, tuple[Mutant, ...]]:
    return {operator: tuple(mutants(operator)) for operator in operators()}


def by_type() -> list[Any]:
    listed = sorted(operators(), key=lambda operator: operator.type)
    return [
        pytest.param(tuple(group), id=token) for token, group in groupby(listed, key=lambda operator: operator.type)
    ]


@pytest.mark.parametrize("group", by_type())
def test_each_mutant_is_caught_by_its_rules_and_by_no_other(group: tuple[Operator, ...]) -> None:
    wrong: list[str] = []
    for operator in group:
        for mutant in made()[operator]:
            found = {(rule, outcome) for rule, outcome, _ in news(mutant)}
            missed, surplus = operator.expected - found, found - operator.expected
            if missed or surplus:
                wrong.append(f"{mutant.name}: not found {sorted(missed)}, found as well {sorted(surplus)}")
    assert wrong == []


def test_no_rule_crashes_on_the_program_itself() -> None:
    report = gate.run(base(), configured(), Clock())
    assert report.count(Outcome.CRASH) == 0


def test_there_are_hundreds_of_mutants_and_every_operator_makes_one() -> None:
    assert sum(map(len, made().values())) >= FEWEST
    idle = {operator.change for operator, found in made().items() if not found}
    assert idle == set()


def test_what_blocks_is_mandatory_and_what_advises_is_not() -> None:
    levels = {name: each.level for name, each in configured().items()}
    for operator in operators():
        assert operator.expected, operator.change
        assert {levels[name] for name in operator.blocked | operator.undecided} <= {Level.MANDATORY}, operator.change
        assert {levels[name] for name in operator.advised} <= {Level.ADVISORY}, operator.change


def test_the_gate_says_the_same_of_one_mutant_of_each_rule() -> None:
    seen: set[str] = set()
    known = Counter((each.rule.name, each.message.text) for each in gate.run(base(), configured()).findings)
    for operator, found in made().items():
        fresh = (operator.blocked | operator.undecided) - seen
        if not fresh or not found:
            continue
        seen |= fresh
        report = gate.run(changed(found[0]), configured())
        blocking = Counter((each.rule.name, each.message.text) for each in report.findings if each.blocks) - known
        assert {name for name, _ in blocking} == operator.blocked | operator.undecided, found[0].name
    assert len(seen) >= 40


def test_every_rule_that_judges_something_of_ours_has_a_mutant() -> None:
    tokens = {each.token for each in base().inputs}
    expected = {name for operator in operators() for name, _ in operator.expected}
    judging = {name for name, each in configured().items() if any(each.rule.concerns(token) for token in tokens)}
    without = {
        "iam-trust-names-roles": "no account of the organisation is configured",
        "real-time-on-demand": "no version of a model is approved in the stack files: nothing answers requests yet",
        "karpenter-pools-overlap": "pools differ in taints and in weights: one change leaves one difference",
        "replicas-pdb-spread-probes": "the only Deployment holds places and serves nobody",
    }
    assert judging - expected == set(without)


def test_most_properties_that_look_security_relevant_are_touched(
    record_property: Callable[[str, object], None],
) -> None:
    touched = {(mutant.token, generalised(mutant.place)) for found in made().values() for mutant in found}
    relevant = {place for place in leaves() if SECURITY.search(place[1]) and not place[1].endswith("apiVersion")}
    bare = {
        (token, path)
        for token, path in relevant
        if not any(token == other and _related(path, place) for other, place in touched)
    }
    listed = [f"{token} {path}" for token, path in sorted(bare)]
    record_property("security-relevant properties without a mutant", listed)
    share = f"{len(relevant) - len(bare)} of {len(relevant)} security-relevant properties have a mutant; without:"
    sys.stdout.write("\n  ".join([share, *listed]) + "\n")  # pytest shows it with -rP
    assert 1 - len(bare) / len(relevant) >= LEAST_COVERED


def _related(path: str, place: str) -> bool:
    """Whether one of two places holds the other, or their texts are read as one document."""
    short, long = sorted((path, place), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}[", f"{short}@"))


def leaves() -> set[tuple[str, str]]:
    """Every property of the program's resources, as type and path, list members as one."""

    def walk(token: str, path: str, raw: Any) -> Iterator[tuple[str, str]]:
        if is_map(raw) and raw:
            for key, each in raw.items():
                yield from walk(token, f"{path}.{key}".removeprefix("."), each)
        elif is_list(raw) and raw:
            for each in raw:
                yield from walk(token, f"{path}[*]", each)
        else:
            yield token, path

    return {
        leaf
        for each in base().inputs
        if isinstance(each.properties, Known) and not each.token.startswith(("slipway:", "pulumi:"))
        for leaf in walk(each.token, "", each.properties.raw)
        if not leaf[1].startswith("tagsAll")
    }
