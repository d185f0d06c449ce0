"""The program's own node pools on Karpenter with simulated nodes, beside its teams' namespaces and priority classes.

What differs from the recorded program, and nothing else: the node class, which is AWS's; the keys of the two
requirements that only AWS's provider knows; and what a test changes and names, such as a time that it shortens.
"""

from __future__ import annotations

import copy
import functools
import http
import itertools
import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.headroom_objects import NAMESPACE as HEADROOM_NAMESPACE
from components.karpenter_objects import NODE_CLASS_GROUP
from components.labels import POOL_LABEL
from components.nodes import GPU_RESOURCE
from costs.prices import price_table
from settings.devices import gpus
from settings.instances import architecture, family
from settings.model import Capacity
from tests.kube.api import Refused, named
from tests.kube.definitions import install, karpenter_definitions, simulation
from tests.kube.pods import container, pod
from tests.support.objects import program_objects
from tests.support.recorded import stack_section

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

_LOG = logging.getLogger(__name__)

STACK = "prod"
SERVING_NAMESPACE = "ml-inference"
TRAINING_NAMESPACE = "ml-training"
GROUP, CLASS = "karpenter.kwok.sh", "KWOKNodeClass"
ZONE = "topology.kubernetes.io/zone"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
DISRUPTED = "karpenter.sh/disrupted"
"""Taint of a node that Karpenter is about to take out."""
SECONDS = 60.0
WORKLOADS = (
    ("policy/v1", "PodDisruptionBudget"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
)
"""What tests start, in the order in which it is taken away."""
_NAMESPACES = frozenset({SERVING_NAMESPACE, TRAINING_NAMESPACE, HEADROOM_NAMESPACE})
_SURROUNDINGS = ("Namespace", "LimitRange", "ResourceQuota", "ServiceAccount")

_CPU = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16}
"""Processors by size: the same in all families of the prod pools (EC2 guide, "Instance types")."""
_GIB_PER_CPU = {"c": 2, "m": 4, "r": 8, "g": 4}
"""Memory by the first letter of the family, as the same guide gives it for g4dn, g5 and g6 too."""


def zones() -> tuple[str, ...]:
    """The zones of the program's network."""
    return tuple(stack_section(STACK, "network")["zones"])


@functools.cache
def program_pools() -> tuple[Object, ...]:
    """The NodePools that the program registers."""
    return tuple(item.object for item in program_objects(STACK) if item.object["kind"] == "NodePool")


def program_pool(name: str) -> Object:
    """A NodePool that the program registers."""
    return next(pool for pool in program_pools() if pool["metadata"]["name"] == name)


def headroom() -> list[Object]:
    """The Deployments that keep room free."""
    return [
        item.object
        for item in program_objects(STACK)
        if item.object["kind"] == "Deployment" and item.object["metadata"]["namespace"] == HEADROOM_NAMESPACE
    ]


def simulated(pool: Object, changes: Mapping[str, object]) -> Object:
    """A NodePool whose nodes are simulated.

    Args:
        pool: NodePool of the program.
        changes: What else is different: dotted path below `spec` → value, or None to take it away.
    """
    copied = copy.deepcopy(pool)
    template = copied["spec"]["template"]["spec"]
    template["nodeClassRef"] = {"group": GROUP, "kind": CLASS, "name": "default"}
    for requirement in template["requirements"]:
        requirement["key"] = requirement["key"].replace(NODE_CLASS_GROUP, GROUP)
    for path, value in changes.items():
        *steps, last = path.split(".")
        holder = functools.reduce(lambda held, step: held[step], steps, copied["spec"])
        holder[last] = value
        if value is None:
            del holder[last]
    return copied


def instance_types(
    *, capacities: Collection[Capacity] = tuple(Capacity), without_zones: Collection[str] = ()
) -> list[Object]:
    """What EC2 offers, as Karpenter's simulated provider reads it: every type that a pool of the program names.

    GPUs and architecture are those of the settings' tables, prices those of the cost estimate.

    Args:
        capacities: Purchase options that there are.
        without_zones: Zones that have nothing.
    """
    offered = [zone for zone in zones() if zone not in without_zones]
    return [_instance_type(name, capacities, offered) for name in sorted(_type_names())]


def _type_names() -> set[str]:
    specs = stack_section(STACK, "karpenter")["pools"]
    return {
        f"{name}.{size}"
        for pool in specs
        for name, size in itertools.product(pool["instanceFamilies"], pool["instanceSizes"])
    }


