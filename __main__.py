"""The data flow of one environment: settings → components → exports."""

import pulumi
import pulumi_aws as aws

from components.accelerators import Accelerators, AcceleratorsArgs
from components.addons import Addons, AddonsArgs
from components.alarms import Alarms, AlarmsArgs
from components.approval import Approval, ApprovalArgs
from components.batch_transforms import BatchTransforms, BatchTransformsArgs
from components.budget import MonthlyBudget, MonthlyBudgetArgs
from components.cloudwatch import CloudWatch, CloudWatchArgs
from components.cluster import Cluster, ClusterArgs
from components.domains import Domains, DomainsArgs
from components.drift import Drift, DriftArgs
from components.endpoints import Endpoints, EndpointsArgs
from components.exports import export_outputs
from components.fargate import Fargate, FargateArgs
from components.headroom import Headroom, HeadroomArgs
from components.inference_endpoints import InferenceEndpoints, InferenceEndpointsArgs
from components.karpenter import Karpenter, KarpenterArgs
from components.labels import Labels
from components.load_balancing import LoadBalancing, LoadBalancingArgs
from components.metrics_adapter import MetricsAdapter, MetricsAdapterArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.node_pools import NodePools, NodePoolsArgs
from components.packaging import Packaging, PackagingArgs
from components.peerings import Peerings, PeeringsArgs
from components.pipelines import Pipelines, PipelinesArgs
from components.pod_network import PodNetwork, PodNetworkArgs
from components.priorities import Priorities, PrioritiesArgs
from components.priority_levels import LEVELS
from components.registry import ModelRegistry, ModelRegistryArgs
from components.releasing import Releasing, ReleasingArgs
from components.retraining import Retraining, RetrainingArgs
from components.rollouts import Rollouts, RolloutsArgs
from components.serving import Serving, ServingArgs
from components.storage import Storage, StorageArgs
from components.store import ArtifactStore, ArtifactStoreArgs
from components.studio import Studio, StudioArgs
from components.tenancy import Tenancy, TenancyArgs
from components.tracking import Tracking, TrackingArgs
from components.training import Training, TrainingArgs
from operations.teardown import orderly_end
from settings.load import load_settings

settings = load_settings()
environment = settings.environment
labels = Labels(environment)
protect = environment.protect_data
before_delete = orderly_end(environment, labels.cluster)

aws_provider = aws.Provider(
    "aws",
    region=environment.region,
    allowed_account_ids=[environment.account_id],
    default_tags=aws.ProviderDefaultTagsArgs(tags=labels.tags),
)
on_aws = pulumi.ResourceOptions(providers=[aws_provider])

MonthlyBudget("budget", MonthlyBudgetArgs(labels=labels, spec=settings.budget), opts=on_aws)
store = ArtifactStore(
    "store",
    ArtifactStoreArgs(
        labels=labels,
        spec=settings.store,
        models=settings.models,
        promotes_to=settings.registry.promotes_to,
        lustre=settings.storage.lustre is not None,
        protect=protect,
    ),
    opts=on_aws,
)
key_arn = store.handle.key_arn

alarms = Alarms("alarms", AlarmsArgs(labels=labels, spec=settings.alarms, store=store.handle), opts=on_aws)

network = Network(
    "network",
    NetworkArgs(labels=labels, spec=settings.network, key_arn=key_arn, protect=protect, before_delete=before_delete),
    opts=on_aws,
)
endpoints = Endpoints(
    "endpoints",
    EndpointsArgs(labels=labels, spec=settings.network, network=network.handle),
    opts=on_aws,
)
cluster = Cluster(
    "cluster",
    ClusterArgs(labels=labels, spec=settings.cluster, network=network.handle, key_arn=key_arn, protect=protect),
    opts=on_aws,
)
on_both = pulumi.ResourceOptions(providers=[aws_provider, cluster.handle.kubernetes])

