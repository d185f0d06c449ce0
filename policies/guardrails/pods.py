"""Pods, wherever a workload keeps their description: one reader for every kind that makes them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from guardrails.resources import Resource
from guardrails.rule import Finding, Undetermined
from guardrails.view import Known, Missing, Unknown, Value

F = TypeVar("F")

POD = "kubernetes:core/v1:Pod"
_TEMPLATE = "spec.template"
TEMPLATES = {
    POD: "",
    "kubernetes:core/v1:PodTemplate": "template",
    "kubernetes:apps/v1:Deployment": _TEMPLATE,
    "kubernetes:apps/v1:StatefulSet": _TEMPLATE,
    "kubernetes:apps/v1:DaemonSet": _TEMPLATE,
    "kubernetes:apps/v1:ReplicaSet": _TEMPLATE,
    "kubernetes:batch/v1:Job": _TEMPLATE,
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template",
}
"""Where each kind keeps the metadata and the spec of its pods."""
WORKLOADS = tuple(TEMPLATES)
LASTING = ("containers", "initContainers")
"""The containers that a pod is made with; ephemeral ones join later, for debugging."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of any sort."""

    value: Value
    pod: Value
    """The spec of its pod."""
    ephemeral: bool = False

    def get(self, path: str) -> Value:
        """The property at a path."""
        return self.value.get(path)

    def security(self, name: str) -> Value:
        """A field of the security context; the pod's counts where the container has none of its own."""
        own = self.value.get(f"securityContext.{name}")
        shared = self.pod.get(f"securityContext.{name}")
        return own if not isinstance(own, Missing) or isinstance(shared, Missing) else shared


@dataclass(frozen=True, slots=True)
class Pod:
    """What a workload runs."""

    resource: Resource
    spec: Value
    metadata: Value
    """Labels and annotations of the pods, not of the workload."""

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers: ordinary, init and ephemeral."""
        return tuple(
            Container(each, self.spec, kind == "ephemeralContainers")
            for kind in (*LASTING, "ephemeralContainers")
            for each in self.spec.select(f"{kind}[*]")
        )

    @property
    def key(self) -> str:
        """`namespace/name` of the workload, for lists in the configuration."""
        return f"{namespace_of(self.resource).text() or '?'}/{self.name}"

    @property
    def name(self) -> str:
        """The object's name in Kubernetes, else the resource's in the program."""
        return self.resource.get("metadata.name").text() or self.resource.name

    @property
    def windows(self) -> bool:
        """Whether the pods run on Windows, where Linux's controls do not exist."""
        return self.spec.get("os.name").text() == "windows"


def namespace_of(resource: Resource) -> Value:
    """The namespace of an object as a known or unknown value; one that is not written is `default`."""
    value = resource.get("metadata.namespace")
    return Known(value.path, "default") if isinstance(value, Missing) else value


def in_pods(check: Callable[[Pod, F], Iterable[Finding]]) -> Callable[[Resource, F], Iterator[Finding]]:
    """A check of pods as a check of workloads; a workload whose pods are not known yet is undetermined."""

    def checked(resource: Resource, facts: F) -> Iterator[Finding]:
        pod = pod_of(resource)
        if isinstance(pod.spec, Unknown):
            yield Undetermined(path=pod.spec.path)
        else:
            yield from check(pod, facts)

    return checked


def pod_of(resource: Resource) -> Pod:
    """The pod of a workload (one of `WORKLOADS`)."""
    template = resource.get(TEMPLATES[resource.token])
    return Pod(resource, template.child("spec"), template.child("metadata"))
