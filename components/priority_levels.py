"""Whose pods wait, and whose make room, when the cluster is full: the priority classes as data.

A pod without a class has priority 0, between `batch` and `headroom`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityLevel:
    """One priority class."""

    name: str
    """Name of the class."""
    value: int
    """Higher goes first; above a billion Kubernetes keeps for itself."""
    preempts: bool
    """Whether a pod that finds no node takes the place of running pods of lower priority."""
    meaning: str
    """What the class is for, as `kubectl describe` shows it."""


SERVING: Final = PriorityLevel(
    name="serving",
    value=1_000_000,
    preempts=True,
    meaning="Answers that somebody waits for; takes the place of training, batch and headroom",
)
TRAINING: Final = PriorityLevel(
    name="training",
    value=100_000,
    preempts=True,
    meaning="Training with checkpoints; takes the place of batch and headroom",
)
BATCH: Final = PriorityLevel(
    name="batch",
    value=1_000,
    preempts=False,
    meaning="Work that waits until there is room; takes nobody's place",
)
HEADROOM: Final = PriorityLevel(
    name="headroom",
    # The lowest at which Cluster Autoscaler still starts nodes for a pod (its flag --expendable-pods-priority-cutoff).
    value=-10,
    preempts=False,
    meaning="Placeholders that keep room for a burst; any other pod takes their place",
)
LEVELS: Final = (SERVING, TRAINING, BATCH, HEADROOM)
"""All levels, the highest first."""
NODE_CRITICAL: Final = ("system-cluster-critical", "system-node-critical")
"""Classes of Kubernetes itself, above all of ours."""
