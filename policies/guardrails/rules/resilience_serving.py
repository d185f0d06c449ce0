"""Deployments that somebody waits for: replicas, disruption, spread, probes, drain."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.pods import Pod, namespace_of, pod_of
from guardrails.resources import Resource, Stack
from guardrails.rule import Finding, Level, Levels, Severity, StackRule, Undetermined, Violation, decide, require
from guardrails.view import Known, Missing, Unknown, Value, any_of

_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_SCALERS = tuple(f"kubernetes:autoscaling/{version}:HorizontalPodAutoscaler" for version in ("v1", "v2"))
_ROLLOUT = "kubernetes:argoproj.io/v1alpha1:Rollout"
_BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
_ALL_PERCENT = 100


@dataclass(frozen=True, slots=True)
class ServingFacts:
    """Which Deployments serve."""

    left_out: Annotated[tuple[str, ...], "namespace/name (wildcards allowed) of Deployments that nobody waits for."] = (
        "kube-system/*",
    )
    drain_seconds: Annotated[int, "Seconds that a pod needs to finish what it has begun."] = 30


def _scaler(stack: Stack, deployment: Resource) -> Resource | None:
    """Of the Deployment, or of a Rollout that runs the pods of its template."""
    name = deployment.get("metadata.name").text() or deployment.name
    scaled = {("Deployment", name)}
    for each in _beside(stack, deployment, _ROLLOUT):
        template = each.get("spec.workloadRef")
        if template.child("kind").text() == "Deployment" and template.child("name").text() == name:
            scaled.add(("Rollout", each.get("metadata.name").text() or each.name))
    for each in _beside(stack, deployment, *_SCALERS):
        target = each.get("spec.scaleTargetRef")
        if (target.child("kind").text(), target.child("name").text()) in scaled:
            return each
    return None


def _beside(stack: Stack, resource: Resource, *tokens: str) -> Iterator[Resource]:
    """Resources of some types in the same namespace."""
    space = namespace_of(resource).text()
    return (each for each in stack.of(*tokens) if namespace_of(each).text() == space)


def _least(stack: Stack, deployment: Resource) -> Value:
    """The fewest replicas there will be: what an autoscaler keeps, else what is written; one when nothing is."""
    scaler = _scaler(stack, deployment)
    value = deployment.get("spec.replicas") if scaler is None else scaler.get("spec.minReplicas")
    return Known(value.path, 1) if isinstance(value, Missing) else value


def _selects(budget: Resource, pod: Pod) -> bool | None:
    if namespace_of(budget).text() != namespace_of(pod.resource).text():
        return False
    selector, labels = budget.get("spec.selector"), pod.metadata.child("labels")
    wanted, expressions = selector.child("matchLabels"), selector.child("matchExpressions")
    if any(isinstance(each, Unknown) for each in (selector, wanted, expressions, labels)):
        return None
    if isinstance(selector, Missing):
        return False
    return all(labels.child(key).text() == value.text() for key, value in wanted.items()) and all(
        _meets(labels.child(each.child("key").text() or ""), each) for each in expressions.elements()
    )


def _meets(label: Value, expression: Value) -> bool:
    """Whether a label meets an expression of a selector."""
    listed = {each.text() for each in expression.select("values[*]")}
    match expression.child("operator").text():
        case "In":
            return label.text() in listed
        case "NotIn":
            return label.text() not in listed
        case "Exists":
            return isinstance(label, Known)
        case _:
            return isinstance(label, Missing)


def _permits(budget: Resource, replicas: float) -> bool | None:
    """Whether a budget lets at least one pod go."""
    most, least = budget.get("spec.maxUnavailable"), budget.get("spec.minAvailable")
    if isinstance(most, Unknown) or isinstance(least, Unknown):
        return None
    if not isinstance(most, Missing):
        return (most.number() or float((most.text() or "0").rstrip("%") or 0)) > 0
    share = least.text()
    if share is not None and share.endswith("%"):
        return float(share.rstrip("%") or 0) < _ALL_PERCENT
    return (least.number() or 0) < replicas


def _check_budget(stack: Stack, pod: Pod, replicas: Value) -> Iterator[Finding]:
    found = [(each, _selects(each, pod)) for each in stack.of(_BUDGET)]
    ours = [each for each, selected in found if selected]
    if not ours:
        if any(selected is None for _, selected in found):
            yield Undetermined(path="spec.template.metadata.labels", resource=pod.resource)
        else:
            wanted = "a PodDisruptionBudget that selects its pods"
            yield Violation(path="", found="no disruption budget", wanted=wanted, resource=pod.resource)
    for budget in ours:
        answer = _permits(budget, replicas.number() or 0) if isinstance(replicas, Known) else None
        wanted = "at least one pod that may go"
        yield from decide(answer, budget.get("spec"), found="a budget that lets no pod go", wanted=wanted, at=budget)


def _plain(value: Value) -> object:
    """A value as something that can be compared."""
    if isinstance(value, Known) and isinstance(value.raw, list):
        return [_plain(each) for each in value.elements()]
    return sorted((key, repr(_plain(each))) for key, each in value.items()) or value.number() or value.text()


def _check_pod(pod: Pod, facts: ServingFacts) -> Iterator[Finding]:
    spread = [pod.spec.get("topologySpreadConstraints"), pod.spec.get("affinity.podAntiAffinity")]
    some = any_of(None if isinstance(each, Unknown) else isinstance(each, Known) for each in spread)
    yield from decide(some, spread[0], found="nothing", wanted="a spread over zones or nodes", at=pod.resource)
    for container in pod.spec.select("containers[*]"):
        ready, alive = container.child("readinessProbe"), container.child("livenessProbe")
        for probe in (ready, alive):
            yield from require(probe, lambda value: isinstance(value, Known), "a probe", at=pod.resource)
        if isinstance(ready, Known) and isinstance(alive, Known) and _plain(ready) == _plain(alive):
            found, wanted = "the same probe as readiness", "one that fails later, or asks less"
            yield Violation(path=alive.path, found=found, wanted=wanted, resource=pod.resource)
        stop = container.get("lifecycle.preStop")
        wanted = "a preStop hook that lets load balancers forget the pod"
        yield from require(stop, lambda value: isinstance(value, Known), wanted, at=pod.resource)
    grace = pod.spec.child("terminationGracePeriodSeconds")
    least = f"{facts.drain_seconds} or more"

    def long_enough(value: Value) -> bool:
        seconds = value.number()
        return (30 if seconds is None else seconds) >= facts.drain_seconds  # Kubernetes' default is 30 seconds

    yield from require(grace, long_enough, least, at=pod.resource)


def _check(stack: Stack, facts: ServingFacts) -> Iterator[Finding]:
    for deployment in stack.of(_DEPLOYMENT):
        pod = pod_of(deployment)
        if any(fnmatchcase(pod.key, each) for each in facts.left_out):
            continue
        replicas = _least(stack, deployment)
        enough = "2 or more, written or kept by an autoscaler"
        yield from require(replicas, lambda value: (value.number() or 0) > 1, enough, at=deployment)
        if isinstance(pod.spec, Unknown):
            yield Undetermined(path=pod.spec.path, resource=deployment)
        else:
            yield from _check_budget(stack, pod, replicas)
            yield from _check_pod(pod, facts)


RES_03 = StackRule(
    id="RES-03",
    name="replicas-pdb-spread-probes",
    title="Serving Deployments survive the loss of a pod, a node and a zone",
    tokens=(_DEPLOYMENT,),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.2", "gdpr:32-1-b"),
    why="every node is replaced some day, and requests must not notice",
    fix="set replicas 2, a PodDisruptionBudget, a spread, two different probes, preStop and a grace period",
    facts=ServingFacts,
    check=_check,
    traps=(
        "with an autoscaler its least counts, not the number that is written",
        "a budget of maxUnavailable 0, or of minAvailable equal to the replicas, blocks every drain",
        "a liveness probe equal to the readiness probe restarts a pod that is only busy",
    ),
)
