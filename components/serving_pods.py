"""The pods of a served model as pure functions in the spelling of the API.

Everything takes a `Workload`: a rollout that runs two versions side by side makes each under a name of its own.
Source of all fields: Kubernetes API reference 1.35, `apps/v1` Deployment; "Pod Security Standards" for `restricted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from components import capture_objects, iam
from components.labels import CAPACITY_LABEL, MODEL_LABEL, ROLE_LABEL, VERSION_LABEL
from components.model_places import ModelPlaces
from components.network_flows import SERVING as PORT
from components.priority_levels import SERVING
from settings.model import Capacity, EksServingSpec, PoolRole
from settings.release_times import PROGRESS_SECONDS

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import ModelSpec, ServerPodSpec

Object = dict[str, Any]

CONTAINER: Final = "server"
"""Name of the container; a release names it to change its image."""
PORT_NAME: Final = "http"
HEALTH: Final = "/ping"
"""Whether new requests should come; 503 while the server loads or drains."""
ALIVE: Final = "/v2/health/live"
"""Whether the process answers at all; it does while it drains."""
CHANGED_BY_RELEASES: Final = (
    "metadata.labels",
    "spec.template.metadata.labels",
    "spec.template.spec.containers",
    "spec.template.spec.initContainers",
)
"""Paths of a Deployment that releases own after its creation.

Lists and maps as a whole: the provider compares these paths with the fields that managers own, and finds neither an
element of a list nor a key with a dot (pulumi-kubernetes 4.32, `provider/pkg/await/await.go`, `handleSSAIgnoreFields`).
With `containers[0].image` it would send the image of the first version, and every later update would fail on a
conflict with the release. What it finds it takes from the live object, so the program never conflicts there.
"""

HASH_LABEL: Final = "rollouts-pod-template-hash"
"""Label by which Argo Rollouts tells the pods of two versions apart; a Deployment has its own."""
_USER: Final = 10_001
"""User of the image (`model_image/Dockerfile`)."""
LAST_ANSWERS_SECONDS: Final = 10
"""Time that the server gives the last answers after its drain (`SLIPWAY_GRACE_S`, its default)."""
_FORGET_SECONDS: Final = 5
"""Time before the drain begins: endpoints and load balancers hear of it at the same moment as the server."""
_SPARE_SECONDS: Final = 5
"""Time until the kubelet kills what should have ended: processes start and end late on a busy node."""
_START_FACTOR: Final = 30
"""How much slower than measured a start may be: the image's files come from a cold disk, and others start beside it."""
_STARTS_AT_LEAST: Final = 60
_ZONE: Final = "topology.kubernetes.io/zone"
_HOST: Final = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One version of a model as a set of pods."""

    model: str
    """Name of the model."""
    spec: EksServingSpec
    """How it is served."""
    version: int
    """Version of the model package; the image holds that model and no other."""
    image: str
    """Image with its digest."""
    captures: str = ""
    """Where captures go, `s3://<bucket>/<prefix>/`; empty where nothing is captured."""
    region: str = ""
    """Region of that bucket."""
    suffix: str = ""
    """What tells this set of pods from another one of the same model, such as `-candidate`."""

    @classmethod
    def of(cls, labels: Labels, model: ModelSpec, spec: EksServingSpec) -> Workload | None:
        """Return the approved version; None where there is none."""
        approved = model.approved
        if approved is None:
            return None
        places, environment = ModelPlaces(labels, model), labels.environment
        registry = iam.Account.of(environment).registry
        return cls(
            model=model.name,
            spec=spec,
            version=approved.version,
            image=f"{registry}/{labels.repository(model.name)}@{approved.image_digest}",
            captures=f"{places.uri(places.pod_captures)}/" if spec.capture else "",
            region=environment.region,
        )

    @property
    def name(self) -> str:
        """Name of every object of these pods."""
        return f"{self.model}{self.suffix}"

    @property
    def selector(self) -> dict[str, str]:
        """Labels that these pods and no others carry; fixed for the life of the Deployment."""
        return selector(self.name)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that outlives versions."""
        return {**self.selector, MODEL_LABEL: self.model}

    @property
    def version_labels(self) -> dict[str, str]:
        """Labels of the Deployment and of its pods: with the version, which metrics are divided by."""
        return {**self.labels, VERSION_LABEL: str(self.version)}


def selector(name: str) -> dict[str, str]:
    """Labels by which a Service, and policies of those who call it (`network_flows.ask_pods`), find its pods."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "model-server"}


def account(model: str) -> str:
    """Name of a model's service account; no other account of a namespace is called like it."""
    return f"model-{model}"


