"""The EKS control plane and its managed node groups."""

from typing import Annotated

from pydantic import Field

from settings.model.base import AddonVersion, Capacity, Cidr, LogRetentionDays, Name, PoolRole, RoleArn, Section
from settings.versions import KubernetesVersion


class AddonVersions(Section):
    """Exact versions of the EKS add-ons that every cluster has."""

    vpc_cni: AddonVersion
    """Amazon VPC CNI; network policies are enforced by its agent."""
    kube_proxy: AddonVersion
    """kube-proxy; same minor version as the control plane."""
    coredns: AddonVersion
    """CoreDNS."""
    metrics_server: AddonVersion
    """Kubernetes Metrics Server; without it no autoscaler knows the load of a pod."""
    node_monitoring_agent: AddonVersion
    """EKS node monitoring agent; it tells node repair what is wrong with a node."""
    ebs_csi: AddonVersion
    """Amazon EBS CSI driver."""


class ClusterSpec(Section):
    """The EKS control plane."""

    version: KubernetesVersion
    """Kubernetes minor version, one that is in EKS standard support."""
    public_endpoint: bool
    """Whether the API server also answers on the internet, for `publicEndpointCidrs` only."""
    public_endpoint_cidrs: tuple[Cidr, ...] = Field(strict=False, max_length=40)
    """Ranges that reach the public endpoint; empty exactly when it is off; EKS takes at most 40."""
    deletion_protection: bool
    """EKS refuses to delete the cluster while this is on."""
    log_retention_days: LogRetentionDays
    """How long control-plane logs are kept."""
    service_cidr: Cidr
    """Range of Kubernetes service addresses, outside the VPC, /12 to /24."""
    admin_role_arns: tuple[RoleArn, ...] = Field(strict=False, min_length=1)
    """IAM roles with cluster administration; the creator gets none by itself."""
    addons: AddonVersions
    """Pinned add-on versions."""


class NodePoolSpec(Section):
    """One EKS managed node group."""

    name: Name
    """Name of the pool; unique in the stack."""
    role: PoolRole
    """`system` carries controllers, `cpu`, `gpu` and `neuron` carry workloads."""
    capacity: Capacity
    """Purchase option."""
    instance_types: tuple[str, ...] = Field(strict=False, min_length=1, max_length=20)
    """EC2 instance types, all of one architecture; a spot pool needs at least three."""
    min_size: Annotated[int, Field(ge=0, le=450)]
    """Fewest nodes."""
    desired_size: Annotated[int, Field(ge=0, le=450)]
    """Nodes at creation; afterwards an autoscaler owns the number."""
    max_size: Annotated[int, Field(ge=1, le=450)]
    """Most nodes (450 is the EKS default quota for a managed node group)."""
    disk_gib: Annotated[int, Field(ge=20, le=16384)]
    """Size of the encrypted gp3 root volume, GiB."""
    max_unavailable: Annotated[int, Field(ge=1, le=100)]
    """Nodes that an update may take out at the same time."""
