"""A model that pods in the cluster serve."""

from settings.model.base import Name, Section


class EksServingSpec(Section):
    """Pods that serve a model."""

    namespace: Name
    """Namespace of a team, of the workload type `inference`, that the pods run in."""
