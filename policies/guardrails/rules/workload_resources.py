"""Pods: what they ask of a node, and GPUs."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.pods import WORKLOADS, Container, Pod, in_pods, namespace_of, pod_of
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    decide,
    require,
    show,
)
from guardrails.view import Missing, Unknown, Value

_LIMIT_RANGE = "kubernetes:core/v1:LimitRange"
_DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """Which pods must never be moved for lack of memory."""

    guaranteed: Annotated[
        tuple[str, ...], "Namespaces (wildcards allowed) whose pods request as much memory as they may use."
    ] = ()
    gpus: Annotated[tuple[str, ...], "Names of the GPU resources."] = ("nvidia.com/gpu",)


def _amount(container: Container, kind: str, name: str) -> Value:
    """A request or limit of a container, else of its pod; a request that is not written is the limit."""
    readings = [
        holder.get(f"resources.{each}").child(name)
        for holder in (container.value, container.pod)
        for each in ((kind, "limits") if kind == "requests" else (kind,))
    ]
    return next((each for each in readings if not isinstance(each, Missing)), readings[0])


def _supplied(stack: Stack, workload: Resource, kind: str, name: str) -> bool:
    """Whether a LimitRange of the workload's namespace may supply an amount."""
    place = namespace_of(workload)
    fields = ("default", "defaultRequest") if kind == "requests" else ("default",)
    return any(
        not isinstance(limit.get(each).child(name), Missing)
        for limits in stack.of(_LIMIT_RANGE)
        if namespace_of(limits).text() == place.text()
        for limit in limits.select("spec.limits[*]")
        if limit.child("type").text() == "Container"
        for each in fields
    )


def _check_container(container: Container, workload: Resource, stack: Stack, facts: ResourceFacts) -> Iterator[Finding]:
    for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        amount = _amount(container, kind, name)
        if isinstance(amount, Missing) and _supplied(stack, workload, kind, name):
            yield Undetermined(path=amount.path, why="left to the namespace's LimitRange", resource=workload)
        elif isinstance(amount, Missing):
            yield Violation(path=amount.path, found="nothing", wanted=f"an amount of {name}", resource=workload)
    request, limit = (_amount(container, kind, "memory") for kind in ("requests", "limits"))
    place = namespace_of(workload).text() or ""
    if any(fnmatchcase(place, each) for each in facts.guaranteed) and not isinstance(limit, Missing):
        if isinstance(request, Unknown) or isinstance(limit, Unknown):
            yield Undetermined(path=request.path, resource=workload)
        elif request.text() != limit.text():
            yield Violation(
                path=request.path, found=show(request), wanted=f"{show(limit)}, the limit", resource=workload
            )
    for gpu in facts.gpus:
        count = container.get("resources.limits").child(gpu)
        if not isinstance(count, Missing):
            whole = "a whole number"
            yield from require(count, lambda value: (value.number() or 0.5).is_integer(), whole, at=workload)


def _check_amounts(stack: Stack, facts: ResourceFacts) -> Iterator[Finding]:
    for workload in stack.of(*WORKLOADS):
        pod = pod_of(workload)
        if isinstance(pod.spec, Unknown):
            yield Undetermined(path=pod.spec.path, resource=workload)
            continue
        for container in pod.containers:
            if not container.ephemeral:
                yield from _check_container(container, workload, stack, facts)


