"""Which version of an add-on or chart runs on which Kubernetes version, as data; sources read on `versions.READ`.

A range is what the publisher says. Where the publisher names only the oldest Kubernetes version, which is far below
ours, the range begins with a release of the last year. AWS publishes what it supports for EKS add-ons by API only
(`aws eks describe-addon-versions`); for these the rows hold what public configurations of clusters of that version
name, most of them copied from that API, and a range that begins with the oldest of these: a version outside of it is
refused here, one inside it is plausible, and EKS itself has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.versions import KubernetesVersion

Release = tuple[int, ...]
"""Numbers of a version, the build of an EKS add-on last."""


def release(version: str) -> Release:
    """Return the numbers of `1.14.1`, `v1.14.1` or `v1.14.1-eksbuild.3`, for comparison."""
    numbers, _, build = version.removeprefix("v").partition("-eksbuild.")
    return (*(int(part) for part in numbers.split(".")), int(build or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Versions that run on one Kubernetes version."""

    since: str
    """The first."""
    before: str | None = None
    """The first that does not any more; None while there is none."""
    known: tuple[str, ...]
    """Versions that exist and were seen there, or that the publisher names, oldest first."""

    def __contains__(self, version: str) -> bool:
        """Whether the publisher supports `version` there."""
        found = release(version)
        return release(self.since) <= found and (self.before is None or found < release(self.before))

    def nearest(self, version: str) -> str:
        """Return the known version that is the smallest step from `version`."""
        newer = [known for known in self.known if release(known) > release(version)]
        return newer[0] if newer else self.known[-1]

    def __str__(self) -> str:
        """Return the range in words."""
        return f"{self.since} or newer" + (f", below {self.before}" if self.before else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One add-on or chart."""

    source: str
    """Who says so, or where it was seen."""
    supported: Mapping[KubernetesVersion, Range]
    """Range by Kubernetes version."""


def _everywhere(since: str, *known: str) -> dict[KubernetesVersion, Range]:
    """Return the same range for every Kubernetes version: the publisher names a lower bound far below them all."""
    return {"1.35": Range(since=since, known=known), "1.36": Range(since=since, known=known)}


_SEEN: Final = "public configurations of EKS clusters, summer and autumn 2026"

ADDONS: Final[Mapping[str, Row]] = {
    "vpc_cni": Row(
        source=_SEEN,
        supported={
            "1.35": Range(since="v1.21.1", known=("v1.21.1-eksbuild.8", "v1.22.4-eksbuild.3", "v1.23.0-eksbuild.1")),
            "1.36": Range(since="v1.21.2", known=("v1.21.2-eksbuild.2", "v1.22.4-eksbuild.3")),
        },
    ),
    "kube_proxy": Row(
        source="EKS user guide, kube-proxy: the minor version is that of the cluster; " + _SEEN,
        supported={
            "1.35": Range(
                since="v1.35.0",
                before="v1.36.0",
                known=("v1.35.3-eksbuild.13", "v1.35.3-eksbuild.18", "v1.35.3-eksbuild.21"),
            ),
            "1.36": Range(
                since="v1.36.0",
                before="v1.37.0",
                known=("v1.36.0-eksbuild.17", "v1.36.0-eksbuild.21", "v1.36.0-eksbuild.25"),
            ),
        },
    ),
    "coredns": Row(
        source=_SEEN,
        supported={
            "1.35": Range(since="v1.13.2", known=("v1.13.2-eksbuild.11", "v1.13.2-eksbuild.21", "v1.14.3-eksbuild.3")),
            "1.36": Range(since="v1.14.2", known=("v1.14.2-eksbuild.4", "v1.14.3-eksbuild.16", "v1.14.3-eksbuild.23")),
        },
    ),
    "metrics_server": Row(
        source=_SEEN,
        supported={
            "1.35": Range(since="v0.8.1", known=("v0.8.1-eksbuild.6", "v0.8.1-eksbuild.11", "v0.9.0-eksbuild.5")),
            "1.36": Range(since="v0.8.1", known=("v0.8.1-eksbuild.11", "v0.9.0-eksbuild.10")),
        },
    ),
    "node_monitoring_agent": Row(
        source=_SEEN, supported=_everywhere("v1.6.4", "v1.6.4-eksbuild.1", "v1.6.6-eksbuild.1", "v1.7.2-eksbuild.1")
    ),
    "pod_identity_agent": Row(source=_SEEN, supported=_everywhere("v1.3.10", "v1.3.10-eksbuild.3")),
    "ebs_csi": Row(
        source="aws-ebs-csi-driver, README: all Kubernetes versions that EKS supports; " + _SEEN,
        supported=_everywhere("v1.59.0", "v1.59.0-eksbuild.1", "v1.63.1-eksbuild.1", "v1.65.0-eksbuild.1"),
    ),
    "efs_csi": Row(
        source="aws-efs-csi-driver, chart: Kubernetes 1.17 or newer",
        supported=_everywhere("v3.0.0", "v3.4.1-eksbuild.1"),
    ),
    "fsx_csi": Row(
        source="aws-fsx-csi-driver, chart: Kubernetes 1.20 or newer",
        supported=_everywhere("v1.0.0", "v1.9.0-eksbuild.1"),
    ),
    "mountpoint_s3_csi": Row(
        source="mountpoint-s3-csi-driver, README: Kubernetes 1.31 or newer since version 2; " + _SEEN,
        supported=_everywhere("v2.0.0", "v2.6.0-eksbuild.1"),
    ),
    "secrets_store": Row(
        source="secrets-store-csi-driver-provider-aws, chart: Kubernetes 1.17 or newer; " + _SEEN,
        supported=_everywhere("v2.2.2", "v2.2.2-eksbuild.1", "v3.1.3-eksbuild.1"),
    ),
    "cloud_watch": Row(
        source=_SEEN,
        supported={
            "1.35": Range(since="v6.3.0", known=("v6.3.0-eksbuild.1", "v6.4.0-eksbuild.1")),
            "1.36": Range(since="v6.4.0", known=("v6.4.0-eksbuild.1", "v6.5.0-eksbuild.1", "v6.6.0-eksbuild.1")),
        },
    ),
}
"""EKS add-ons by the name of their setting."""

CHARTS: Final[Mapping[str, Row]] = {
    "karpenter": Row(
        source='Karpenter documentation, "Compatibility"',
        supported={
            "1.35": Range(since="1.9.0", known=("1.9.0", "1.13.0", "1.14.1")),
            "1.36": Range(since="1.13.0", known=("1.13.0", "1.14.1")),
        },
    ),
    "aws_load_balancer_controller": Row(
        # Its documentation asks for 1.22 or newer since 2.5; the parameters of our class need 3.
        source="AWS Load Balancer Controller, installation guide",
        supported=_everywhere("3.0.0", "3.5.0"),
    ),
    "external_dns": Row(
        # Chart 1.18 brings ExternalDNS 0.18, the first that reads EndpointSlices.
        source='ExternalDNS, README, "Kubernetes version compatibility": 1.21 or newer since 0.18',
        supported=_everywhere("1.18.0", "1.20.0", "1.21.1"),
    ),
    "cert_manager": Row(
        source='cert-manager, "Supported Releases": 1.20 for 1.32 to 1.35, 1.21 for 1.33 to 1.36',
        supported={
            "1.35": Range(since="v1.20.0", known=("v1.20.0", "v1.21.1")),
            "1.36": Range(since="v1.21.0", known=("v1.21.0", "v1.21.1")),
        },
    ),
    "argo_rollouts": Row(
        # The chart has no bound; the controller is made of client libraries of Kubernetes 1.34, and asks for kinds that
        # are stable since 1.21. Chart 2.40.8 brings 1.9, the first with what analyses here need.
        source="argo-rollouts, chart: no bound",
        supported=_everywhere("2.40.8", "2.41.0"),
    ),
    "prometheus_adapter": Row(
        # The chart has no bound; 0.12 is made of client libraries of Kubernetes 1.30, and serves custom.metrics.k8s.io
        # v1beta1 and v1beta2, of which the autoscaler asks for either.
        source="prometheus-adapter, chart: no bound",
        supported=_everywhere("5.3.0", "5.3.0"),
    ),
    "kube_prometheus_stack": Row(
        source="kube-prometheus-stack, chart: Kubernetes 1.25 or newer", supported=_everywhere("80.0.0", "88.5.3")
    ),
    "prometheus_operator_crds": Row(
        source="prometheus-operator-crds, chart: Kubernetes 1.16 or newer", supported=_everywhere("25.0.0", "31.0.1")
    ),
    "nvidia_device_plugin": Row(
        source="nvidia-device-plugin, chart: Kubernetes 1.10 or newer", supported=_everywhere("0.17.0", "0.20.0")
    ),
    "efa_device_plugin": Row(
        source="aws-efa-k8s-device-plugin, chart: no bound", supported=_everywhere("0.5.0", "0.5.30")
    ),
    "neuron": Row(source="neuron-helm-chart: no bound", supported=_everywhere("1.0.0", "1.0.0")),
    "dcgm_exporter": Row(
        source="dcgm-exporter, chart: Kubernetes 1.19 or newer", supported=_everywhere("4.4.0", "4.8.2")
    ),
}
"""Helm charts by the name of their setting."""
