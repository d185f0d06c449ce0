"""Where the approved version of a model answers: one switch, and a section for each place that it can point to."""

from enum import StrEnum

from settings.model.base import Section
from settings.model.serving_eks import EksServingSpec


class Target(StrEnum):
    """What serves a model; the values are the words of a stack file."""

    EKS = "eks"


class ServingSpec(Section):
    """Where a model is served.

    Sections of other places than `target` may be filled already: then the switch is the only line that changes.
    """

    target: Target
    """Where the approved version answers."""
    eks: EksServingSpec | None = None
    """Pods in the cluster."""
