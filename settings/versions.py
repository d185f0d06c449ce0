"""Which Kubernetes versions EKS supports, and until when, as data.

Source: Amazon EKS user guide, "Understand the Kubernetes version lifecycle on EKS", read 2026-11-22. A version is
listed only while its standard support lasts for at least another quarter; extended support costs six times as much per
cluster hour.
"""

from datetime import date
from typing import Final, Literal

KubernetesVersion = Literal["1.35", "1.36"]

STANDARD_SUPPORT_ENDS: Final[dict[KubernetesVersion, date]] = {
    "1.35": date(2027, 3, 27),
    "1.36": date(2027, 8, 2),
}
