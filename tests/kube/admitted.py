"""A stack's objects on a cluster of its own, and what the server said to each."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.kube.api import Refused, named
from tests.kube.control_plane import NotReadyError
from tests.kube.definitions import definitions_for, install, manifests
from tests.support.objects import program_objects, program_releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

PODS_SECONDS = 30.0
"""Until the controller manager has made the pods of a Deployment; they need no node for that."""
ENFORCED = "pod-security.kubernetes.io/enforce"
KINDS_ELSEWHERE = frozenset({"IngressClassParams", "TargetGroupBinding"})
"""Kinds of the AWS Load Balancer Controller: no Go module carries its definitions, so nothing is said of them here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """One stack on one cluster."""

    stack: str
    cluster: Cluster
    objects: tuple[Object, ...]
    """What the program registers, without `KINDS_ELSEWHERE`."""
    refused: tuple[str, ...]
    """What the server said to those that it did not accept."""
    manifests: tuple[Object, ...]
    """What the program's releases consist of, as far as their charts can be rendered here."""
    refused_manifests: tuple[str, ...]
    """What the server said to those that it did not accept."""
    without_pods: tuple[str, ...]
    """Deployments of either whose pods the server did not admit, with what it said."""

    @property
    def api(self) -> Api:
        """The server."""
        return self.cluster.api

    def of_kind(self, *kinds: str) -> list[Object]:
        """The program's objects of some kinds."""
        return [item for item in self.objects if item["kind"] in kinds]

    def namespaces(self, level: str) -> list[str]:
        """The program's namespaces that enforce a level of the Pod Security Standards."""
        return [
            item["metadata"]["name"]
            for item in self.of_kind("Namespace")
            if item["metadata"].get("labels", {}).get(ENFORCED) == level
        ]

    def takes_pods(self, namespace: str) -> bool:
        """Whether the program's quotas leave room for any pod: a namespace that is not used is closed to all."""
        quotas = [item["spec"] for item in self.of_kind("ResourceQuota") if item["metadata"]["namespace"] == namespace]
        return not any(quota["hard"].get("pods") == "0" and "scopeSelector" not in quota for quota in quotas)


def admit(stack: str, cluster: Cluster) -> Admitted:
    """Create what the program registers and what its releases consist of, for real and under strict field validation.

    The definitions come first; in a real cluster, releases of their own bring them.
    """
    registered = [item for item in program_objects(stack) if item.object["kind"] not in KINDS_ELSEWHERE]
    objects = tuple(item.object for item in registered)
    of_charts = tuple(item for release in program_releases(stack) for item in manifests(release))
    install(cluster, definitions_for([*objects, *of_charts]))
    api = cluster.api
    refused = tuple(_refusals((item.object, api.apply if item.patch else api.create) for item in registered))
    # Applied, since the definitions among them are there already.
    refused_manifests = tuple(_refusals((item, api.apply) for item in of_charts))
    return Admitted(
        stack=stack,
        cluster=cluster,
        objects=objects,
        refused=refused,
        manifests=of_charts,
        refused_manifests=refused_manifests,
        without_pods=tuple(without_pods(cluster, [*objects, *of_charts])),
    )


def without_pods(cluster: Cluster, items: Iterable[Object], seconds: float = PODS_SECONDS) -> Iterator[str]:
    """Wait for the pods of Deployments, then take them away: a quota that they fill has room again.

    Yields:
        What the server says of each Deployment that does not get its pods.
    """
    for item in items:
        if item["kind"] != "Deployment":
            continue
        try:
            cluster.until(lambda item=item: _has_pods(cluster.api, item), f"{named(item)} has its pods", seconds)
        except NotReadyError:
            yield f"{named(item)}: {_conditions(cluster.api, item)}"
        cluster.api.merge(item, {"spec": {"replicas": 0}})
        cluster.until(lambda item=item: not _held(cluster.api, item)["status"].get("replicas"), "they are gone")


def _held(api: Api, item: Object) -> Object:
    return api.get(item["apiVersion"], item["kind"], item["metadata"]["name"], item["metadata"].get("namespace"))


def _has_pods(api: Api, item: Object) -> bool:
    return _held(api, item).get("status", {}).get("replicas", 0) == item["spec"].get("replicas", 1)


def _conditions(api: Api, item: Object) -> list[str]:
    return [condition["message"] for condition in _held(api, item).get("status", {}).get("conditions", ())]


def _refusals(writes: Iterable[tuple[Object, Callable[[Object], Object]]]) -> Iterator[str]:
    for item, write in writes:
        try:
            write(item)
        except (Refused, LookupError) as error:
            yield f"{named(item)}: {error}"


def changed(item: Object, path: tuple[str | int, ...], value: object) -> Object:
    """A copy of an object under another name, with another value at a path."""
    copied = copy.deepcopy(item)
    copied["metadata"]["name"] = f"{item['metadata']['name']}-changed"
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return copied
