"""Remedies: they set what is missing, leave decisions alone, and a remedied resource passes."""

from collections.abc import Mapping
from typing import Any

import pytest

from guardrails.evaluation import changes_of, judge_resource
from guardrails.packconfig import settings_of
from guardrails.registry import all_rules
from guardrails.resources import resource
from guardrails.rule import ResourceRule
from guardrails.view import UNKNOWN

LOGS, NAMESPACE = "aws:cloudwatch/logGroup:LogGroup", "kubernetes:core/v1:Namespace"
PREFIX = "pod-security.kubernetes.io"


def rule(name: str) -> ResourceRule[object]:
    return next(each for each in all_rules() if each.name == name and isinstance(each, ResourceRule))


def changes(name: str, token: str, properties: Mapping[str, Any], **facts: object) -> Mapping[tuple[str, ...], object]:
    return changes_of(rule(name), resource(token, properties), settings_of(rule(name), facts))


def test_logs_without_an_end_get_the_configured_one_and_then_pass() -> None:
    assert changes("log-retention", LOGS, {}, remedyDays=14) == {("retentionInDays",): 14}
    assert changes("log-retention", LOGS, {"retentionInDays": 0}, remedyDays=14) == {("retentionInDays",): 14}
    remedied = resource(LOGS, {"retentionInDays": 14})
    assert judge_resource(rule("log-retention"), remedied, settings_of(rule("log-retention"), {})).outcome == "pass"


@pytest.mark.parametrize("properties", [{"retentionInDays": 365}, {"retentionInDays": UNKNOWN}])
def test_logs_with_an_end_keep_it(properties: dict[str, Any]) -> None:
    assert not changes("log-retention", LOGS, properties, remedyDays=14)


def test_without_a_configured_end_nothing_is_set() -> None:
    assert not changes("log-retention", LOGS, {})


def test_a_namespace_gets_the_labels_that_are_missing_and_keeps_the_others() -> None:
    found = changes("namespace-guardrails", NAMESPACE, {"metadata": {"labels": {f"{PREFIX}/enforce": "baseline"}}})
    assert found == {("metadata", "labels", f"{PREFIX}/{mode}"): "restricted" for mode in ("audit", "warn")}


def test_labels_that_come_later_are_left_alone() -> None:
    assert not changes("namespace-guardrails", NAMESPACE, {"metadata": {"labels": UNKNOWN}})


def test_objects_in_a_namespace_get_no_labels() -> None:
    assert not changes("namespace-guardrails", "kubernetes:core/v1:ConfigMap", {"metadata": {"name": "c"}})
