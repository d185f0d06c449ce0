"""Pods without nodes: AWS Fargate as a compute mode for serving on processors."""

from typing import Annotated

from pydantic import Field

from settings.model.base import LogRetentionDays, Section
from settings.model.patterns import NAMESPACE, TAINT_KEY, TAINT_VALUE


class SelectorSpec(Section):
    """Which pods run on Fargate."""

    namespace: Annotated[str, Field(pattern=NAMESPACE)]
    """Namespace of the pods; one of `slipway:namespaces`."""
    labels: dict[Annotated[str, Field(pattern=TAINT_KEY)], Annotated[str, Field(pattern=TAINT_VALUE)]]
    """Labels that a pod needs; with none of them every pod of the namespace runs on Fargate."""


class FargateProfileSpec(Section):
    """Which pods run on Fargate, and how they are closed off and observed there."""

    selectors: tuple[SelectorSpec, ...] = Field(strict=False, min_length=1, max_length=5)
    """Pods that match one of them run on Fargate; a profile takes at most five (EKS API, CreateFargateProfile)."""
    pod_security_groups: bool
    """Whether the pods get a security group of their own: there, network policies are not enforced."""
    pod_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(strict=False, max_length=10)
    """TCP ports on which pods on nodes may call those on Fargate."""
    log_retention_days: LogRetentionDays
    """How long the logs of the pods are kept."""


class FargateSpec(Section):
    """Pods without nodes. What does not exist there: `docs/fargate.md`."""

    profile: FargateProfileSpec | None
    """The pods; null for none."""
