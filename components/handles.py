"""What flows between components: the contract of each with those that come after it.

A handle is frozen and holds Outputs, which are passed on and never inspected. `ready` lists what must have finished
before a consumer starts; waiting for a component alone would not wait for its children.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi
    import pulumi_kubernetes as kubernetes

Ready = tuple["pulumi.Resource", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHandle:
    """Key, buckets and image repositories."""

    key_arn: pulumi.Output[str]
    """Customer managed key of the environment."""
    data_bucket: pulumi.Output[str]
    """Name of the bucket that data sets arrive in."""
    models_bucket: pulumi.Output[str]
    """Name of the bucket that training writes models to."""
    logs_bucket: pulumi.Output[str]
    """Name of the bucket for access logs; not known before the bucket accepts them."""
    repositories: Mapping[str, pulumi.Output[str]]
    """Image repository URL by model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHandle:
    """VPC and subnets."""

    vpc_id: pulumi.Output[str]
    private_subnets: Mapping[str, pulumi.Output[str]]
    """Subnet id by zone: nodes, pods, SageMaker."""
    public_subnets: Mapping[str, pulumi.Output[str]]
    """Subnet id by zone: load balancers."""
    private_route_tables: Mapping[str, pulumi.Output[str]]
    """Route table id by zone."""
    ready: Ready
    """Routes of the private subnets: with them a node reaches registries and AWS."""

    @property
    def private_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Private subnets in the order of the zones."""
        return list(self.private_subnets.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsHandle:
    """Private ways to AWS services."""

    security_group: pulumi.Output[str]
    """Security group of the interface endpoints; answers HTTPS from inside the VPC."""
    s3_prefix_list: pulumi.Output[str]
    """Managed prefix list of S3, for security group rules that let traffic go to the gateway endpoint."""
    ready: Ready
    """Every endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterHandle:
    """A control plane that authorised roles can use."""

    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """URL of the API server."""
    kubeconfig: pulumi.Output[str]
    """Secret JSON; asks `aws eks get-token` for a token at every use and holds none."""
    oidc_provider_arn: pulumi.Output[str]
    """IAM identity provider of the cluster's service accounts."""
    oidc_issuer: pulumi.Output[str]
    """Issuer of service account tokens, without `https://`."""
    node_security_group: pulumi.Output[str]
    """Security group for every node."""
    control_plane_security_group: pulumi.Output[str]
    """Security group that EKS made for the API server."""
    kubernetes: kubernetes.Provider
    """Provider for what lives in the cluster; exists only after the administrators have access."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNetworkHandle:
    """Add-ons that a node needs before it can become ready."""

    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolsHandle:
    """Managed node groups."""

    node_role_arn: pulumi.Output[str]
    """Role of every node."""
    names: Mapping[str, pulumi.Output[str]]
    """Node group name by pool."""
    system_ready: Ready
    """Node groups with the role `system`: Deployment-shaped add-ons find a node after these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringHandle:
    """Where metrics are gathered, kept and shown."""

    namespace: str
    """Namespace of Prometheus and Grafana, where dashboards go."""
    prometheus_url: str
    """Address of Prometheus inside the cluster; a network policy of this namespace decides who reaches it."""
    crds: Ready
    """Custom resource definitions: after these a ServiceMonitor or a PodMonitor can be created."""
    ready: Ready
    """Prometheus and its operator: after these a PrometheusRule is judged when it is created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptionsHandle:
    """Queue of what AWS announces about instances."""

    queue: str
    """Name of the queue."""
    ready: Ready
    """The queue with its policy and every way into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KarpenterHandle:
    """Nodes that come when pods wait."""

    node_role_arn: pulumi.Output[str]
    """Role of every node that Karpenter starts."""
    ready: Ready
    """Every elastic pool: after these a pod that waits gets a node, and while it exists they stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainsHandle:
    """What keeps hosted zones up to date."""

    cluster_issuer: str | None
    """ClusterIssuer that certificates name; None where the environment has none."""
    ready: Ready
    """Controllers and issuer: what has a host name waits for these, so that on destroy its record goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrioritiesHandle:
    """Priority classes: without its class the API server refuses a pod."""

    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageHandle:
    """Volumes for workloads."""

    default_class: str
    """Storage class of encrypted disks that go with their claim."""
    retained_class: str
    """The same, but a disk outlives its claim."""
    shared_class: str | None
    """Storage class of files that several pods write; None where the environment has none."""
    ready: Ready
    """Classes, volumes and their drivers: whoever claims a volume comes after these, and goes before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateHandle:
    """Pods without nodes."""

    security_group: pulumi.Output[str] | None
    """Security group of these pods; None where no pod runs on Fargate."""
    ready: Ready
    """Profile, security group and log route: a pod that comes later runs there as it should; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenancyHandle:
    """Namespaces of the teams."""

    namespaces: Mapping[str, Ready]
    """Every namespace, closed: what lives in one waits for that one alone."""
    repositories: Mapping[str, pulumi.Output[str]]
    """Team → address of its image repository."""
    endpoint_ranges: Sequence[str]
    """Address ranges of the interface endpoints that pods call."""

    @property
    def ready(self) -> Ready:
        """All namespaces."""
        return tuple(resource for ready in self.namespaces.values() for resource in ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRolesHandle:
    """Execution roles of one model's pipeline."""

    arns: Mapping[str, pulumi.Output[str]]
    """Role by duty (`components.model_places.Duty`)."""
    ready: Ready
    """Their policies: after these a job that starts may do what it has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingHandle:
    """What runs pipelines needs this."""

    roles: Mapping[str, ModelRolesHandle]
    """Execution roles by model."""
    security_group: pulumi.Output[str]
    """Security group of jobs inside the VPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryHandle:
    """Where model versions are registered."""

    package_groups: Mapping[str, pulumi.Output[str]]
    """Model package group name by model."""
    ready: Mapping[str, Ready]
    """Package group by model: after it a version can be registered."""
    model_arns: Mapping[str, pulumi.Output[str]]
    """SageMaker model ARN by model, for models with an approved version."""
    model_names: Mapping[str, pulumi.Output[str]]
    """The same by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagingHandle:
    """What turns approved versions into images."""

    event_bus: pulumi.Output[str]
    """Bus of the event `Model Image Ready` of source `slipway`, which names model, version and image by digest."""
    projects: Mapping[str, pulumi.Output[str]]  # CodeBuild project by model


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinesHandle:
    """What turns data into versions of models."""

    names: Mapping[str, pulumi.Output[str]]
    """Name of the pipeline by model."""