K8S_05 = StackRule(
    id="K8S-05",
    name="resources-set",
    title="Every container says how much processor and memory it needs, and how much memory it may take",
    tokens=WORKLOADS,
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1", "gdpr:32-1-b"),
    why="without requests the scheduler guesses, and without a memory limit one leak takes the whole node",
    fix="set resources.requests.cpu, resources.requests.memory and resources.limits.memory",
    facts=ResourceFacts,
    check=_check_amounts,
    traps=(
        "a limit without a request is a request of the same amount; a processor limit is not asked for",
        "a LimitRange of the namespace may supply the amounts, so what it covers is undetermined",
        "amounts of the pod as a whole count; ephemeral containers cannot have any",
    ),
)


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """How GPU nodes are told from others."""

    resources: Annotated[tuple[str, ...], "Names of the GPU resources, such as those of time-slicing."] = (
        "nvidia.com/gpu",
    )
    taints: Annotated[tuple[str, ...], "Keys of the taints on GPU nodes."] = ("nvidia.com/gpu",)
    selectors: Annotated[tuple[str, ...], "Node labels (wildcards allowed) that single out GPU nodes."] = (
        "nvidia.com/*",
        "karpenter.k8s.aws/instance-gpu-*",
        "karpenter.k8s.aws/instance-family",
        "node.kubernetes.io/instance-type",
    )


_REQUIRED = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*]"


def _selected(pod: Pod, facts: GpuFacts) -> Finding | None:
    """Nothing when the pod asks for GPU nodes, by selector or by required affinity."""
    selector = pod.spec.get("nodeSelector")
    keys = [*(key for key, _ in selector.items()), *(each.text() for each in _affinity(pod))]
    if any(fnmatchcase(key or "", each) for key in keys for each in facts.selectors):
        return None
    if isinstance(selector, Unknown) or None in keys:
        return Undetermined(path=selector.path)
    return Violation(path=selector.path, found="no label of GPU nodes", wanted="a label that only GPU nodes have")


def _affinity(pod: Pod) -> tuple[Value, ...]:
    return pod.spec.select(f"{_REQUIRED}.matchExpressions[*].key")


def _tolerates(toleration: Value, facts: GpuFacts, *, blanket: bool) -> bool:
    key = toleration.child("key")
    everything = isinstance(key, Missing) and toleration.child("operator").text() == "Exists"
    return key.text() in facts.taints or (blanket and everything)


def _check_gpu(pod: Pod, facts: GpuFacts) -> Iterator[Finding]:
    asked = False
    for container in pod.containers:
        for name in facts.resources:
            limit, request = (container.get(f"resources.{kind}").child(name) for kind in ("limits", "requests"))
            asked = asked or not isinstance(limit, Missing) or not isinstance(request, Missing)
            if not isinstance(request, Missing):
                open_yet = isinstance(limit, Unknown) or isinstance(request, Unknown)
                same = None if open_yet else limit.number() == request.number()
                yield from decide(same, limit, found=show(limit), wanted=f"{show(request)}, the request")
    tolerations = pod.spec.select("tolerations[*]")
    unknown = any(isinstance(each, Unknown) or isinstance(each.child("key"), Unknown) for each in tolerations)
    place = pod.spec.get("tolerations").path
    if asked:
        if not any(_tolerates(each, facts, blanket=True) for each in tolerations):
            wanted = f"a toleration of {facts.taints[0] if facts.taints else 'GPU nodes'}"
            yield Undetermined(path=place) if unknown else Violation(path=place, found="none", wanted=wanted)
        selection = _selected(pod, facts)
        yield from () if selection is None else (selection,)
    elif pod.resource.token != _DAEMON_SET and any(_tolerates(each, facts, blanket=False) for each in tolerations):
        yield Violation(path=place, found="a toleration of GPU nodes by a pod without a GPU", wanted="a GPU limit")


K8S_09 = ResourceRule(
    id="K8S-09",
    name="gpu-scheduling",
    title="Pods with a GPU go to GPU nodes, and no others do",
    tokens=WORKLOADS,
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:A1.1",),
    why="a GPU pod without a toleration waits for ever; a CPU pod with one keeps a GPU node alive and paid for",
    fix="set limits of the GPU resource, a toleration of its taint, and a nodeSelector or required affinity",
    facts=GpuFacts,
    check=in_pods(_check_gpu),
    traps=(
        "a toleration of everything lets a GPU pod in, and does not make a GPU pod of one that has none",
        "daemons run on GPU nodes without using the GPU",
        "preferred affinity does not keep a pod off other nodes",
    ),
)