def deployment(workload: Workload) -> Object:
    """Specification of the Deployment; how many pods there are, only the autoscaler says."""
    notes = capture_objects.pod_annotations(CONTAINER) if workload.spec.capture else {}
    return {
        "selector": {"matchLabels": workload.selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        # A pod that ends right after its first answer stops the rollout.
        "minReadySeconds": 10,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
        "revisionHistoryLimit": 5,
        "template": {"metadata": {"labels": workload.version_labels, **notes}, "spec": _pod(workload)},
    }


def _pod(workload: Workload) -> Object:
    spec, capture = workload.spec, workload.spec.capture
    beside = [capture_objects.sidecar(capture, workload.image, workload.captures, workload.region)] if capture else []
    return {
        "serviceAccountName": account(workload.model),
        "automountServiceAccountToken": False,
        # A Service called slipway would set the server's own variables.
        "enableServiceLinks": False,
        "priorityClassName": SERVING.name,
        "terminationGracePeriodSeconds": grace_seconds(spec),
        "nodeSelector": {ROLE_LABEL: PoolRole.CPU.value, CAPACITY_LABEL: spec.capacity.value},
        "tolerations": _tolerations(spec.capacity),
        "topologySpreadConstraints": [_spread(workload, _ZONE), _spread(workload, _HOST, required=False)],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": beside} if beside else {}),
        "containers": [container(workload)],
        "volumes": [
            # The root file system is read-only.
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            *([capture_objects.volume(capture)] if capture else ()),
        ],
    }


def container(workload: Workload) -> Object:
    """The server."""
    pod, capture, memory = workload.spec.pod, workload.spec.capture, f"{workload.spec.pod.memory_mib}Mi"
    return {
        "name": CONTAINER,
        "image": workload.image,
        "args": ["serve"],
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "env": [
            {"name": "SLIPWAY_MODEL_NAME", "value": workload.model},
            {
                "name": "SLIPWAY_MODEL_VERSION",
                "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{VERSION_LABEL}']"}},
            },
            {"name": "SLIPWAY_DRAIN_S", "value": str(pod.drain_seconds)},
            {"name": "SLIPWAY_GRACE_S", "value": str(LAST_ANSWERS_SECONDS)},
            *(capture_objects.server_environment(capture) if capture else ()),
        ],
        "resources": {
            "requests": {"cpu": f"{pod.cpu_millis}m", "memory": memory},
            # No bound on processor time: what others leave shortens answers, and a throttled server lengthens them.
            "limits": {"memory": memory},
        },
        **_probes(pod),
        "lifecycle": {"preStop": {"sleep": {"seconds": _FORGET_SECONDS}}},
        "securityContext": capture_objects.RESTRICTED,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own folder
            *([capture_objects.mount()] if capture else ()),
        ],
    }


def grace_seconds(spec: EksServingSpec) -> int:
    """Seconds between the request to end a pod and its end by force: what server and sidecar may take, and some."""
    server = _FORGET_SECONDS + spec.pod.drain_seconds + LAST_ANSWERS_SECONDS + _SPARE_SECONDS
    return server + capture_objects.grace_seconds(spec.capture)


def _probes(pod: ServerPodSpec) -> Object:
    """Three questions: has it started, does it want requests, is it alive; the last asks less and waits longer."""
    started = {"path": HEALTH, "port": PORT_NAME}
    return {
        "startupProbe": {
            "httpGet": started,
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": max(_START_FACTOR * pod.start_seconds, _STARTS_AT_LEAST),
        },
        "readinessProbe": {"httpGet": started, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {
            "httpGet": {"path": ALIVE, "port": PORT_NAME},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }


def _tolerations(capacity: Capacity) -> list[Object]:
    if capacity is not Capacity.SPOT:
        return []
    return [{"key": CAPACITY_LABEL, "operator": "Equal", "value": Capacity.SPOT.value, "effect": "NoSchedule"}]


def _spread(workload: Workload, topology: str, *, required: bool = True) -> Object:
    """Evenly over zones, and over nodes as far as there are any; each version by itself while two run."""
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "DoNotSchedule" if required else "ScheduleAnyway",
        "labelSelector": {"matchLabels": workload.selector},
        "matchLabelKeys": [HASH_LABEL if workload.spec.rollout else "pod-template-hash"],
        "nodeTaintsPolicy": "Honor",
    }
