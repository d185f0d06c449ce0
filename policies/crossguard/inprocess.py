"""The pack inside this process: requests go through the policy SDK's own server object, with its proxies and levels.

For tests, and for gates that have a program's resources but no engine. Configuration is completed with schema defaults
here, as the engine does before it configures a pack.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import (
    _PolicyAnalyzerServicer,  # pyright: ignore[reportPrivateUsage] - the SDK offers no other way to run a pack in process
)

from crossguard.pack import PACK_NAME, policies
from guardrails.packconfig import REPORTS, configure, schema_of, split
from guardrails.resources import Resource
from guardrails.rule import AnyRule
from guardrails.view import Known, Value


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One line that a policy printed."""

    policy: str
    message: str
    urn: str
    level: str
    """`advisory` or `mandatory`."""


class _Servicer(Protocol):
    """What the SDK's server object does, typed."""

    Configure: Callable[[proto.ConfigureAnalyzerRequest, None], object]
    Analyze: Callable[[proto.AnalyzeRequest, None], proto.AnalyzeResponse]
    AnalyzeStack: Callable[[proto.AnalyzeStackRequest, None], proto.AnalyzeResponse]
    Remediate: Callable[[proto.AnalyzeRequest, None], proto.RemediateResponse]


class InProcess:
    """A configured pack.

    Args:
        rules: The rules to run.
        config: The content of a `policies/config/*.json` file.

    Raises:
        ConfigError: the configuration names unknown rules, levels or properties.
    """

    def __init__(self, rules: tuple[AnyRule, ...], config: Mapping[str, object]) -> None:
        servicer = _PolicyAnalyzerServicer(PACK_NAME, "0.0.0", policies(rules), EnforcementLevel.MANDATORY)
        self._servicer = cast("_Servicer", servicer)
        configured = configure(rules, config)
        request = proto.ConfigureAnalyzerRequest()
        for name, each in configured.items():
            defaults = {key: schema["default"] for key, schema in schema_of(each.rule).items()}
            own = split(config.get(name, {}))[1]
            request.policyConfig[name].enforcementLevel = _WIRE_LEVELS[str(each.level)]
            request.policyConfig[name].properties.CopyFrom(_struct({**defaults, **own}))
        for name in REPORTS:
            request.policyConfig[name].enforcementLevel = _WIRE_LEVELS[str(config.get(name, "advisory"))]
        self._servicer.Configure(request, None)

    def analyze(self, resource: Resource) -> tuple[Diagnostic, ...]:
        """What the resource rules say about one resource's inputs."""
        request = proto.AnalyzeRequest(
            type=resource.token, urn=resource.urn, name=resource.name, properties=_struct(_raw(resource.properties))
        )
        request.options.protect = resource.protect
        if isinstance(resource.provider, Known):
            request.provider.CopyFrom(_provider(resource))
        return _diagnostics(self._servicer.Analyze(request, None))

    def analyze_stack(self, resources: Iterable[Resource]) -> tuple[Diagnostic, ...]:
        """What the stack rules say about all resources' outputs."""
        request = proto.AnalyzeStackRequest()
        for resource in resources:
            held = request.resources.add(
                type=resource.token,
                urn=resource.urn,
                name=resource.name,
                properties=_struct(_raw(resource.properties)),
                parent=resource.parent or "",
            )
            held.options.protect = resource.protect
            for name, urns in resource.dependencies.items():
                held.propertyDependencies[name].urns.extend(urns)
        return _diagnostics(self._servicer.AnalyzeStack(request, None))

    def remediate(self, resource: Resource) -> dict[str, object] | None:
        """The properties after the last remedy that changed something; `None` when none did."""
        request = proto.AnalyzeRequest(
            type=resource.token, urn=resource.urn, name=resource.name, properties=_struct(_raw(resource.properties))
        )
        response = self._servicer.Remediate(request, None)
        remedied = [each.properties for each in response.remediations]
        return json_format.MessageToDict(remedied[-1]) if remedied else None


_WIRE_LEVELS = {
    "advisory": proto.ADVISORY,
    "mandatory": proto.MANDATORY,
    "remediate": proto.REMEDIATE,
    "disabled": proto.DISABLED,
}


def _raw(value: Value) -> dict[str, Any]:
    return cast("dict[str, Any]", value.raw) if isinstance(value, Known) else {}


def _struct(raw: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(raw, struct_pb2.Struct())


def _provider(resource: Resource) -> proto.AnalyzerProviderResource:
    kind = f"pulumi:providers:{resource.token.partition(':')[0]}"
    return proto.AnalyzerProviderResource(
        type=kind,
        urn=f"urn:pulumi:stack::project::{kind}::default",
        name="default",
        properties=_struct(_raw(resource.provider)),
    )


def _diagnostics(response: proto.AnalyzeResponse) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(each.policyName, each.message, each.urn, proto.EnforcementLevel.Name(each.enforcementLevel).lower())
        for each in response.diagnostics
    )
