"""Which Kubernetes versions EKS supports, and until when, and what belongs together, as data.

Sources, read 2026-11-22: Amazon EKS user guide, "Understand the Kubernetes version lifecycle on EKS"; history of the
charts kube-prometheus-stack and prometheus-operator-crds. A Kubernetes version is listed only while its standard
support lasts for at least another quarter; extended support costs six times as much per cluster hour.
"""

from datetime import date, timedelta
from typing import Final, Literal

READ: Final = date(2026, 11, 22)
"""When the source was read."""

KubernetesVersion = Literal["1.35", "1.36"]

STANDARD_SUPPORT_ENDS: Final[dict[KubernetesVersion, date]] = {
    "1.35": date(2027, 3, 27),
    "1.36": date(2027, 8, 2),
}

SUPPORT_LEFT: Final = timedelta(days=90)
"""An upgrade is prepared when less than this is left."""

PROMETHEUS_DEFINITIONS: Final[dict[str, str]] = {
    "88.0": "31.0.0",
    "88.1": "31.0.0",
    "88.2": "31.0.0",
    "88.3": "31.0.0",
    "88.4": "31.0.1",
    "88.5": "31.0.1",
}
"""Version of the chart prometheus-operator-crds that has the operator of a minor version of kube-prometheus-stack."""


def ending(today: date) -> dict[KubernetesVersion, date]:
    """Return the versions whose standard support has ended, or ends soon, as seen on the day `today`."""
    return {version: end for version, end in STANDARD_SUPPORT_ENDS.items() if end - today < SUPPORT_LEFT}
