"""Priorities: the priority classes of the cluster.

Creates: one PriorityClass per level. None is the default of pods that name no class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components.handles import PrioritiesHandle

if TYPE_CHECKING:
    from components.priority_levels import PriorityLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class PrioritiesArgs:
    """Arguments of `Priorities`."""

    levels: tuple[PriorityLevel, ...]
    """The levels, each of which becomes a class."""


class Priorities(pulumi.ComponentResource):
    """Priority classes; see the module for what is created. Needs the cluster's Kubernetes provider."""

    handle: PrioritiesHandle
    """What runs pods of one of these classes waits for this."""

    def __init__(self, name: str, args: PrioritiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:priorities:Priorities", name, None, opts)
        classes = tuple(
            kubernetes.scheduling.v1.PriorityClass(
                f"{name}-{level.name}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=level.name),
                value=level.value,
                preemption_policy="PreemptLowerPriority" if level.preempts else "Never",
                description=level.meaning,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for level in args.levels
        )
        self.handle = PrioritiesHandle(ready=classes)
        self.register_outputs({"names": [level.name for level in args.levels]})
