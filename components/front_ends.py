"""Ways in from outside the cluster: what flows between load balancing, what is reached by it, and the exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.handles import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancingHandle:
    """How requests from outside reach pods."""

    ingress_class: str
    """Class that an Ingress names; the controller answers it with an Application Load Balancer."""
    ingress_annotations: Mapping[str, str]
    """Annotations that an Ingress of the class needs: its listeners."""
    service_class: str
    """Class that a Service names; the controller answers it with a Network Load Balancer."""
    service_annotations: Mapping[str, pulumi.Input[str]]
    """Annotations that a Service of the class needs: scheme, TLS, logs, protection."""
    callers: tuple[str, ...]
    """Ranges that reach the load balancers."""
    encrypted: bool
    """Whether the load balancers speak TLS."""
    ready: Ready
    """Controller and class: what makes an Ingress waits for these, so that on destroy its load balancer goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingHandle:
    """Models that pods of the cluster serve."""

    addresses: Mapping[str, pulumi.Output[str]]
    """Base URL by model, for models with a front end."""
