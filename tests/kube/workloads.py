"""The platform's sample workloads as pods: what each asks for, and which interruption it bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.gpu_pods import gpu_resources, tolerations
from components.labels import CAPACITY_LABEL
from components.priority_levels import BATCH, SERVING, TRAINING
from tests.kube.elastic import SERVING_NAMESPACE, TRAINING_NAMESPACE, app_pod

if TYPE_CHECKING:
    from tests.kube.api import Object

SPOT = [item for item in tolerations(may_be_spot=True) if item["key"] == CAPACITY_LABEL]
"""Toleration of a pod that bears an interruption."""


def serving(name: str, cpu: str = "1", **spec: object) -> Object:
    """Real-time serving: it bears no interruption."""
    return app_pod(SERVING_NAMESPACE, name, SERVING.name, {"cpu": cpu, "memory": "512Mi"}, **spec)


def gpu_serving(name: str, **spec: object) -> Object:
    """Real-time serving on a GPU."""
    asks = {"cpu": "500m", "memory": "1Gi", **gpu_resources()}
    return app_pod(SERVING_NAMESPACE, name, SERVING.name, asks, tolerations=tolerations(may_be_spot=False), **spec)


def training(name: str, cpu: str = "1", **spec: object) -> Object:
    """Training with checkpoints."""
    given = {"tolerations": SPOT, **spec}
    return app_pod(TRAINING_NAMESPACE, name, TRAINING.name, {"cpu": cpu, "memory": "1Gi"}, **given)


def gpu_training(name: str, cpu: str = "1", **spec: object) -> Object:
    """Training with checkpoints on a GPU."""
    asks = {"cpu": cpu, "memory": "1Gi", **gpu_resources()}
    return app_pod(TRAINING_NAMESPACE, name, TRAINING.name, asks, tolerations=tolerations(may_be_spot=True), **spec)


def processing(name: str, cpu: str = "1", **spec: object) -> Object:
    """Preparation of data."""
    asks = {"cpu": cpu, "memory": "512Mi"}
    return app_pod(TRAINING_NAMESPACE, name, BATCH.name, asks, tolerations=SPOT, **spec)


def job(template: Object, completions: int) -> Object:
    """A Job of pods like `template`, all at once."""
    metadata = template["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "spec": {
            "completions": completions,
            "parallelism": completions,
            "template": {
                "metadata": {"labels": metadata["labels"]},
                "spec": {**template["spec"], "restartPolicy": "Never"},
            },
        },
    }
