"""Running a rule: its findings as messages, exemptions applied, crashes contained.

Pure, so that the CrossGuard adapter, tests and other gates judge in the same way.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from guardrails.exemptions import Exemption, valid
from guardrails.resources import STACK_TOKEN, Resource, Stack
from guardrails.rule import AnyRule, Finding, ResourceRule, StackRule, Undetermined, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What configuration says about one rule."""

    facts: object
    """An instance of the rule's facts."""
    exemptions: tuple[Exemption, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a report."""

    text: str
    urn: str | None
    """The resource that the line is about; `None` for the stack."""
    path: str = ""
    found: str = ""
    wanted: str = ""
    fix: str = ""
    crashed: bool = False
    """Whether the line says that the rule crashed instead of judging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rule says: nothing at all is a pass."""

    violations: tuple[Message, ...] = ()
    undetermined: tuple[Message, ...] = ()
    exempted: tuple[Message, ...] = ()
    applicable: bool = True
    """False when the rule does not judge this type."""

    @property
    def outcome(self) -> str:
        """`not-applicable`, `violation`, `undetermined` or `pass`."""
        if not self.applicable:
            return "not-applicable"
        return "violation" if self.violations else "undetermined" if self.undetermined else "pass"


NOT_APPLICABLE = Verdict(applicable=False)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where today comes from."""

    today: Callable[[], dt.date] = field(default=lambda: dt.datetime.now(tz=dt.UTC).date())


_CLOCK = Clock()


def judge_resource(rule: ResourceRule[object], subject: Resource, settings: Settings, clock: Clock = _CLOCK) -> Verdict:
    """A rule's verdict on one resource. The root stack receives what is wrong with the rule's exemptions."""
    if subject.token == STACK_TOKEN:
        broken = tuple(_broken_exemptions(rule, settings, clock))
        return Verdict(violations=broken) if broken else NOT_APPLICABLE
    if not rule.concerns(subject.token):
        return NOT_APPLICABLE
    return _judge(rule, lambda: rule.check(subject, settings.facts), subject, settings, clock)


def judge_stack(rule: StackRule[object], stack: Stack, settings: Settings, clock: Clock = _CLOCK) -> Verdict:
    """A rule's verdict on the whole stack."""
    broken = tuple(_broken_exemptions(rule, settings, clock))
    if not any(rule.concerns(each.token) for each in stack.resources):
        return Verdict(violations=broken) if broken else NOT_APPLICABLE
    verdict = _judge(rule, lambda: rule.check(stack, settings.facts), None, settings, clock)
    return Verdict(
        violations=(*broken, *verdict.violations), undetermined=verdict.undetermined, exempted=verdict.exempted
    )


def changes_of(rule: ResourceRule[object], subject: Resource, settings: Settings) -> Mapping[tuple[str, ...], object]:
    """What a rule's remedy sets on a resource; nothing when it has no remedy, or when the remedy crashes."""
    if rule.remedy is None or not rule.concerns(subject.token):
        return {}
    try:
        return rule.remedy(subject, settings.facts)
    except Exception:  # noqa: BLE001 - one that escapes aborts the deployment; what is not remedied is judged as it is
        return {}


def _judge(
    rule: AnyRule, check: Callable[[], Iterable[Finding]], subject: Resource | None, settings: Settings, clock: Clock
) -> Verdict:
    violations: list[Message] = []
    undetermined: list[Message] = []
    exempted: list[Message] = []
    accepted = valid(settings.exemptions, clock.today())
    try:
        for finding in check():
            message = _message(rule, finding, finding.resource or subject)
            cover = next((each for each in accepted if message.urn is not None and each.covers(message.urn)), None)
            if isinstance(finding, Undetermined):
                undetermined.append(message)
            elif cover is None:
                violations.append(message)
            else:
                text = f"{message.text} Exempted until {cover.expires} by {cover.owner}: {cover.reason}"
                exempted.append(replace(message, text=text))
    except Exception as error:  # noqa: BLE001 - one that escapes aborts the deployment and silences all other rules
        violations.append(_crashed(rule, subject, error))
    return Verdict(violations=tuple(violations), undetermined=tuple(undetermined), exempted=tuple(exempted))


def _message(rule: AnyRule, finding: Finding, subject: Resource | None) -> Message:
    where = "the stack" if subject is None else f"{subject.name} ({subject.token})"
    urn = None if subject is None else subject.urn
    if isinstance(finding, Violation):
        fix = finding.fix or rule.fix
        place = f" {finding.path}" if finding.path else ""
        text = f"{where}{place}: found {finding.found}, want {finding.wanted}. Fix: {fix} [{rule.id} {rule.name}]"
        return Message(text, urn, finding.path, found=finding.found, wanted=finding.wanted, fix=fix)
    text = f"{where} {finding.path}: {finding.why}, so {rule.id} {rule.name} could not judge it."
    return Message(text, urn, finding.path, found=finding.why)


def _crashed(rule: AnyRule, subject: Resource | None, error: Exception) -> Message:
    where = "the stack" if subject is None else f"{subject.name} ({subject.token})"
    fix = "mend the rule, or disable it in the pack configuration until it is mended."
    found = f"rule crashed with {type(error).__name__}, so nothing is known about it"
    text = f"{where}: {found}. Fix: {fix} [{rule.id} {rule.name}]"
    return Message(text, None if subject is None else subject.urn, found=found, fix=fix, crashed=True)


def _broken_exemptions(rule: AnyRule, settings: Settings, clock: Clock) -> Iterator[Message]:
    for exemption in settings.exemptions:
        for problem in exemption.problems(clock.today()):
            found, fix = f"exemption for {exemption.urn!r}: {problem}", "edit the pack configuration."
            yield Message(f"{found}. Fix: {fix} [{rule.id} {rule.name}]", None, found=found, fix=fix)
