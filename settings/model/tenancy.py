"""The namespaces that workloads live in."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Name, Section
from settings.model.patterns import NAMESPACE


class NamespaceSpec(Section):
    """A Kubernetes namespace for workloads."""

    name: Annotated[str, Field(pattern=NAMESPACE)]
    """Name of the namespace."""
    workload_type: Literal["training", "inference"]
    """Value of the label `workload-type`."""
    cost_center: Name
    """Value of the label `cost-center`."""
