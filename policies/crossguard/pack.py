"""Rules as CrossGuard policies.

The policy SDK gives a policy one level, and ends it at the first unknown value that it touches. So the rules read
below the SDK's proxies, and what must not block (undetermined, exempted) goes to two advisory policies at the end of
the list, which print it with the resource's URN. An analyze request runs all policies one after another in one
thread, which makes the hand-over safe.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict, cast

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    PolicyProviderResource,
    PolicyResource,
    ReportViolation,
    ResourceRemediation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from crossguard.remedies import apply
from guardrails.evaluation import Message, Settings, Verdict, changes_of, judge_resource, judge_stack
from guardrails.packconfig import REPORTS, ConfigError, schema_of, settings_of
from guardrails.resources import Resource, Stack
from guardrails.rule import AnyRule, ResourceRule, StackRule
from guardrails.view import Missing, Unknown, Value, value_of

PACK_NAME = "slipway-guardrails"
"""The pack's name in reports."""


@dataclass
class _Notes(threading.local):
    """Lines that a request has gathered for its advisory report."""

    lines: list[Message] = field(default_factory=list[Message])

    def add(self, verdict: Verdict) -> None:
        self.lines += (*verdict.undetermined, *verdict.exempted)

    def drain(self) -> list[Message]:
        lines, self.lines = self.lines, []
        return lines


def policies(rules: Iterable[AnyRule]) -> list[Policy]:
    """One policy per rule, and the two reports."""
    notes = _Notes()
    return [
        *(
            _resource_policy(rule, notes) if isinstance(rule, ResourceRule) else _stack_policy(rule, notes)
            for rule in rules
        ),
        *_reports(notes),
    ]


def _resource_policy(rule: ResourceRule[object], notes: _Notes) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        verdict = judge_resource(rule, _resource(args), _settings(rule, args.get_config(), report))
        notes.add(verdict)
        _report(verdict.violations, report)
        if not verdict.applicable:
            args.not_applicable(f"does not judge {args.resource_type}")

    def remediate(args: ResourceValidationArgs) -> Mapping[str, object] | None:
        changes = changes_of(rule, _resource(args), _settings(rule, args.get_config()))
        return apply(changes, args.props) if changes else None

    return ResourceValidationPolicy(
        **_description(rule),
        validate=validate,
        remediate=None if rule.remedy is None else cast("ResourceRemediation", remediate),
    )


def _stack_policy(rule: StackRule[object], notes: _Notes) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(tuple(map(_stack_resource, args.resources)))
        verdict = judge_stack(rule, stack, _settings(rule, args.get_config(), report))
        notes.add(verdict)
        _report(verdict.violations, report)
        if not verdict.applicable:
            args.not_applicable("the stack holds nothing that it judges")

    return StackValidationPolicy(**_description(rule), validate=validate)


def _reports(notes: _Notes) -> list[Policy]:
    def validate_resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        _report([line for line in notes.drain() if line.urn in {None, args.urn}], report)

    def validate_stack(_: StackValidationArgs, report: ReportViolation) -> None:
        _report(notes.drain(), report)

    (resource, resource_title), (stack, stack_title) = REPORTS.items()
    advisory = EnforcementLevel.ADVISORY
    return [
        ResourceValidationPolicy(resource, resource_title, validate=validate_resource, enforcement_level=advisory),
        StackValidationPolicy(stack, stack_title, validate=validate_stack, enforcement_level=advisory),
    ]


def _report(messages: Iterable[Message], report: ReportViolation) -> None:
    for message in messages:
        report(message.text, message.urn)


def _settings(rule: AnyRule, config: Mapping[str, object], report: ReportViolation | None = None) -> Settings:
    """What configuration says, or a violation and the defaults when it cannot be read."""
    try:
        return settings_of(rule, config)
    except ConfigError as error:
        if report is not None:
            report(f"the pack configuration cannot be used: {error}", None)
        return settings_of(rule, {})


class _Description(TypedDict):
    name: str
    description: str
    enforcement_level: EnforcementLevel
    config_schema: PolicyConfigSchema
    display_name: str
    severity: Severity
    framework: PolicyComplianceFramework
    tags: list[str]
    remediation_steps: str


def _description(rule: AnyRule) -> _Description:
    """What both kinds of policy have. CrossGuard knows one framework per policy, so all of them are tags too."""
    framework, _, requirement = rule.frameworks[0].partition(":")
    return _Description(
        name=rule.name,
        description=f"{rule.id}: {rule.title}.",
        enforcement_level=EnforcementLevel(str(rule.levels.prod)),
        config_schema=PolicyConfigSchema(properties=schema_of(rule)),
        display_name=f"{rule.id} {rule.name}",
        severity=Severity(str(rule.severity)),
        framework=PolicyComplianceFramework(name=framework, specification=requirement),
        tags=[rule.id, *rule.frameworks],
        remediation_steps=f"{rule.fix} (because {rule.why})",
    )


def _resource(args: ResourceValidationArgs) -> Resource:
    return Resource(
        token=args.resource_type,
        urn=args.urn,
        name=args.name,
        properties=value_of(args.props),
        provider=_provider(args.provider),
        parent=args.opts.parent,
        protect=args.opts.protect,
    )


def _stack_resource(held: PolicyResource) -> Resource:
    return Resource(
        token=held.resource_type,
        urn=held.urn,
        name=held.name,
        properties=_shown(held),
        provider=_provider(held.provider),
        parent=held.parent.urn if held.parent is not None else held.opts.parent,
        protect=held.opts.protect,
        dependencies={
            name: tuple(each.urn for each in sources) for name, sources in held.property_dependencies.items()
        },
    )


def _shown(held: PolicyResource) -> Value:
    """The properties; all of them unknown for an object of a cluster that does not exist yet.

    Without a kubeconfig the engine asks the provider for no preview and shows no property at all.
    """
    properties = value_of(held.props)
    return Unknown("") if held.resource_type.startswith("kubernetes:") and not properties.items() else properties


def _provider(provider: PolicyProviderResource | None) -> Value:
    return Missing("provider") if provider is None else value_of(provider.props, "provider")
