"""Models served on a real control plane with simulated nodes, and metrics that tests feed to the autoscaler."""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components.labels import CAPACITY_LABEL, ROLE_LABEL
from tests.kube.definitions import definitions, install
from tests.kube.elastic import SERVING_NAMESPACE, ZONE, zones
from tests.support.objects import KUBERNETES, RELEASE
from tests.support.served import four_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

MODEL: Final = "flight-delay"
PROGRAM: Final = "pulumi-kubernetes-12345678"
"""Field manager as the provider names itself."""
NODES_PER_ZONE: Final = 2
SECONDS: Final = 60.0
METRICS: Final = "metrics.k8s.io/v1beta1"
CONTROLLERS: Final = (
    "--horizontal-pod-autoscaler-sync-period=1s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
    # The fed metrics are custom resources, which the server does not give as protobuf.
    "--kube-api-content-type=application/json",
)
"""How often and how soon the autoscaler looks; all else is Kubernetes' default."""
_NEEDED: Final = ("Namespace", "PriorityClass", "IngressClass", "ResourceQuota", "LimitRange", "ServiceAccount")

POD_METRICS: Final[Object] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "pods.metrics.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, stands for metrics-server in tests"},
    },
    "spec": {
        "group": "metrics.k8s.io",
        "scope": "Namespaced",
        "names": {"plural": "pods", "singular": "podmetrics", "kind": "PodMetrics", "listKind": "PodMetricsList"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}
"""The kind that metrics-server serves, as objects that tests write."""


@functools.cache
def program_objects() -> tuple[Object, ...]:
    """What the program registers for four models, with what they need around them."""
    found = [
        item
        for item in four_models().resources
        if item.type.startswith(KUBERNETES) and item.type != RELEASE and not item.type.endswith("Patch")
    ]
    ours = [item for item in found if item.name.startswith("serving-")]
    around = [item for item in found if item.inputs["kind"] in _NEEDED and _near(item.inputs) and item not in ours]
    return tuple(item.inputs for item in (*sorted(around, key=lambda item: item.inputs["kind"] != "Namespace"), *ours))


def _near(item: Object) -> bool:
    metadata = item["metadata"]
    return (
        metadata.get("namespace") == SERVING_NAMESPACE
        or item["kind"] in {"PriorityClass", "IngressClass"}
        or (item["kind"] == "Namespace" and metadata["name"] == SERVING_NAMESPACE)
    )


@dataclass(frozen=True, slots=True)
class Served:
    """A cluster that serves the models."""

    cluster: Cluster
    objects: tuple[Object, ...]

    @property
    def api(self) -> Api:
        """The server."""
        return self.cluster.api

    @classmethod
    def start(cls, cluster: Cluster) -> Served:
        """Start scheduler and nodes, and create everything under strict validation, quotas and Pod Security."""
        served = cls(cluster, program_objects())
        install(cluster, [POD_METRICS, *definitions("monitoring.coreos.com")])
        for item in served.nodes():
            cluster.api.create(item)
        cluster.start_scheduler()
        cluster.start_simulated_nodes()
        bounds = [item for item in served.objects if item["kind"] in _NEEDED]
        for item in bounds:
            cluster.api.create(item)
        cluster.until(served.bounded, "the quotas are counted: before, they refuse everything")
        for item in served.objects:
            if item not in bounds:
                cluster.api.apply(item, manager=PROGRAM, force=False)
        return served

    def nodes(self) -> Iterator[Object]:
        """Nodes as those of the pool `cpu`."""
        for zone, number in itertools.product(zones(), range(NODES_PER_ZONE)):
            room = {"cpu": "4", "memory": "16Gi", "pods": "58"}
            yield {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"{zone}-{number}",
                    "labels": {
                        ZONE: zone,
                        "kubernetes.io/hostname": f"{zone}-{number}",
                        ROLE_LABEL: "cpu",
                        CAPACITY_LABEL: "on-demand",
                    },
                },
                "status": {"capacity": room, "allocatable": room},
            }

    def bounded(self) -> bool:
        """Whether the quotas are counted."""
        quotas = self.api.list("v1", "ResourceQuota", SERVING_NAMESPACE)
        return all(quota.get("status", {}).get("hard", {}).keys() == quota["spec"]["hard"].keys() for quota in quotas)

    def held(self, kind: str, api_version: str = "apps/v1", model: str = MODEL) -> Object:
        """An object of a model as the server has it."""
        found = self.api.get(api_version, kind, model, SERVING_NAMESPACE)
        return {"apiVersion": api_version, "kind": kind, **found}

    def pods(self, model: str = MODEL) -> list[Object]:
        """Pods of a model that run and are not about to go."""
        return [
            item
            for item in self.api.list("v1", "Pod", SERVING_NAMESPACE, labels=f"app.kubernetes.io/name={model}")
            if "deletionTimestamp" not in item["metadata"] and item["status"]["phase"] == "Running"
        ]

    def spread(self, model: str = MODEL) -> dict[str, int]:
        """Pods of a model by zone."""
        found = dict.fromkeys(zones(), 0)
        for item in self.pods(model):
            found[item["spec"]["nodeName"].rpartition("-")[0]] += 1
        return found

    def available(self, model: str = MODEL) -> int:
        """Pods that answer."""
        return self.held("Deployment", model=model)["status"].get("availableReplicas", 0)

    def use(self, percent: int, model: str = MODEL) -> None:
        """Let every pod use a share of the processor that it reserves."""
        for item in self.pods(model):
            name, reserved = item["metadata"]["name"], item["spec"]["containers"][0]["resources"]["requests"]["cpu"]
            usage = {"cpu": f"{int(reserved.removesuffix('m')) * percent // 100}m", "memory": "70Mi"}
            self.api.apply(
                {
                    "apiVersion": METRICS,
                    "kind": "PodMetrics",
                    "metadata": {
                        "name": name,
                        "namespace": SERVING_NAMESPACE,
                        "labels": item["metadata"]["labels"],
                    },
                    "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "window": "15s",
                    "containers": [{"name": item["spec"]["containers"][0]["name"], "usage": usage}],
                }
            )

    def settle(self, percent: int, wanted: int, seconds: float = SECONDS) -> list[int]:
        """Keep up a use until there are as many pods as wanted; return the numbers that were asked for meanwhile."""
        asked: list[int] = []

        def there() -> bool:
            self.use(percent)
            replicas = self.held("Deployment")["spec"]["replicas"]
            if not asked or asked[-1] != replicas:
                asked.append(replicas)
            return replicas == wanted == len(self.pods())

        self.cluster.until(there, f"{wanted} pods at {percent} %", seconds)
        return asked

    def asked_during(self, percent: int, seconds: float) -> set[int]:
        """Keep up a use for some time; return the numbers of pods that were asked for."""
        asked: set[int] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.use(percent)
            asked.add(self.held("Deployment")["spec"]["replicas"])
            time.sleep(0.5)
        return asked

    def limit(self, pods: int) -> None:
        """Let the autoscaler ask for so many pods at most."""
        self._change({"maxReplicas": pods})

    def shrink_after(self, seconds: int) -> None:
        """Change for how long fewer pods have to be enough."""
        self._change({"behavior": {"scaleDown": {"stabilizationWindowSeconds": seconds}}})

    def _change(self, spec: Object) -> None:
        self.api.merge(self.held("HorizontalPodAutoscaler", "autoscaling/v2"), {"spec": spec})
