"""How a new version of a model takes over: in steps, and back again when alarms say so."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, Violation
from guardrails.view import Known, Missing, Unknown

_ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_DEPLOYMENT = "deploymentConfig"
_ROUTING = f"{_DEPLOYMENT}.blueGreenUpdatePolicy.trafficRoutingConfiguration.type"
_ALARMS = f"{_DEPLOYMENT}.autoRollbackConfiguration.alarms"


def _serverless(stack: Stack, endpoint: Resource) -> bool | None:
    """Whether every variant is serverless, for which SageMaker neither shifts traffic nor rolls back."""
    for configuration in stack.of(_CONFIGURATION):
        if stack.names(endpoint, endpoint.get("endpointConfigName"), configuration):
            variants = configuration.select("productionVariants[*]")
            if any(isinstance(each, Unknown) for each in variants):
                return None
            return bool(variants) and all(not isinstance(each.child("serverlessConfig"), Missing) for each in variants)
    return False


def _check_endpoint(endpoint: Resource) -> Iterator[Finding]:
    alarms, routing = endpoint.get(_ALARMS), endpoint.get(_ROUTING)
    if isinstance(alarms, Unknown) or isinstance(routing, Unknown):
        yield Undetermined(path=_DEPLOYMENT, resource=endpoint)
        return
    if not alarms.elements():
        yield Violation(path=_ALARMS, found="nothing", wanted="alarms that take a deployment back", resource=endpoint)
    rolling = isinstance(endpoint.get(f"{_DEPLOYMENT}.rollingUpdatePolicy"), Known)
    if not rolling and routing.text() not in {"CANARY", "LINEAR"}:
        found = routing.text() or "nothing: all traffic at once"
        yield Violation(path=_ROUTING, found=found, wanted="CANARY or LINEAR", resource=endpoint)


def _check(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for endpoint in stack.of(_ENDPOINT):
        serverless = _serverless(stack, endpoint)
        if serverless is None:
            yield Undetermined(path="endpointConfigName", resource=endpoint)
        elif not serverless:
            yield from _check_endpoint(endpoint)


RES_06 = StackRule(
    id="RES-06",
    name="endpoint-rollback",
    title="Endpoints take a new version in steps, and alarms take it back",
    tokens=(_ENDPOINT,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.DISABLED, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2",),
    why="a version that is wrong for every caller at once has nobody left to notice it in time",
    fix="give the endpoint deployment_config: blue_green_update_policy CANARY or LINEAR, and alarms to roll back by",
    facts=NoFacts,
    check=_check,
    traps=(
        "an endpoint that says nothing moves all traffic at once and never back",
        "SageMaker has no steps for serverless variants, whose endpoints pass",
        "a rolling update is in steps, too",
    ),
)
