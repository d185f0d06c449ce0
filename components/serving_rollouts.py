"""A model's rollouts by shares of requests, as pure functions in the spelling of the API.

Argo Rollouts takes the pods from the Deployment that holds the template (`workloadRef`), and deals out requests between
two Services by the action of an Ingress, which the AWS Load Balancer Controller turns into weighted target groups.
Blue/green is a canary of one step, the whole: both versions stay targets, so that there and back is one change of
weights, while a Service whose selector moves would change its targets one by one.
Source of all fields: Argo Rollouts 1.9, "Specification" and "AWS Load Balancer Controller"; for actions and conditions
"Ingress annotations" of the AWS Load Balancer Controller 3.5.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from components import serving_analysis
from settings.release_times import PROGRESS_SECONDS

if TYPE_CHECKING:
    from components.serving_pods import Object, Workload
    from settings.model import PodRolloutSpec

API: Final = "argoproj.io/v1alpha1"
KIND: Final = "Rollout"
CHANGED_BY_ROLLOUTS: Final = ("spec.selector",)
"""Path of a Service that the controller writes: which version's pods it selects; a map that has one owner."""
_ALB: Final = "alb.ingress.kubernetes.io"
_SETTLE: Final = "30s"
"""Time between the first pods of a version and its first request: they have to become targets."""
_WHOLE: Final = 100


def canary_service(workload: Workload) -> str:
    """Name of the Service of the new version; that of the old one has the model's own name."""
    return f"{workload.name}-canary"


def variant_backend(workload: Workload) -> str:
    """Name of the action for callers of an A/B test."""
    return f"{workload.name}-variant"


def services(workload: Workload) -> list[str]:
    """Names of the Services inside the cluster."""
    return [workload.name, *([canary_service(workload)] if workload.spec.rollout else [])]


def _stop(workload: Workload) -> str:
    return f"{workload.name}-stop"


def _go_on(workload: Workload) -> str:
    return f"{workload.name}-go-on"


def analyses(workload: Workload, spec: PodRolloutSpec, prometheus: str) -> dict[str, Object]:
    """Specifications of the AnalysisTemplates by name; `prometheus` is the address of the server that they ask."""
    return {
        _stop(workload): serving_analysis.stop(workload, spec, prometheus),
        _go_on(workload): serving_analysis.go_on(workload, spec, prometheus),
    }


def rollout(workload: Workload, spec: PodRolloutSpec, *, port: int) -> Object:
    """Specification of the Rollout; how many pods there are, only the autoscaler says.

    Args:
        workload: The pods.
        spec: How another version takes over.
        port: Port of both Services.
    """
    return {
        "workloadRef": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": workload.name,
            # A Deployment that served until now gives up its pods when those of the Rollout are ready.
            "scaleDown": "onsuccess",
        },
        "minReadySeconds": 10,
        "progressDeadlineSeconds": PROGRESS_SECONDS,
        # Pods that do not become ready end the rollout; otherwise it would wait for a person.
        "progressDeadlineAbort": True,
        "revisionHistoryLimit": 5,
        "strategy": {
            "canary": {
                "stableService": workload.name,
                "canaryService": canary_service(workload),
                "maxUnavailable": 0,
                "maxSurge": "25%",
                "trafficRouting": {"alb": {"ingress": workload.name, "servicePort": port}},
                "analysis": _analysis(_stop(workload)),
                "steps": _steps(spec, {"analysis": _analysis(_go_on(workload))}),
            }
        },
    }


def _steps(spec: PodRolloutSpec, judged: Object) -> list[Object]:
    """What happens one after the other; after the last step the new version has everything."""
    wait: Object = {"pause": {"duration": f"{spec.step_minutes}m"}}
    if spec.strategy == "a-b":
        # The Ingress sends them their callers; nobody else is.
        return [{"setCanaryScale": {"weight": _WHOLE}}, wait, judged]
    weights = spec.weights or (_WHOLE,)
    start: list[Object] = [{"setCanaryScale": {"weight": weights[0]}}, {"pause": {"duration": _SETTLE}}]
    shares: list[Object] = [each for weight in weights for each in ({"setWeight": weight}, wait, judged)]
    return [*start, {"setCanaryScale": {"matchTrafficWeight": True}}, *shares]


def _analysis(template: str) -> Object:
    return {"templates": [{"templateName": template}], "args": list(serving_analysis.ARGUMENTS)}


def variant_annotations(workload: Workload, port: int) -> dict[str, str]:
    """Annotations of the Ingress of an A/B test: who its callers are, and where they go; none for other rollouts.

    While no rollout is under way, the controller lets the Service of the new version select the pods of the old one.
    """
    variant = workload.spec.rollout.variant if workload.spec.rollout else None
    if variant is None:
        return {}
    name, group = variant_backend(workload), {"serviceName": canary_service(workload), "servicePort": str(port)}
    header = {"httpHeaderName": variant.header, "values": [variant.value]}
    return {
        f"{_ALB}/actions.{name}": json.dumps({"type": "forward", "forwardConfig": {"targetGroups": [group]}}),
        f"{_ALB}/conditions.{name}": json.dumps([{"field": "http-header", "httpHeaderConfig": header}]),
    }
