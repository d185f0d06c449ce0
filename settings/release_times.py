"""How long a release takes at most, from the settings of a model's rollout.

Sources: Argo Rollouts 1.9, "Specification" (`setWeight`, `pause`, analysis); Kubernetes documentation, "Deployments",
sections "Max Surge" and "Progress Deadline Seconds"; CodeBuild API reference, `Project`, `timeoutInMinutes`.
"""

from typing import Final

from settings.model import EksServingSpec, PodRolloutSpec

PROGRESS_SECONDS: Final = 600
"""Time in which one more pod has to be there; a Deployment or a Rollout that has none after it gives up."""
WORK_MINUTES: Final = 10
"""What a build needs beside its waits: a host, Python, and the report at the end."""
LONGEST_MINUTES: Final = 2160
"""The longest that CodeBuild lets a build run."""
_ROUNDS: Final = 4
"""A quarter of the pods at a time."""
_PROGRESS_MINUTES: Final = PROGRESS_SECONDS // 60


def pods_minutes() -> int:
    """Minutes until all pods are of another version at the latest, there or back."""
    return _ROUNDS * _PROGRESS_MINUTES


def rollout_minutes(spec: EksServingSpec) -> int:
    """Minutes until another version has everything at the latest: its pods, and the time of every step."""
    return pods_minutes() + (_steps_minutes(spec.rollout) if spec.rollout is not None else 0)


def _steps_minutes(rollout: PodRolloutSpec) -> int:
    steps = max(len(rollout.weights), 1)
    return steps * (_PROGRESS_MINUTES + rollout.step_minutes + rollout.patience_minutes)


def release_minutes(spec: EksServingSpec) -> int:
    """Minutes that a release step runs at most: there, back, and what it does itself."""
    return rollout_minutes(spec) + pods_minutes() + WORK_MINUTES
