"""The Helm charts that run in the cluster."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import CHART_REPOSITORY, CHART_VERSION


class ChartSpec(Section):
    """One Helm chart."""

    repository: Annotated[str, Field(pattern=CHART_REPOSITORY)]
    """Where the chart comes from: its publisher, or a mirror of your own."""
    version: Annotated[str, Field(pattern=CHART_VERSION)]
    """Exact version; a range would let a release change without a change of this file."""


class ChartsSpec(Section):
    """Every Helm chart that runs in the cluster."""

    karpenter: ChartSpec
    """Karpenter; its custom resource definitions come from the chart karpenter-crd of the same version."""
    aws_load_balancer_controller: ChartSpec
    """AWS Load Balancer Controller; the chart brings its custom resource definitions, which Helm installs only once."""
    external_dns: ChartSpec
    """ExternalDNS; installed where `slipway:domains.records` is set."""
    cert_manager: ChartSpec
    """cert-manager; installed where `slipway:domains.certificates` is set. Its versions begin with v."""
    argo_rollouts: ChartSpec
    """Argo Rollouts; installed where `slipway:rollouts.controller` is set."""
    prometheus_adapter: ChartSpec
    """prometheus-adapter; installed where `slipway:monitoring.adapter` is set."""
    kube_prometheus_stack: ChartSpec
    """Prometheus with its operator, Alertmanager, Grafana and exporters."""
    prometheus_operator_crds: ChartSpec
    """Custom resource definitions of the Prometheus operator, of the operator's own version."""
    nvidia_device_plugin: ChartSpec
    """NVIDIA device plugin: makes GPUs known to Kubernetes, shares and labels them."""
    dcgm_exporter: ChartSpec
    """DCGM exporter: metrics of every GPU."""
    neuron: ChartSpec | None
    """AWS Neuron device plugin; null exactly when no pool has role neuron."""
    efa_device_plugin: ChartSpec | None
    """Device plugin of Elastic Fabric Adapters; null exactly when no pool has them."""
