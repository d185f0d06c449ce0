"""What surrounds the pods of a served model, as pure functions in the spelling of the API.

Source of all fields: Kubernetes API reference 1.35, `autoscaling/v2`, `policy/v1`, `v1` and `networking.k8s.io/v1`;
`monitoring.coreos.com/v1` ServiceMonitor; annotations are those of the AWS Load Balancer Controller 3.5 (its pages
"Ingress annotations" and "Service annotations").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_kubernetes as kubernetes

from components import objectives
from components.labels import MODEL_LABEL, VERSION_LABEL
from components.metrics_adapter_objects import REQUEST_METRICS
from components.serving_pods import HASH_LABEL, HEALTH, LAST_ANSWERS_SECONDS, PORT_NAME
from components.serving_rollouts import API, KIND, variant_backend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from components.serving_pods import Object, Workload
    from settings.model import RequestTargetSpec, ServerPodSpec

SERVICE_PORT: Final = 80
"""Port of the Service, and of a load balancer without a certificate."""
TLS_PORT: Final = 443
_ALB: Final = "alb.ingress.kubernetes.io"
_NLB: Final = "service.beta.kubernetes.io/aws-load-balancer"
_HEALTH_CHECK: Final = {"interval": 5, "timeout": 2, "healthy": 2, "unhealthy": 2}
"""Seconds between two questions and until one fails; answers that change what is thought of a pod."""


def metadata(
    workload: Workload,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
    name: str = "",
) -> kubernetes.meta.v1.ObjectMetaArgs:
    """Name, place and labels of an object; by default those of the workload."""
    return kubernetes.meta.v1.ObjectMetaArgs(
        name=name or workload.name,
        namespace=workload.spec.namespace,
        labels=labels or workload.labels,
        annotations=annotations,
    )


def autoscaler(workload: Workload) -> Object:
    """Specification of the HorizontalPodAutoscaler: it doubles within a quarter of a minute, and shrinks slowly."""
    scaling = workload.spec.autoscaling
    api, kind = (API, KIND) if workload.spec.rollout else ("apps/v1", "Deployment")
    return {
        "scaleTargetRef": {"apiVersion": api, "kind": kind, "name": workload.name},
        "minReplicas": scaling.min_pods,
        "maxReplicas": scaling.max_pods,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": scaling.cpu_percent},
                },
            },
            *([_requests(scaling.requests)] if scaling.requests else []),
        ],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": scaling.scale_in_seconds,
                "selectPolicy": "Max",
                "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
            },
        },
    }


def _requests(spec: RequestTargetSpec) -> Object:
    """Metric of an autoscaler: the average over its pods; whichever metric asks for more pods decides."""
    target = {"type": "AverageValue", "averageValue": str(spec.per_pod)}
    return {"type": "Pods", "pods": {"metric": {"name": REQUEST_METRICS[spec.metric]}, "target": target}}


def disruption_budget(workload: Workload) -> Object:
    """Specification of the PodDisruptionBudget: one at a time, and one that does not answer anyway at once."""
    return {
        "selector": {"matchLabels": workload.selector},
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def service(workload: Workload) -> Object:
    """Specification of the Service inside the cluster."""
    return {"type": "ClusterIP", "selector": workload.selector, "ports": [_port(SERVICE_PORT)]}


def balanced_service(workload: Workload, *, balancer_class: str, ranges: Sequence[str], port: int) -> Object:
    """Specification of a Service with a Network Load Balancer; pods of the cluster use it too.

    Args:
        workload: The pods; their front end is an `nlb`.
        balancer_class: Who makes the load balancer.
        ranges: Callers.
        port: Where the load balancer listens.
    """
    return {
        "type": "LoadBalancer",
        "loadBalancerClass": balancer_class,
        "loadBalancerSourceRanges": list(ranges),
        # Pods have addresses of the VPC; nobody calls nodes by their ports.
        "allocateLoadBalancerNodePorts": False,
        "selector": workload.selector,
        "ports": [_port(port)],
    }


def _port(number: int) -> Object:
    return {"name": PORT_NAME, "port": number, "targetPort": PORT_NAME, "protocol": "TCP"}


def observed(workload: Workload) -> dict[str, tuple[str, Object]]:
    """Kind and specification of what Prometheus is given about the pods, by the last part of its name here."""
    by_pod, aims = workload.spec.rollout is not None, workload.spec.objectives
    found = {"monitor": ("PodMonitor", pod_monitor(workload)) if by_pod else ("ServiceMonitor", monitor(workload))}
    return found if aims is None else {**found, "objectives": (objectives.KIND, objectives.rules(workload, aims))}


def monitor(workload: Workload) -> Object:
    """Specification of the ServiceMonitor: every series carries model and version."""
    return {
        "selector": {"matchLabels": workload.selector},
        "podTargetLabels": [MODEL_LABEL, VERSION_LABEL],
        "endpoints": [{"port": PORT_NAME, "path": "/metrics"}],
    }


def pod_monitor(workload: Workload) -> Object:
    """Specification of the PodMonitor of a model with two Services: a pod that both select is read once.

    Every series carries also the label by which versions are told apart while both run.
    """
    return {
        "selector": {"matchLabels": workload.selector},
        "podTargetLabels": [MODEL_LABEL, VERSION_LABEL, HASH_LABEL],
        "podMetricsEndpoints": [{"port": PORT_NAME, "path": "/metrics"}],
    }


def ingress(workload: Workload, *, ingress_class: str) -> Object:
    """Specification of the Ingress: the paths that callers reach, and no other.

    Args:
        workload: The pods; its front end is an `alb`.
        ingress_class: Class of Ingress.
    """
    front, rollout = workload.spec.front_end, workload.spec.rollout
    if front is None:
        raise ValueError(f"{workload.name} has no front end")
    # Of two rules with the same path the load balancer asks the first one first.
    backends = [*([variant_backend(workload)] if rollout and rollout.variant else []), workload.name]
    port: Object = {"name": "use-annotation"} if rollout else {"number": SERVICE_PORT}
    rule: Object = {
        "http": {
            "paths": [
                {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": port}}}
                for name in backends
                for path in front.paths
            ]
        }
    }
    return {"ingressClassName": ingress_class, "rules": [{**rule, **({"host": front.host} if front.host else {})}]}


def ingress_annotations(pod: ServerPodSpec) -> dict[str, str]:
    """Annotations of an Ingress: how the load balancer asks a pod, and how long it lets one finish."""
    check = {name: str(value) for name, value in _HEALTH_CHECK.items()}
    return {
        f"{_ALB}/healthcheck-path": HEALTH,
        f"{_ALB}/success-codes": "200",
        f"{_ALB}/healthcheck-interval-seconds": check["interval"],
        f"{_ALB}/healthcheck-timeout-seconds": check["timeout"],
        f"{_ALB}/healthy-threshold-count": check["healthy"],
        f"{_ALB}/unhealthy-threshold-count": check["unhealthy"],
        f"{_ALB}/target-group-attributes": _attributes(
            {**_finishing(pod), "load_balancing.algorithm.type": "least_outstanding_requests"}
        ),
    }


def service_annotations(pod: ServerPodSpec) -> dict[str, str]:
    """The same for a Service with a Network Load Balancer."""
    check = {name: str(value) for name, value in _HEALTH_CHECK.items()}
    return {
        f"{_NLB}-healthcheck-protocol": "http",
        f"{_NLB}-healthcheck-path": HEALTH,
        f"{_NLB}-healthcheck-success-codes": "200",
        f"{_NLB}-healthcheck-interval": check["interval"],
        f"{_NLB}-healthcheck-timeout": check["timeout"],
        f"{_NLB}-healthcheck-healthy-threshold": check["healthy"],
        f"{_NLB}-healthcheck-unhealthy-threshold": check["unhealthy"],
        f"{_NLB}-target-group-attributes": _attributes(_finishing(pod)),
    }


def _finishing(pod: ServerPodSpec) -> dict[str, str]:
    return {"deregistration_delay.timeout_seconds": str(pod.drain_seconds + LAST_ANSWERS_SECONDS)}


def _attributes(attributes: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in attributes.items())
