"""Custom resource definitions and charts of the pinned Go modules, as files that nobody edited."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from components.karpenter_objects import CRD_VALUES
from sandbox.manifests import read_manifests
from tests.kube.helm import rendered
from tools.go_programs import required_version
from tools.kube_programs import KUBE_MANIFESTS, KUBE_MODULE, module_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster
    from tests.support.objects import Release

KARPENTER_AWS = "github.com/aws/karpenter-provider-aws"
KARPENTER_CORE = "sigs.k8s.io/karpenter"
DEFINITION = "CustomResourceDefinition"

CHARTS = {
    "karpenter": (KARPENTER_AWS, "charts/karpenter"),
    "karpenter-crd": (KARPENTER_AWS, "charts/karpenter-crd"),
    "external-dns": ("sigs.k8s.io/external-dns", "charts/external-dns"),
    "cert-manager": ("github.com/cert-manager/cert-manager", "deploy/charts/cert-manager"),
}
"""Charts whose source is a Go module: module and folder."""
CHARTS_ELSEWHERE = frozenset(
    {
        "argo-rollouts",
        "aws-efs-csi-driver",
        "aws-fsx-csi-driver",
        "aws-load-balancer-controller",
        "aws-mountpoint-s3-csi-driver",
        "cluster-autoscaler",
        "dcgm-exporter",
        "keda",
        "kube-prometheus-stack",
        "metrics-server",
        "nvidia-device-plugin",
        "prometheus-operator-crds",
        "prometheus-adapter",
    }
)
"""Charts that no Go module carries as a folder that Helm can render; what was seen of their values is data of the unit
tests (`tests/components/chart_values.yaml`)."""

GROUPS = {
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd/monitoring.coreos.com_*.yaml",
    ),
    "argoproj.io": ("github.com/argoproj/argo-rollouts", "manifests/crds/*-crd.yaml"),
    "cert-manager.io": ("github.com/cert-manager/cert-manager", "deploy/crds/cert-manager.io_*.yaml"),
    "acme.cert-manager.io": ("github.com/cert-manager/cert-manager", "deploy/crds/acme.cert-manager.io_*.yaml"),
    "externaldns.k8s.io": ("sigs.k8s.io/external-dns", "charts/external-dns/crds/*.yaml"),
    "secrets-store.csi.x-k8s.io": (
        "sigs.k8s.io/secrets-store-csi-driver",
        "config/crd/bases/secrets-store.csi.x-k8s.io_*.yaml",
    ),
    "vpcresources.k8s.aws": (
        "github.com/aws/amazon-vpc-resource-controller-k8s",
        "config/crd/bases/vpcresources.k8s.aws_securitygrouppolicies.yaml",
    ),
    "gateway.networking.k8s.io": ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_*.yaml"),
}
"""API groups whose definitions a Go module carries: module and files."""


def chart_folder(name: str) -> Path:
    """Folder of a chart of `CHARTS`."""
    module, folder = CHARTS[name]
    return module_folders()[module] / folder


def pinned_versions(name: str) -> set[str]:
    """Versions of a chart of `CHARTS` by which a release may ask for it: the chart's own, and its module's.

    Some projects give the chart the version of the tag when they publish it; the file in the repository lags behind.
    """
    described = read_manifests((chart_folder(name) / "Chart.yaml").read_text("utf-8"))[0]
    version = required_version(KUBE_MANIFESTS, CHARTS[name][0])
    return {described["version"], version, f"v{version}"}


def manifests(release: Release) -> tuple[Object, ...]:
    """What a release of the program consists of; nothing where the chart is one of `CHARTS_ELSEWHERE`."""
    if release.chart in CHARTS_ELSEWHERE:
        return ()
    chart = chart_folder(release.chart)
    return rendered(chart, release.values, name=release.name, namespace=release.namespace, crds=release.crds)


@functools.cache
def karpenter_definitions() -> tuple[Object, ...]:
    """Karpenter's definitions, as our own release of them installs them."""
    return rendered(chart_folder("karpenter-crd"), CRD_VALUES, name="karpenter-crd", namespace="kube-system")


@functools.cache
def definitions(group: str) -> tuple[Object, ...]:
    """The definitions of an API group of `GROUPS`."""
    module, files = GROUPS[group]
    return tuple(_definitions_in(sorted(module_folders()[module].glob(files))))


def definitions_for(items: Iterable[Object]) -> tuple[Object, ...]:
    """Karpenter's definitions and those of every other API group that some objects are of."""
    groups = {item["apiVersion"].partition("/")[0] for item in items if "/" in item["apiVersion"]}
    return (
        *karpenter_definitions(),
        *(item for group in sorted(groups & GROUPS.keys()) for item in definitions(group)),
    )


@functools.cache
def simulation() -> tuple[Object, ...]:
    """Definitions of Karpenter's simulated provider."""
    core = module_folders(KUBE_MODULE, KARPENTER_CORE)[KARPENTER_CORE]
    return tuple(_definitions_in(sorted((core / "kwok" / "apis" / "crds").glob("*.yaml"))))


def _definitions_in(files: Iterable[Path]) -> Iterable[Object]:
    for file in files:
        yield from (item for item in read_manifests(file.read_text("utf-8")) if item["kind"] == DEFINITION)


def install(cluster: Cluster, items: Sequence[Object]) -> None:
    """Create definitions and wait until the server serves every version of all of them."""
    for item in items:
        cluster.api.create(item)
    for item in items:
        kind, group = item["spec"]["names"]["kind"], item["spec"]["group"]
        for version in item["spec"]["versions"]:
            if version["served"]:
                served = functools.partial(_serves, cluster.api, f"{group}/{version['name']}", kind)
                cluster.until(served, f"{kind} of {group}/{version['name']} is served")


def _serves(api: Api, api_version: str, kind: str) -> bool:
    try:
        api.kind(api_version, kind)
    except LookupError:
        return False
    return True
