"""What flows from the components that serve models; see `components.handles`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.handles import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEndpointsHandle:
    """Where SageMaker answers."""

    names: Mapping[str, pulumi.Output[str]]
    """Endpoint name by model, for models that an endpoint serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTransformsHandle:
    """How batch transform jobs are asked for."""

    plans: Mapping[str, pulumi.Output[dict[str, Any]]]
    """What the jobs of a model have in common, by model (`lifecycle.transforms.Plan`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutsHandle:
    """What carries out rollouts by shares of requests."""

    prometheus_url: str
    """Address of the server whose metrics judge them."""
    ready: Ready
    """The controller with its definitions: after these a Rollout can be created; none where no model needs one."""
