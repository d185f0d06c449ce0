"""What a ResourceQuota or a LimitRange has to refuse, as objects that break it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.kube.pods import LEAST, container, pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.kube.api import Object

SUFFIXES = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
}
STEPS = {"cpu": "m", "memory": "Mi"}
"""In which unit a test asks for more."""


def quantity(text: str) -> Fraction:
    """A quantity of Kubernetes as a number: `1500m` is 3/2, `2Ki` is 2048."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if found is None or found[2] not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity that these tests read")
    return Fraction(found[1]) * SUFFIXES[found[2]]


def written(resource: str, amount: Fraction) -> str:
    """An amount of a resource, rounded up to the unit of `STEPS`."""
    unit = STEPS.get(resource, "")
    return f"{math.ceil(amount / SUFFIXES[unit])}{unit}"


def most_per_container(limits: Sequence[Object]) -> dict[str, Fraction]:
    """The most that LimitRanges let one container have."""
    found: dict[str, Fraction] = {}
    for item in (entry for limit in limits for entry in limit["spec"]["limits"]):
        if item["type"] == "Container":
            for resource, text in item.get("max", {}).items():
                found[resource] = min(quantity(text), found.get(resource, quantity(text)))
    return found


@dataclass(frozen=True, slots=True)
class Excess:
    """One object that alone is more than a quota has left."""

    resource: str
    """Key of the quota's `hard`."""
    object: Object


def excesses(quota: Object, limits: Sequence[Object] = ()) -> Iterator[Excess]:
    """For each entry of a quota that one object can break: that object.

    Counts above zero are left out: many objects would be needed, which the tests' own quota shows once.

    Args:
        quota: A ResourceQuota.
        limits: LimitRanges of its namespace, which pods still keep.
    """
    namespace, spec = quota["metadata"]["namespace"], quota["spec"]
    scoped = [
        priority
        for expression in spec.get("scopeSelector", {}).get("matchExpressions", ())
        for priority in expression.get("values", ())
    ]
    for resource, hard in spec["hard"].items():
        name = resource.removeprefix("requests.").removeprefix("limits.")
        if resource == "requests.storage":
            yield Excess(resource, claim(namespace, f"{math.ceil(quantity(hard) / 2**30) + 1}Gi"))
        elif name in {"cpu", "memory"} or ("/" in name and resource.startswith("requests.")):
            yield Excess(resource, pod_asking(namespace, name, quantity(hard), most_per_container(limits)))
        elif resource == "pods" and not quantity(hard):
            for scope in [{"priorityClassName": priority} for priority in scoped] or [{}]:
                yield Excess(resource, pod(namespace, **scope))
        elif not quantity(hard) and resource in SERVICES:
            yield Excess(resource, service(namespace, SERVICES[resource]))
        elif not quantity(hard) and resource == "count/ingresses.networking.k8s.io":
            yield Excess(resource, ingress(namespace))


def pod_asking(namespace: str, resource: str, hard: Fraction, most: Mapping[str, Fraction]) -> Object:
    """A pod that asks for a little more of a resource than `hard`, in containers that each stay within `most`."""
    wanted = hard + SUFFIXES[STEPS.get(resource, "")]
    count = math.ceil(wanted / most[resource]) if resource in most else 1
    share = written(resource, wanted / count)
    return pod(namespace, [container({**LEAST, resource: share}, name=f"c{number}") for number in range(count)])


SERVICES = {"services.loadbalancers": "LoadBalancer", "services.nodeports": "NodePort"}


def service(namespace: str, type_: str) -> Object:
    """A service of a type."""
    spec = {"type": type_, "selector": {"app": "probe"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe", "namespace": namespace}, "spec": spec}


def ingress(namespace: str) -> Object:
    """An Ingress."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {"defaultBackend": {"service": {"name": "probe", "port": {"number": 80}}}},
    }


def claim(namespace: str, size: str) -> Object:
    """A claim of a volume."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }
