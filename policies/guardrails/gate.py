"""The gate: every rule over a whole deployment in which everything is known.

Pure. It blocks on violations of blocking rules, and, unlike a preview, on everything undetermined and on every crash:
a value that a rule cannot know here is a gap in the recording or in the configuration.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import cast

from guardrails.deployment import Deployment, Source
from guardrails.evaluation import Clock, Message, Verdict, changes_of, judge_resource, judge_stack
from guardrails.exemptions import Exemption
from guardrails.packconfig import Configured
from guardrails.resources import Resource, Stack
from guardrails.rule import AnyRule, Level, ResourceRule
from guardrails.view import Known, value_of

EXPIRY_NOTICE_DAYS = 30
"""An exemption that ends within so many days is announced."""


class Outcome(StrEnum):
    """What a finding is."""

    VIOLATION = "violation"
    UNDETERMINED = "undetermined"
    CRASH = "crash"
    EXEMPTED = "exempted"
    REMEDIED = "remedied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the gate's report."""

    rule: AnyRule
    level: Level
    """The rule's level in this environment."""
    outcome: Outcome
    message: Message
    source: Source | None = None

    @property
    def blocks(self) -> bool:
        """Whether a pull request with it must not be merged."""
        if self.outcome in {Outcome.UNDETERMINED, Outcome.CRASH}:
            return True
        return self.outcome is Outcome.VIOLATION and self.level in {Level.MANDATORY, Level.REMEDIATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """An exemption whose end is near."""

    rule: AnyRule
    exemption: Exemption
    days: int
    """Days that are left; 0 on the last day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the gate says about one environment."""

    findings: tuple[Finding, ...]
    expiring: tuple[Expiring, ...]
    resources: Mapping[str, int]
    """Type → how many."""
    rules: tuple[AnyRule, ...]
    """Those that ran; a disabled rule does not."""
    judgements: int
    """How often a rule met a resource that it judges, or a stack."""
    seconds: float
    """Time in rules, all together."""

    @property
    def passed(self) -> bool:
        """Whether nothing blocks."""
        return not any(each.blocks for each in self.findings)

    def count(self, outcome: Outcome, *, blocking: bool | None = None) -> int:
        """How many findings have an outcome, and perhaps do or do not block."""
        return sum(each.outcome is outcome and blocking in (None, each.blocks) for each in self.findings)


@dataclass
class _Meter:
    judgements: int = 0
    seconds: float = 0.0
    started: float = field(default=0.0, init=False)

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started


def run(deployment: Deployment, configured: Mapping[str, Configured], clock: Clock | None = None) -> Report:
    """Judge a deployment.

    Args:
        deployment: Resources with inputs after their providers' checks, and with outputs.
        configured: Rules with levels, facts and exemptions, as `packconfig.configure` gives them.
        clock: Where today comes from.
    """
    at = clock or Clock()
    running = [each for each in configured.values() if each.level is not Level.DISABLED]
    changed, findings = _remedied(deployment, running)
    meter = _Meter()
    findings += _judged(changed, running, at, meter)
    placed = [_placed(each, deployment.sources) for each in findings]
    return Report(
        findings=tuple(sorted(placed, key=_order)),
        expiring=tuple(_expiring(running, at.today())),
        resources=dict(sorted(Counter(each.token for each in deployment.inputs).items())),
        rules=tuple(each.rule for each in running),
        judgements=meter.judgements,
        seconds=meter.seconds,
    )


def _judged(deployment: Deployment, running: list[Configured], clock: Clock, meter: _Meter) -> Iterator[Finding]:
    stack = Stack(deployment.outputs)
    for each in running:
        rule = each.rule
        with meter:
            verdicts = (
                [judge_resource(rule, subject, each.settings, clock) for subject in deployment.inputs]
                if isinstance(rule, ResourceRule)
                else [judge_stack(rule, stack, each.settings, clock)]
            )
        meter.judgements += sum(verdict.applicable for verdict in verdicts)
        for verdict in verdicts:
            yield from _findings(each, verdict)


def _findings(configured: Configured, verdict: Verdict) -> Iterator[Finding]:
    groups = {
        Outcome.VIOLATION: verdict.violations,
        Outcome.UNDETERMINED: verdict.undetermined,
        Outcome.EXEMPTED: verdict.exempted,
    }
    for outcome, messages in groups.items():
        for message in messages:
            yield Finding(
                rule=configured.rule,
                level=configured.level,
                outcome=Outcome.CRASH if message.crashed else outcome,
                message=message,
            )


def _remedied(deployment: Deployment, running: Iterable[Configured]) -> tuple[Deployment, list[Finding]]:
    """The deployment after the remedies that this environment applies, as the engine does before it judges."""
    inputs, outputs = list(deployment.inputs), list(deployment.outputs)
    findings: list[Finding] = []
    for each in running:
        rule = each.rule
        if each.level is not Level.REMEDIATE or not isinstance(rule, ResourceRule):
            continue
        for index, subject in enumerate(inputs):
            changes = changes_of(rule, subject, each.settings)
            if not changes:
                continue
            inputs[index], outputs[index] = _changed(subject, changes), _changed(outputs[index], changes)
            paths = ", ".join(".".join(path) for path in changes)
            text = f"{subject.name} ({subject.token}): {paths} set by the remedy of {rule.id} {rule.name}."
            message = Message(text, subject.urn, paths, found=f"{paths} set", fix=rule.fix)
            findings.append(Finding(rule=rule, level=each.level, outcome=Outcome.REMEDIED, message=message))
    return replace(deployment, inputs=tuple(inputs), outputs=tuple(outputs)), findings


def _changed(subject: Resource, changes: Mapping[tuple[str, ...], object]) -> Resource:
    raw: object = subject.properties.raw if isinstance(subject.properties, Known) else None
    for path, value in changes.items():
        raw = _with(raw, path, value)
    return replace(subject, properties=value_of(raw))


def _with(raw: object, path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    held = dict(cast("Mapping[str, object]", raw)) if isinstance(raw, Mapping) else {}
    return {**held, path[0]: _with(held.get(path[0]), path[1:], value)}


def _placed(finding: Finding, sources: Mapping[str, Source]) -> Finding:
    return replace(finding, source=sources.get(finding.message.urn or ""))


def _order(finding: Finding) -> tuple[object, ...]:
    """Blocking first, then by rule and resource, so that two runs print the same."""
    severity = ("critical", "high", "medium", "low").index(str(finding.rule.severity))
    message = finding.message
    outcome = list(Outcome).index(finding.outcome)
    return (not finding.blocks, outcome, severity, finding.rule.id, finding.rule.name, message.urn or "", message.text)


def _expiring(running: Iterable[Configured], today: dt.date) -> Iterator[Expiring]:
    for each in running:
        for exemption in each.settings.exemptions:
            if exemption.problems(today):
                continue
            days = (dt.date.fromisoformat(exemption.expires) - today).days
            if days <= EXPIRY_NOTICE_DAYS:
                yield Expiring(rule=each.rule, exemption=exemption, days=days)
