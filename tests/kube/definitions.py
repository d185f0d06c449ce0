"""Custom resource definitions and charts of the pinned Go modules, as files that nobody edited."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from components.karpenter_objects import CRD_VALUES
from tests.kube.helm import rendered
from tests.kube.manifests import read_manifests
from tools.kube_programs import KUBE_MODULE, module_folders

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

KARPENTER_AWS = "github.com/aws/karpenter-provider-aws"
KARPENTER_CORE = "sigs.k8s.io/karpenter"
DEFINITION = "CustomResourceDefinition"

CHARTS = {
    "karpenter": (KARPENTER_AWS, "charts/karpenter"),
    "karpenter-crd": (KARPENTER_AWS, "charts/karpenter-crd"),
    "external-dns": ("sigs.k8s.io/external-dns", "charts/external-dns"),
}
"""Charts whose source is a Go module: module and folder."""
CHARTS_ELSEWHERE = frozenset(
    {
        "aws-efs-csi-driver",
        "aws-fsx-csi-driver",
        "aws-load-balancer-controller",
        "aws-mountpoint-s3-csi-driver",
        "cert-manager",
        "cluster-autoscaler",
        "dcgm-exporter",
        "keda",
        "kube-prometheus-stack",
        "metrics-server",
        "nvidia-device-plugin",
        "prometheus-adapter",
    }
)
"""Charts that no Go module carries as a folder that Helm can render; their values are not checked here."""

_FILES = {
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd/*.yaml",
    "github.com/cert-manager/cert-manager": "deploy/crds/*.yaml",
    "sigs.k8s.io/external-dns": "charts/external-dns/crds/*.yaml",
    "sigs.k8s.io/gateway-api": "config/crd/standard/gateway.networking.k8s.io_*.yaml",
}


def chart_folder(name: str) -> Path:
    """Folder of a chart of `CHARTS`."""
    module, folder = CHARTS[name]
    return module_folders()[module] / folder


@functools.cache
def karpenter_definitions() -> tuple[Object, ...]:
    """Karpenter's definitions, as our own release of them installs them."""
    return rendered(chart_folder("karpenter-crd"), CRD_VALUES, name="karpenter-crd", namespace="kube-system")


@functools.cache
def definitions() -> tuple[Object, ...]:
    """Every definition there is."""
    folders = module_folders()
    files = [file for module, pattern in _FILES.items() for file in sorted(folders[module].glob(pattern))]
    return (*karpenter_definitions(), *_definitions_in(files))


@functools.cache
def simulation() -> tuple[Object, ...]:
    """Definitions of Karpenter's simulated provider."""
    core = module_folders(KUBE_MODULE, KARPENTER_CORE)[KARPENTER_CORE]
    return tuple(_definitions_in(sorted((core / "kwok" / "apis" / "crds").glob("*.yaml"))))


def _definitions_in(files: Iterable[Path]) -> Iterable[Object]:
    for file in files:
        yield from (item for item in read_manifests(file.read_text("utf-8")) if item["kind"] == DEFINITION)


def install(cluster: Cluster, items: Iterable[Object]) -> None:
    """Create definitions and wait until the server serves every version of all of them."""
    for item in items:
        cluster.api.create(item)
        kind, group = item["spec"]["names"]["kind"], item["spec"]["group"]
        for version in item["spec"]["versions"]:
            if version["served"]:
                cluster.until(
                    functools.partial(_serves, cluster.api, f"{group}/{version['name']}", kind), f"{kind} is served"
                )


def _serves(api: Api, api_version: str, kind: str) -> bool:
    try:
        api.kind(api_version, kind)
    except LookupError:
        return False
    return True
