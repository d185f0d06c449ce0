"""Which Kubernetes versions EKS supports, and until when, and which releases support them, as data.

Sources, read 2026-11-22: Amazon EKS user guide, "Understand the Kubernetes version lifecycle on EKS"; Karpenter
documentation, "Compatibility"; history of the charts kube-prometheus-stack and prometheus-operator-crds. A Kubernetes
version is listed only while its standard support lasts for at least another quarter; extended support costs six times
as much per cluster hour.
"""

from datetime import date
from typing import Final, Literal

KubernetesVersion = Literal["1.35", "1.36"]

STANDARD_SUPPORT_ENDS: Final[dict[KubernetesVersion, date]] = {
    "1.35": date(2027, 3, 27),
    "1.36": date(2027, 8, 2),
}

KARPENTER_SINCE: Final[dict[KubernetesVersion, tuple[int, int, int]]] = {"1.35": (1, 9, 0), "1.36": (1, 13, 0)}
"""First release of Karpenter that supports a Kubernetes version."""

PROMETHEUS_DEFINITIONS: Final[dict[str, str]] = {
    "88.0": "31.0.0",
    "88.1": "31.0.0",
    "88.2": "31.0.0",
    "88.3": "31.0.0",
    "88.4": "31.0.1",
    "88.5": "31.0.1",
}
"""Version of the chart prometheus-operator-crds that has the operator of a minor version of kube-prometheus-stack."""