pod_network = PodNetwork(
    "pod-network",
    PodNetworkArgs(labels=labels, versions=settings.cluster.addons, cluster=cluster.handle),
    opts=on_aws,
)
pools = NodePools(
    "pools",
    NodePoolsArgs(
        labels=labels,
        pools=settings.node_pools,
        accelerators=settings.accelerators,
        cluster=cluster.handle,
        network=network.handle,
        key_arn=key_arn,
        after=(*pod_network.handle.ready, *network.handle.ready, *endpoints.handle.ready),
    ),
    opts=on_aws,
)
Addons(
    "addons",
    AddonsArgs(versions=settings.cluster.addons, cluster=cluster.handle, pools=pools.handle),
    opts=on_aws,
)
storage = Storage(
    "storage",
    StorageArgs(
        labels=labels,
        spec=settings.storage,
        ebs_version=settings.cluster.addons.ebs_csi,
        cluster=cluster.handle,
        pools=pools.handle,
        network=network.handle,
        key_arn=key_arn,
        protect=protect,
    ),
    opts=on_both,
)
monitoring = Monitoring(
    "monitoring",
    MonitoringArgs(
        labels=labels,
        spec=settings.monitoring,
        charts=settings.charts,
        cluster=settings.cluster,
        network=settings.network,
        pod_network=pod_network.handle,
        pools=pools.handle,
        storage_class=storage.handle.default_class,
        storage_ready=storage.handle.ready,
    ),
    opts=on_both,
)
CloudWatch(
    "cloudwatch",
    CloudWatchArgs(
        labels=labels,
        spec=settings.monitoring.cloud_watch,
        cluster_spec=settings.cluster,
        network=settings.network,
        cluster=cluster.handle,
        pod_network=pod_network.handle,
        pools=pools.handle,
        key_arn=key_arn,
    ),
    opts=on_both,
)
karpenter = Karpenter(
    "karpenter",
    KarpenterArgs(
        labels=labels,
        spec=settings.karpenter,
        accelerators=settings.accelerators,
        chart=settings.charts.karpenter,
        cluster=cluster.handle,
        pools=pools.handle,
        key_arn=key_arn,
        before_delete=before_delete,
        monitor_crds=monitoring.handle.crds,
    ),
    opts=on_both,
)
Accelerators(
    "accelerators",
    AcceleratorsArgs(
        spec=settings.accelerators,
        charts=settings.charts,
        cluster=settings.cluster,
        network=settings.network,
        pod_network=pod_network.handle,
        pools=pools.handle,
        monitor_crds=monitoring.handle.crds,
    ),
    opts=on_both,
)
load_balancing = LoadBalancing(
    "load-balancing",
    LoadBalancingArgs(
        labels=labels,
        spec=settings.load_balancing,
        chart=settings.charts.aws_load_balancer_controller,
        cluster=cluster.handle,
        pools=pools.handle,
        models=settings.models,
        log_bucket=store.handle.logs_bucket,
        before_delete=before_delete,
    ),
    opts=on_both,
)
domains = Domains(
    "domains",
    DomainsArgs(
        labels=labels,
        spec=settings.domains,
        charts=settings.charts,
        cluster=cluster.handle,
        pools=pools.handle,
        ingress_class=load_balancing.handle.ingress_class,
        resolver=str(settings.network.cidr[2]),
    ),
    opts=on_both,
)
priorities = Priorities("priorities", PrioritiesArgs(levels=LEVELS), opts=on_both)
Headroom(
    "headroom",
    HeadroomArgs(
        spec=settings.karpenter,
        kubernetes_version=settings.cluster.version,
        priorities=priorities.handle,
        pod_network=pod_network.handle,
        karpenter=karpenter.handle,
    ),
    opts=on_both,
)
tenancy = Tenancy(
    "tenancy",
    TenancyArgs(
        labels=labels,
        teams=settings.teams,
        models=settings.models,
        store=settings.store,
        network=settings.network,
        kubernetes_version=settings.cluster.version,
        key_arn=key_arn,
        cluster=cluster.handle,
        protect=protect,
        after=(*pod_network.handle.ready, *storage.handle.ready, *load_balancing.handle.ready),
    ),
    opts=on_both,
)
fargate = Fargate(
    "fargate",
    FargateArgs(
        labels=labels,
        spec=settings.fargate,
        kubernetes_version=settings.cluster.version,
        cluster=cluster.handle,
        network=network.handle,
        key_arn=key_arn,
        after=tenancy.handle.ready,
    ),
    opts=on_both,
)
Peerings(
    "peerings",
    PeeringsArgs(
        labels=labels,
        spec=settings.network,
        network=network.handle,
        endpoints=endpoints.handle,
        cluster=cluster.handle,
        fargate=fargate.handle,
    ),
    opts=on_aws,
)
training = Training(
    "training",
    TrainingArgs(
        labels=labels, models=settings.models, store=store.handle, network=network.handle, endpoints=endpoints.handle
    ),
    opts=on_aws,
)
Studio(
    "studio",
    StudioArgs(
        labels=labels,
        spec=settings.studio,
        models=settings.models,
        store=store.handle,
        network=network.handle,
        endpoints=endpoints.handle,
        protect=protect,
    ),
    opts=on_aws,
)
registry = ModelRegistry(
    "registry",
    ModelRegistryArgs(
        labels=labels,
        models=settings.models,
        promotes_to=settings.registry.promotes_to,
        store=store.handle,
        network=network.handle,
        endpoints=endpoints.handle,
    ),
    opts=on_aws,
)
Approval(
    "approval",
    ApprovalArgs(labels=labels, spec=settings.registry, models=settings.models, store=store.handle),
    opts=on_aws,
)
packaging = Packaging(
    "packaging",
    PackagingArgs(
        labels=labels,
        spec=settings.packaging,
        models=settings.models,
        store=store.handle,
        network=network.handle,
    ),
    opts=on_aws,
)
pipelines = Pipelines(
    "pipelines",
    PipelinesArgs(
        labels=labels,
        models=settings.models,
        store=store.handle,
        network=network.handle,
        training=training.handle,
        registry=registry.handle,
    ),
    opts=on_aws,
)
rollouts = Rollouts(
    "rollouts",
    RolloutsArgs(
        labels=labels,
        spec=settings.rollouts,
        chart=settings.charts.argo_rollouts,
        models=settings.models,
        cluster_spec=settings.cluster,
        network=settings.network,
        cluster=cluster.handle,
        pod_network=pod_network.handle,
        pools=pools.handle,
        monitoring=monitoring.handle,
        tenancy=tenancy.handle,
    ),
    opts=on_both,
)
Releasing(
    "releasing",
    ReleasingArgs(
        labels=labels,
        spec=settings.rollouts,
        models=settings.models,
        store=store.handle,
        network=network.handle,
        cluster=cluster.handle,
        packaging=packaging.handle,
        tenancy=tenancy.handle,
        alarms=alarms.handle,
    ),
    opts=on_both,
)
Retraining(
    "retraining",
    RetrainingArgs(
        labels=labels,
        spec=settings.retraining,
        models=settings.models,
        store=store.handle,
        packaging=packaging.handle,
        alarms=alarms.handle,
        protect=protect,
    ),
    opts=on_aws,
)
Tracking(
    "tracking",
    TrackingArgs(
        labels=labels, spec=settings.tracking, models=settings.models, store=store.handle, alarms=alarms.handle
    ),
    opts=on_aws,
)
Drift(
    "drift",
    DriftArgs(
        labels=labels,
        models=settings.models,
        store=store.handle,
        network=network.handle,
        training=training.handle,
        alarms=alarms.handle,
        log_retention_days=settings.retraining.log_retention_days,
    ),
    opts=on_aws,
)
MetricsAdapter(
    "metrics",
    MetricsAdapterArgs(
        spec=settings.monitoring,
        chart=settings.charts.prometheus_adapter,
        models=settings.models,
        cluster_spec=settings.cluster,
        network=settings.network,
        pod_network=pod_network.handle,
        pools=pools.handle,
        monitoring=monitoring.handle,
        tenancy=tenancy.handle,
    ),
    opts=on_both,
)
serving = Serving(
    "serving",
    ServingArgs(
        labels=labels,
        models=settings.models,
        monitor_crds=monitoring.handle.crds,
        load_balancing=load_balancing.handle,
        domains=domains.handle,
        priorities=priorities.handle,
        karpenter=karpenter.handle,
        tenancy=tenancy.handle,
        rollouts=rollouts.handle,
        cluster=cluster.handle,
        key_arn=store.handle.key_arn,
    ),
    opts=on_both,
)
inference = InferenceEndpoints(
    "inference",
    InferenceEndpointsArgs(
        labels=labels,
        models=settings.models,
        store=store.handle,
        registry=registry.handle,
        alarms=alarms.handle,
    ),
    opts=on_aws,
)
batches = BatchTransforms(
    "batches",
    BatchTransformsArgs(labels=labels, models=settings.models, store=store.handle, registry=registry.handle),
    opts=on_aws,
)

export_outputs(
    settings,
    store=store.handle,
    cluster=cluster.handle,
    tenancy=tenancy.handle,
    training=training.handle,
    registry=registry.handle,
    packaging=packaging.handle,
    pipelines=pipelines.handle,
    serving=serving.handle,
    inference=inference.handle,
    batches=batches.handle,
)