def _instance_type(name: str, capacities: Iterable[Capacity], offered: Iterable[str]) -> Object:
    cpu, count = _CPU[name.partition(".")[2]], gpus(name)
    memory = cpu * _GIB_PER_CPU[family(name)[0]]
    spot = "ec2.spot.gpu" if count else "ec2.spot.cpu"
    return {
        "name": name,
        "architecture": architecture(name).value,
        "operatingSystems": ["linux"],
        "resources": {
            "cpu": str(cpu),
            "memory": f"{memory}Gi",
            "pods": "58",
            **({GPU_RESOURCE: str(count)} if count else {}),
        },
        "offerings": [
            {
                "Price": _price(name, spot if capacity is Capacity.SPOT else ""),
                "Available": True,
                "Requirements": [
                    {"key": CAPACITY_TYPE, "operator": "In", "values": [capacity.value]},
                    {"key": ZONE, "operator": "In", "values": [zone]},
                ],
            }
            for capacity, zone in itertools.product(capacities, offered)
        ],
    }


def _price(name: str, discount: str) -> float:
    price = price_table().of(stack_section(STACK, "environment")["region"], f"ec2.{name}", discount)
    if price is None:
        raise LookupError(f"the price table has no {name}")
    return float(price.amount.expected)


@dataclass(frozen=True, slots=True)
class Elastic:
    """A cluster whose nodes come and go."""

    cluster: Cluster

    @property
    def api(self) -> Api:
        """The server."""
        return self.cluster.api

    def start(self) -> None:
        """Start what makes nodes and places pods, and create the namespaces, quotas and classes of the program."""
        cluster = self.cluster
        install(cluster, [*karpenter_definitions(), *simulation()])
        self.api.create({"apiVersion": f"{GROUP}/v1alpha1", "kind": CLASS, "metadata": {"name": "default"}})
        for item in sorted(program_objects(STACK), key=lambda item: item.object["kind"] != "PriorityClass"):
            metadata, kind = item.object["metadata"], item.object["kind"]
            ours = metadata.get("namespace", metadata["name"]) in _NAMESPACES
            if kind == "PriorityClass" or (kind in _SURROUNDINGS and ours):
                (self.api.apply if item.patch else self.api.create)(item.object)
        cluster.start_scheduler()
        cluster.start_simulated_nodes()
        self.start_karpenter(instance_types())
        cluster.until(self._quotas_counted, "the quotas are counted: before, they refuse everything")

    def start_karpenter(self, types: Sequence[Object]) -> None:
        """Start Karpenter with what EC2 offers."""
        file = self.cluster.folder / "instance-types.json"
        file.write_text(json.dumps(types), encoding="utf-8")
        self.cluster.start_karpenter(instance_types=file)

    def restart_karpenter(self, types: Sequence[Object]) -> None:
        """What EC2 offers has changed."""
        self.cluster.daemons.stop("karpenter")
        self.start_karpenter(types)

    def _quotas_counted(self) -> bool:
        quotas = self.api.list("v1", "ResourceQuota")
        return bool(quotas) and all(
            quota.get("status", {}).get("hard", {}).keys() == quota["spec"]["hard"].keys() for quota in quotas
        )

    def open_pools(self, *names: str, **changes: Mapping[str, object]) -> None:
        """Create pools of the program.

        Args:
            names: Only these; all otherwise.
            changes: What is different in a pool, by its name with an underscore; see `simulated`.
        """
        for pool in program_pools():
            name = pool["metadata"]["name"]
            if not names or name in names:
                self.api.create(simulated(pool, changes.get(name.replace("-", "_"), {})))

    def pool(self, name: str) -> Object:
        """A NodePool as the server has it."""
        return self.api.get("karpenter.sh/v1", "NodePool", name)

    def register_after(self, seconds: int) -> None:
        """How long the next nodes take to come, as an instance that boots does."""
        nodes = self.api.get(f"{GROUP}/v1alpha1", CLASS, "default")
        self.api.merge(nodes, {"spec": {"nodeRegistrationDelay": f"{seconds}s"}})

    def nodes(self, pool: str = "") -> list[Object]:
        """The nodes there are, of one pool or of all."""
        return self.api.list("v1", "Node", labels=f"{POOL_LABEL}={pool}" if pool else "")

    def claims(self, pool: str) -> list[Object]:
        """The NodeClaims of a pool."""
        return self.api.list("karpenter.sh/v1", "NodeClaim", labels=f"karpenter.sh/nodepool={pool}")

    def disrupted(self, pool: str) -> list[str]:
        """Names of the nodes that Karpenter is taking out."""
        return [
            node["metadata"]["name"]
            for node in self.nodes(pool)
            if any(taint["key"] == DISRUPTED for taint in node["spec"].get("taints", ()))
        ]

    def held(self, item: Object) -> Object:
        """An object as the server has it."""
        metadata = item["metadata"]
        return self.api.get(item["apiVersion"], item["kind"], metadata["name"], metadata.get("namespace"))

    def exists(self, item: Object) -> bool:
        """Whether the server has an object."""
        metadata = item["metadata"]
        return self.cluster.exists(item["apiVersion"], item["kind"], metadata["name"], metadata.get("namespace"))

    def place(self, *pods: Object) -> list[Object]:
        """Create pods, wait until each has a node, and return these, in the order of the pods."""
        for item in pods:
            self.api.create(item)
        return [self.node_of(item) for item in pods]

    def node_of(self, item: Object, seconds: float = SECONDS) -> Object:
        """The node of a pod, as soon as it has one and runs."""
        name = self.until(lambda: self._running_on(item), f"{named(item)} has a node and runs", seconds)
        return self.api.get("v1", "Node", name)

    def _running_on(self, item: Object) -> str | None:
        try:
            found = self.held(item)
        except Refused as refused:
            _gone(refused)
            # Its node went while it started: a controller would make it anew, and so does this.
            self.api.create(item)
            return None
        started = found["status"]["phase"] in {"Running", "Succeeded"}
        return found["spec"].get("nodeName") if started else None

    def pods(self, app: str, *, running: bool = True) -> list[Object]:
        """Pods of an app that are not about to go: those that run, or those that wait for a node."""
        return [
            item
            for item in self.api.list("v1", "Pod", labels=f"app={app}")
            if "deletionTimestamp" not in item["metadata"]
            and (item["status"]["phase"] == "Running" if running else "nodeName" not in item["spec"])
        ]

    def said(self, item: Object, text: str) -> bool:
        """Whether an event about an object says so."""
        metadata = item["metadata"]
        return any(
            text in event.get("message", "")
            and (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (item["kind"], metadata["name"])
            for event in self.api.list("v1", "Event")
        )

    def until(self, wanted: Callable[[], object], what: str, seconds: float = SECONDS) -> str:
        """`Cluster.until`, whose answer is text or only whether there is one."""
        return str(self.cluster.until(wanted, what, seconds))

    def clear(self) -> None:
        """Take away what a test has started, nodes without a drain, and wait until nothing of it is left."""
        self.register_after(0)
        for api_version, kind in WORKLOADS:
            for item in self.api.list(api_version, kind):
                self._ask_to_go(item)
        for api_version, kind in (("karpenter.sh/v1", "NodePool"), ("karpenter.sh/v1", "NodeClaim"), ("v1", "Node")):
            for item in self.api.list(api_version, kind):
                self.remove_at_once(item)
        self.cluster.until(self._empty, "nothing is left")

    def _empty(self) -> bool:
        kinds = (("karpenter.sh/v1", "NodeClaim"), ("v1", "Node"), ("v1", "Pod"))
        left = [item for api_version, kind in kinds for item in self.api.list(api_version, kind)]
        for item in left:
            self.remove_at_once(item)
        return not left

    def remove_at_once(self, item: Object) -> None:
        """Delete an object without regard to who wants to clear up before it goes."""
        self._ask_to_go(item, seconds=0)
        try:
            self.api.merge(item, {"metadata": {"finalizers": None}})
        except Refused as refused:
            _gone(refused)

    def _ask_to_go(self, item: Object, seconds: int | None = None) -> None:
        try:
            self.api.delete(item, grace=seconds)
        except Refused as refused:
            _gone(refused)


def _gone(refused: Refused) -> None:
    """Pass over a refusal because somebody else was first."""
    if refused.status != http.HTTPStatus.NOT_FOUND:
        raise refused


def labelled(node: Object, *keys: str) -> tuple[str, ...]:
    """Labels of a node."""
    return tuple(node["metadata"]["labels"][key] for key in keys)


def app_pod(namespace: str, app: str, priority: str, asks: Mapping[str, str], **spec: object) -> Object:
    """A pod of an app, as a Deployment's template or by itself."""
    found = pod(namespace, [container(asks)], name=app, priorityClassName=priority, **spec)
    found["metadata"]["labels"] = {"app": app}
    return found


def deployment(template: Object, replicas: int, **spec: object) -> Object:
    """A Deployment of pods like `template`, spread evenly over the zones."""
    metadata, app = template["metadata"], template["metadata"]["name"]
    selector = {"matchLabels": {"app": app}}
    spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": metadata["namespace"]},
        "spec": {
            "replicas": replicas,
            "selector": selector,
            "template": {
                "metadata": {"labels": metadata["labels"]},
                "spec": {"topologySpreadConstraints": [spread], **template["spec"], **spec},
            },
        },
    }


def budget(template: Object, **bound: int) -> Object:
    """A PodDisruptionBudget of the pods of an app."""
    name, namespace = template["metadata"]["name"], template["metadata"]["namespace"]
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, **bound},
    }


def note(what: str, figure: object) -> None:
    """A figure that a test has measured; `pytest --log-cli-level=INFO` shows it."""
    _LOG.info("%s: %s", what, figure)


class Watch:
    """How long something took."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return round(time.monotonic() - self._start, 1)
