"""Audit logs, traces and alarms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Violation, decide, require
from guardrails.view import Known, Unknown, any_of

_CLUSTERS = ("aws:eks/cluster:Cluster", "eks:index:Cluster")
_MACHINE = "aws:sfn/stateMachine:StateMachine"
_FUNCTION = "aws:lambda/function:Function"
_ALARMS = ("aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm")


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What is logged."""

    cluster_logs: Annotated[tuple[str, ...], "Logs of the control plane of EKS that are written."] = (
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    )
    confidential: Annotated[
        tuple[str, ...], "Values of the tag DataClassification whose data must not be in execution logs."
    ] = ("confidential", "restricted")


def _check_cluster(cluster: Resource, facts: AuditFacts) -> Iterator[Finding]:
    logs = cluster.get("enabledClusterLogTypes")
    for kind in facts.cluster_logs:
        answer = any_of(None if isinstance(each, Unknown) else each.text() == kind for each in logs.elements())
        yield from decide(answer, logs, found=f"no {kind}", wanted=f"{kind} among the logs")


def _check_machine(machine: Resource, facts: AuditFacts) -> Iterator[Finding]:
    logging = machine.get("loggingConfiguration")
    yield from require(logging.child("level"), lambda value: value.text() == "ALL", "ALL")
    data = logging.child("includeExecutionData")
    if machine.tag("DataClassification").text() in facts.confidential:
        yield from require(data, lambda value: value.flag() is not True, "false, as the data is confidential")


def _check(resource: Resource, facts: AuditFacts) -> Iterator[Finding]:
    if resource.token in _CLUSTERS:
        if resource.properties.items():
            yield from _check_cluster(resource, facts)
    elif resource.token == _MACHINE:
        yield from _check_machine(resource, facts)
    elif resource.token == _FUNCTION:
        yield from require(resource.get("tracingConfig.mode"), lambda value: value.text() == "Active", "Active")
    else:
        actions = resource.get("alarmActions")
        yield from require(
            actions, lambda value: isinstance(value, Known) and bool(value.elements()), "somebody to tell"
        )
        if resource.get("actionsEnabled").flag() is False:
            yield Violation(path="actionsEnabled", found="false", wanted="true")


RES_05 = ResourceRule(
    id="RES-05",
    name="audit-and-traces-on",
    title="Control planes, state machines and functions leave traces, and alarms tell somebody",
    tokens=(*_CLUSTERS, _MACHINE, _FUNCTION, *_ALARMS),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:2.1.1", "fsbp:EKS.8", "fsbp:StepFunctions.1", "soc2:CC7.2", "gdpr:30", "gdpr:33"),
    why="what was not logged cannot be investigated, and a breach must be reported within 72 hours",
    fix="set enabled_cluster_log_types, logging_configuration ALL, tracing_config Active, alarm_actions",
    facts=AuditFacts,
    check=_check,
    traps=(
        "execution data of confidential state machines does not belong into logs",
        "an alarm whose actions are switched off tells nobody",
    ),
)
