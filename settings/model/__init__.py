"""The shape of a stack file: every section that the platform reads, typed and frozen.

A section is one configuration key of `Pulumi.<stack>.yaml` (`slipway:network`, `slipway:cluster`, …). Keys are
camelCase in the file and snake_case here. Nothing that costs money, exposes something or destroys data has a default:
the stack file decides. Bounds that one value alone can break are declared here; what relates two values is in
`settings.rules`.
"""

import hashlib
import json

from pydantic import Field

from settings.model.accelerators import AcceleratorsSpec, EfaPoolSpec, GpuProfileSpec
from settings.model.alarms import AlarmsSpec
from settings.model.algorithm import AlgorithmSpec, BuiltInSpec, OwnSpec, ScriptSpec
from settings.model.base import (
    AccountId,
    AddonVersion,
    Capacity,
    Cidr,
    DataClassification,
    ImageDigest,
    LogRetentionDays,
    ModelData,
    Name,
    Partition,
    PoolRole,
    Region,
    RoleArn,
    Section,
    Zone,
)
from settings.model.card import CardSpec
from settings.model.charts import ChartSpec, ChartsSpec
from settings.model.cluster import AddonVersions, ClusterSpec, NodePoolSpec
from settings.model.domains import CertificatesSpec, DomainsSpec, HostedZoneSpec, RecordsSpec
from settings.model.drift import DataDriftSpec, DriftSpec, PredictionDriftSpec, QualityDriftSpec
from settings.model.fargate import FargateProfileSpec, FargateSpec, SelectorSpec
from settings.model.foundation import EnvironmentSpec, NatGateways, NetworkSpec, StoreSpec
from settings.model.karpenter import (
    BudgetSpec,
    ConsolidationSpec,
    ElasticPoolSpec,
    HeadroomPoolSpec,
    HeadroomSpec,
    KarpenterSpec,
    LimitsSpec,
    TaintSpec,
)
from settings.model.load_balancing import LoadBalancingSpec, Scheme
from settings.model.models import (
    ApprovedSpec,
    ChampionSpec,
    DataSpec,
    GateSpec,
    HyperparametersSpec,
    ModelSpec,
    PipelineSpec,
    TrainingSpec,
)
from settings.model.monitoring import AlertmanagerSpec, CloudWatchSpec, GrafanaSpec, MetricsAdapterSpec, MonitoringSpec
from settings.model.packaging import PackagingSpec
from settings.model.patterns import NAME, PATTERNS
from settings.model.peering import PeeringSpec
from settings.model.processing import ProcessingSpec
from settings.model.registry import NeighbourSpec, OriginSpec, RegistrySpec
from settings.model.retraining import ModelRetrainingSpec, NewDataSpec, RetrainingSpec, ScheduleSpec
from settings.model.serving import ServingSpec, Target
from settings.model.serving_eks import (
    AutoscalingSpec,
    CaptureSpec,
    EksServingSpec,
    FrontEndSpec,
    ObjectivesSpec,
    RequestTargetSpec,
    ServerPodSpec,
)
from settings.model.serving_rollout import (
    JudgementSpec,
    PodRolloutSpec,
    ReleasesSpec,
    RolloutControllerSpec,
    RolloutsSpec,
    VariantSpec,
)
from settings.model.serving_sagemaker import (
    AsynchronousSpec,
    BatchSpec,
    ContainerSpec,
    HostingSpec,
    RealTimeSpec,
    RequestsSpec,
    RolloutSpec,
    ScalingSpec,
    ServerlessSpec,
)
from settings.model.spending import SpendingSpec
from settings.model.storage import (
    BucketVolumeSpec,
    EfsSpec,
    LustreSpec,
    MountpointSpec,
    SecretFilesSpec,
    StorageSpec,
)
from settings.model.studio import StudioDomainSpec, StudioSpec
from settings.model.tenancy import (
    AccessSpec,
    BucketAccessSpec,
    ContainerLimitsSpec,
    NamespaceSpec,
    QuotaSpec,
    SecretSpec,
    TeamSpec,
)
from settings.model.tracking import TrackingAppSpec, TrackingSpec
from settings.model.tuning import ChoiceSpec, RangeSpec, TuningSpec

