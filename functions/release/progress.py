"""How far a Deployment or a Rollout is with what it was last told, from its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Progress:
    """Of whatever runs the pods."""

    done: bool
    """All pods are of the new version and available."""
    failure: str = ""
    """Why it has given up."""


def of_deployment(deployment: Mapping[str, Any]) -> Progress:
    """As `kubectl rollout status` tells it.

    Source: Kubernetes documentation, "Deployments", section "Deployment status".
    """
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return Progress(done=False)
    for condition in status.get("conditions", []):
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Progress(done=False, failure=condition.get("message", condition["reason"]))
    updated = status.get("updatedReplicas", 0)
    done = updated >= replicas and status.get("replicas", 0) == updated <= status.get("availableReplicas", 0)
    return Progress(done=done)


def of_rollout(rollout: Mapping[str, Any], deployment: Mapping[str, Any]) -> Progress:
    """As `kubectl argo rollouts status` tells it, of a Rollout that takes its template from a Deployment.

    Source: Argo Rollouts 1.9, `utils/rollout/rolloututil.go`, and its specification of `status`.
    """
    status = rollout.get("status", {})
    if not _seen(rollout, deployment):
        return Progress(done=False)
    if status.get("abort") or status.get("phase") == "Degraded":
        return Progress(done=False, failure=status.get("message") or "the rollout was aborted")
    promoted = status.get("stableRS") == status.get("currentPodHash")
    return Progress(done=promoted and status.get("phase") == "Healthy")


def takes_steps(rollout: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """Whether a Rollout goes, or has given up to go, step by step to what the Deployment says."""
    status = rollout.get("status", {})
    away = status.get("stableRS") != status.get("currentPodHash")
    return _seen(rollout, deployment) and away and not status.get("promoteFull")


def _seen(rollout: Mapping[str, Any], deployment: Mapping[str, Any]) -> bool:
    """Whether the status is about what both say now."""
    status = rollout.get("status", {})
    seen = (status.get("observedGeneration"), status.get("workloadObservedGeneration"))
    return seen == (str(rollout["metadata"]["generation"]), str(deployment["metadata"]["generation"]))