__all__ = [
    "NAME",
    "PATTERNS",
    "AcceleratorsSpec",
    "AccessSpec",
    "AccountId",
    "AddonVersion",
    "AddonVersions",
    "AlarmsSpec",
    "AlertmanagerSpec",
    "AlgorithmSpec",
    "ApprovedSpec",
    "AsynchronousSpec",
    "AutoscalingSpec",
    "BatchSpec",
    "BucketAccessSpec",
    "BucketVolumeSpec",
    "BudgetSpec",
    "BuiltInSpec",
    "Capacity",
    "CaptureSpec",
    "CardSpec",
    "CertificatesSpec",
    "ChampionSpec",
    "ChartSpec",
    "ChartsSpec",
    "ChoiceSpec",
    "Cidr",
    "CloudWatchSpec",
    "ClusterSpec",
    "ConsolidationSpec",
    "ContainerLimitsSpec",
    "ContainerSpec",
    "DataClassification",
    "DataDriftSpec",
    "DataSpec",
    "DomainsSpec",
    "DriftSpec",
    "EfaPoolSpec",
    "EfsSpec",
    "EksServingSpec",
    "ElasticPoolSpec",
    "EnvironmentSpec",
    "FargateProfileSpec",
    "FargateSpec",
    "FrontEndSpec",
    "GateSpec",
    "GpuProfileSpec",
    "GrafanaSpec",
    "HeadroomPoolSpec",
    "HeadroomSpec",
    "HostedZoneSpec",
    "HostingSpec",
    "HyperparametersSpec",
    "ImageDigest",
    "JudgementSpec",
    "KarpenterSpec",
    "LimitsSpec",
    "LoadBalancingSpec",
    "LogRetentionDays",
    "LustreSpec",
    "MetricsAdapterSpec",
    "ModelData",
    "ModelRetrainingSpec",
    "ModelSpec",
    "MonitoringSpec",
    "MountpointSpec",
    "Name",
    "NamespaceSpec",
    "NatGateways",
    "NeighbourSpec",
    "NetworkSpec",
    "NewDataSpec",
    "NodePoolSpec",
    "ObjectivesSpec",
    "OriginSpec",
    "OwnSpec",
    "PackagingSpec",
    "Partition",
    "PeeringSpec",
    "PipelineSpec",
    "PodRolloutSpec",
    "PoolRole",
    "PredictionDriftSpec",
    "ProcessingSpec",
    "QualityDriftSpec",
    "QuotaSpec",
    "RangeSpec",
    "RealTimeSpec",
    "RecordsSpec",
    "Region",
    "RegistrySpec",
    "ReleasesSpec",
    "RequestTargetSpec",
    "RequestsSpec",
    "RetrainingSpec",
    "RoleArn",
    "RolloutControllerSpec",
    "RolloutSpec",
    "RolloutsSpec",
    "ScalingSpec",
    "ScheduleSpec",
    "Scheme",
    "ScriptSpec",
    "SecretFilesSpec",
    "SecretSpec",
    "Section",
    "SelectorSpec",
    "ServerPodSpec",
    "ServerlessSpec",
    "ServingSpec",
    "Settings",
    "SpendingSpec",
    "StorageSpec",
    "StoreSpec",
    "StudioDomainSpec",
    "StudioSpec",
    "TaintSpec",
    "Target",
    "TeamSpec",
    "TrackingAppSpec",
    "TrackingSpec",
    "TrainingSpec",
    "TuningSpec",
    "VariantSpec",
    "Zone",
]


class Settings(Section):
    """Everything that one stack file decides."""

    environment: EnvironmentSpec
    """Where the stack lives and who answers for it."""
    network: NetworkSpec
    """The VPC and its address plan."""
    store: StoreSpec
    """Encryption key, buckets and image repositories."""
    cluster: ClusterSpec
    """The EKS control plane."""
    node_pools: tuple[NodePoolSpec, ...] = Field(strict=False, min_length=1)
    """Managed node groups, exactly one of them for the system."""
    charts: ChartsSpec
    """Every Helm chart that runs in the cluster."""
    karpenter: KarpenterSpec
    """Karpenter and its node pools."""
    budget: SpendingSpec
    """What the environment may cost."""
    alarms: AlarmsSpec
    """Who hears of alarms."""
    load_balancing: LoadBalancingSpec
    """The load balancer controller, and what every load balancer has to be."""
    accelerators: AcceleratorsSpec
    """GPUs and other accelerators."""
    domains: DomainsSpec
    """Hosted zones, and what the cluster writes to them."""
    monitoring: MonitoringSpec
    """Metrics: how they are gathered, kept and shown."""
    storage: StorageSpec
    """Volumes for workloads."""
    fargate: FargateSpec
    """Pods without nodes."""
    teams: tuple[TeamSpec, ...] = Field(strict=False, min_length=1)
    """Teams that share the cluster, with their namespaces."""
    registry: RegistrySpec
    """Who approves versions of models, and between which environments they travel."""
    packaging: PackagingSpec
    """Images of approved versions."""
    rollouts: RolloutsSpec
    """What carries out rollouts in the cluster."""
    studio: StudioSpec
    """Notebooks."""
    retraining: RetrainingSpec
    """What decides when models are trained again."""
    tracking: TrackingSpec
    """Experiment tracking."""
    models: tuple[ModelSpec, ...] = Field(strict=False)
    """Models to train and serve; may be empty."""

    @property
    def digest(self) -> str:
        """SHA-256 of the settings as canonical JSON, in hexadecimal; the layout of the file does not change it."""
        canonical = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
