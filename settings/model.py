"""The shape of a stack file: every section that the platform reads, typed and frozen.

A section is one configuration key of `Pulumi.<stack>.yaml` (`slipway:network`, `slipway:cluster`, …). Keys are
camelCase in the file and snake_case here. Nothing that costs money, exposes something or destroys data has a default:
the stack file decides. Bounds that one value alone can break are declared here; what relates two values is in
`settings.rules`.
"""

import hashlib
import json
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from settings.instances import Architecture
from settings.versions import KubernetesVersion

NAME: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
ACCOUNT_ID: Final = r"^\d{12}$"
REGION: Final = r"^[a-z]{2}(-[a-z]+)+-\d$"
ZONE: Final = r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$"
ROLE_ARN: Final = r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$"
DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
MODEL_DATA: Final = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(.+/)?model\.tar\.gz$"
TAG_VALUE: Final = r"^[A-Za-z0-9][A-Za-z0-9 _.:/=+@-]*$"
ADDON_VERSION: Final = r"^v\d+\.\d+\.\d+-eksbuild\.\d+$"
TRAINING_INSTANCE: Final = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
PREFIX: Final = r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*/$"
CIDR: Final = r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$"
COLUMN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
NAMESPACE: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
CHART_REPOSITORY: Final = r"^(oci|https)://[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*$"
CHART_VERSION: Final = r"^\d+\.\d+\.\d+$"
AMI_ALIAS: Final = r"^al2023@v\d{8}$"
BUDGET_NODES: Final = r"^((100|[1-9]?\d)%|\d+)$"
CRON: Final = r"^[\d*/,-]+ [\d*/,-]+ [\d*/,-]+ [\dA-Za-z*/,-]+ [\dA-Za-z*/,-]+$"
TAINT_KEY: Final = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
TAINT_VALUE: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

PATTERNS: Final[dict[str, str]] = {
    NAME: "lower-case letters, digits and single hyphens, starting with a letter, such as flight-delay",
    ACCOUNT_ID: 'twelve digits in quotes, such as "111122223333"',
    REGION: "the code of an AWS region, such as eu-central-1",
    ZONE: "the name of an availability zone, such as eu-central-1a",
    ROLE_ARN: "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/platform-admin",
    DIGEST: "sha256: and 64 hexadecimal digits",
    MODEL_DATA: "an S3 address that ends in model.tar.gz, such as s3://bucket/flight-delay/7/model.tar.gz",
    TAG_VALUE: "letters, digits, spaces and _ . : / = + - @, which AWS allows in a tag",
    ADDON_VERSION: "an exact EKS add-on version, such as v1.22.4-eksbuild.3",
    TRAINING_INSTANCE: "a SageMaker instance type, such as ml.m5.xlarge",
    PREFIX: "lower-case path segments, each followed by a slash, such as flight-delay/",
    CIDR: "an IPv4 range in CIDR notation, such as 10.0.0.0/16",
    COLUMN: "letters, digits and underscores, not starting with a digit, such as late",
    NAMESPACE: "a DNS label: lower-case letters, digits and hyphens, at most 63, such as inference",
    CHART_REPOSITORY: "a chart repository without the chart's name, such as oci://registry.example.com/team",
    CHART_VERSION: "one exact chart version, such as 1.14.1",
    AMI_ALIAS: "one release of the image, such as al2023@v20260818; never @latest, which replaces nodes by itself",
    BUDGET_NODES: "a share such as 10%, or a number of nodes such as 1",
    CRON: "five fields of a cron schedule in UTC: minute, hour, day, month and weekday, such as 0 8 * * 1-5",
    TAINT_KEY: "a label key, such as example.com/team",
    TAINT_VALUE: "a label value: letters, digits and . _ -, at most 63, such as research",
}
"""What each pattern of this module asks for, in words and with an example."""

Name = Annotated[str, Field(pattern=NAME, max_length=32)]
"""A name that becomes part of physical names: lower case, digits and single hyphens, at most 32 characters."""

AccountId = Annotated[str, Field(pattern=ACCOUNT_ID)]
Region = Annotated[str, Field(pattern=REGION)]
Zone = Annotated[str, Field(pattern=ZONE)]
RoleArn = Annotated[str, Field(pattern=ROLE_ARN)]
ImageDigest = Annotated[str, Field(pattern=DIGEST)]
ModelData = Annotated[str, Field(pattern=MODEL_DATA)]
AddonVersion = Annotated[str, Field(pattern=ADDON_VERSION)]


def _text_of_a_range(value: object) -> object:
    """Let only text and ready networks through: `ipaddress` would take a bare number for one address."""
    if isinstance(value, (str, IPv4Network)):
        return value
    raise PydanticCustomError("string_type", "Input should be a valid string")


Cidr = Annotated[
    IPv4Network,
    Field(strict=False),
    BeforeValidator(_text_of_a_range),
    WithJsonSchema({"type": "string", "pattern": CIDR}),
]
"""An IPv4 range in CIDR notation; the address is the network's own (no host bits)."""

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The values that CloudWatch Logs accepts (PutRetentionPolicy), in days."""


class Section(BaseModel):
    """Base of every section: frozen, strict about types, refusing unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class Partition(StrEnum):
    """AWS partition; the second field of every ARN."""

    AWS = "aws"
    CHINA = "aws-cn"
    GOV_CLOUD = "aws-us-gov"


class DataClassification(StrEnum):
    """Most sensitive class of data that the environment may hold; a required tag."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"


class NatGateways(StrEnum):
    """How private subnets reach the internet."""

    SINGLE = "single"
    PER_ZONE = "per-zone"


class Capacity(StrEnum):
    """Purchase option of a node pool."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


class PoolRole(StrEnum):
    """What a managed node group is for; decides its labels and taints."""

    SYSTEM = "system"
    CPU = "cpu"
    GPU = "gpu"


class EnvironmentSpec(Section):
    """Where the stack lives and who answers for it."""

    name: Annotated[str, Field(pattern=NAME, max_length=12)]
    """Name of the environment in physical names and in the `Environment` tag."""
    account_id: AccountId
    """The only AWS account that this stack may touch; the provider refuses any other."""
    partition: Partition
    """AWS partition of the account."""
    region: Region
    """The only region that this stack uses."""
    owner: Annotated[str, Field(pattern=TAG_VALUE, min_length=3, max_length=128)]
    """Team or address that answers for the environment; the `Owner` tag."""
    cost_center: Name
    """Cost allocation; the `CostCenter` tag."""
    data_classification: DataClassification
    """The `DataClassification` tag."""
    protect_data: bool
    """Pulumi `protect` on what cannot be made again: key, buckets, image repositories, cluster."""


class NetworkSpec(Section):
    """The VPC and its address plan."""

    cidr: Cidr
    """Private IPv4 range of the VPC, /16 to /20."""
    zones: tuple[Zone, ...] = Field(strict=False, min_length=2, max_length=4)
    """Availability zones, at least two (EKS needs two for the control plane)."""
    public_prefix: Annotated[int, Field(ge=20, le=27)]
    """Prefix length of each public subnet (load balancers and NAT gateways only); an ALB asks for /27 or wider."""
    private_prefix: Annotated[int, Field(ge=18, le=26)]
    """Prefix length of each private subnet (nodes, pods, SageMaker)."""
    nat_gateways: NatGateways
    """`single` saves money and loses all zones with one; `per-zone` survives a zone."""
    flow_log_retention_days: LogRetentionDays
    """How long VPC flow logs are kept."""
    interface_endpoints: tuple[str, ...] = Field(strict=False)
    """AWS services reached through PrivateLink, by the service's own name (`ecr.api`, `sagemaker.runtime`, …)."""


class StoreSpec(Section):
    """Encryption key, buckets and image repositories."""

    key_deletion_days: Annotated[int, Field(ge=7, le=30)]
    """Waiting period before a deleted KMS key is gone."""
    noncurrent_version_days: Annotated[int, Field(ge=1, le=3650)]
    """How long an overwritten or deleted object version is kept."""
    access_log_days: Annotated[int, Field(ge=1, le=3650)]
    """How long S3 server access logs are kept."""
    untagged_image_days: Annotated[int, Field(ge=1, le=365)]
    """How long an image that no tag names is kept."""
    force_destroy: bool
    """Whether destroying the stack may delete objects and images that are still there."""


class AddonVersions(Section):
    """Exact versions of the EKS add-ons that the cluster needs before it is usable."""

    vpc_cni: AddonVersion
    """Amazon VPC CNI; network policies are enforced by its agent."""
    kube_proxy: AddonVersion
    """kube-proxy; same minor version as the control plane."""
    coredns: AddonVersion
    """CoreDNS."""


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
    """`system` carries controllers, `cpu` and `gpu` carry workloads."""
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


class LimitsSpec(Section):
    """What all nodes of an elastic pool together may have; Karpenter starts none beyond it."""

    cpu: Annotated[int, Field(ge=1, le=100_000)]
    """Processors."""
    memory_gib: Annotated[int, Field(ge=1, le=1_000_000)]
    """Memory, GiB."""
    gpus: Annotated[int, Field(ge=0, le=10_000)]
    """GPUs; 0 exactly for role cpu."""


class TaintSpec(Section):
    """A taint: only pods that tolerate it run on the node."""

    key: Annotated[str, Field(pattern=TAINT_KEY, max_length=253)]
    """Key of the taint."""
    value: Annotated[str, Field(pattern=TAINT_VALUE)]
    """Value of the taint."""


class ConsolidationSpec(Section):
    """When Karpenter removes nodes, or replaces several by fewer."""

    policy: Literal["WhenEmpty", "WhenEmptyOrUnderutilized"]
    """`WhenEmpty` never moves a running pod; `WhenEmptyOrUnderutilized` moves pods to save nodes."""
    after_minutes: Annotated[int, Field(ge=1, le=1440)]
    """Time without a pod coming or going before a node counts."""


class BudgetSpec(Section):
    """How many nodes of a pool Karpenter may take out at the same time; the strictest active budget counts."""

    nodes: Annotated[str, Field(pattern=BUDGET_NODES)]
    """Share or number of the pool's nodes; 0 takes out none."""
    reasons: tuple[Literal["Underutilized", "Empty", "Drifted"], ...] = Field(strict=False, max_length=3)
    """What the budget is for; empty for every reason."""
    schedule: Annotated[str, Field(pattern=CRON)] | None
    """When the budget begins to hold, cron in UTC; null for always."""
    duration_hours: Annotated[int, Field(ge=1, le=168)] | None
    """How long it then holds; null exactly when it holds always."""


class ElasticPoolSpec(Section):
    """One Karpenter NodePool: nodes come when pods wait, and go when they are not needed."""

    name: Name
    """Name of the pool; no other pool, managed or elastic, has it."""
    role: Literal[PoolRole.CPU, PoolRole.GPU]
    """`gpu` nodes take only pods that ask for a GPU."""
    capacity: tuple[Capacity, ...] = Field(strict=False, min_length=1, max_length=2)
    """Purchase options; with both, spot is taken first and on-demand when there is none. Nodes of a pool that may be \
spot take only pods that tolerate it."""
    architecture: Architecture
    """Processor architecture; the images of the pods decide."""
    instance_families: tuple[str, ...] = Field(strict=False, min_length=1, max_length=20)
    """EC2 instance families; a pool that may be spot needs at least three."""
    instance_sizes: tuple[str, ...] = Field(strict=False, min_length=1, max_length=12)
    """Sizes of these families that may be started, such as 2xlarge."""
    weight: Annotated[int, Field(ge=1, le=100)]
    """Where a pod fits several pools, the one with the highest weight gets it."""
    limits: LimitsSpec
    """What all nodes together may have."""
    disk_gib: Annotated[int, Field(ge=20, le=16384)]
    """Size of the encrypted gp3 root volume, GiB."""
    taints: tuple[TaintSpec, ...] = Field(strict=False, max_length=10)
    """Taints beyond those that role and capacity bring."""
    expire_after_hours: Annotated[int, Field(ge=24, le=2160)]
    """A node is drained at this age, whatever the budgets say: no node misses patches for longer."""
    termination_grace_hours: Annotated[int, Field(ge=1, le=120)]
    """How long a node that goes waits for its pods; then they are stopped, even where a budget of their own says no."""
    consolidation: ConsolidationSpec
    """When nodes that are not needed go."""
    budgets: tuple[BudgetSpec, ...] = Field(strict=False, min_length=1, max_length=50)
    """How many nodes may go at once, at least one budget without a schedule."""


class KarpenterSpec(Section):
    """Karpenter and its node pools."""

    replicas: Annotated[int, Field(ge=2, le=5)]
    """Controller pods, each on a system node of its own; one leads, the others take over."""
    cpu_millis: Annotated[int, Field(ge=100, le=8000)]
    """Thousandths of a processor that a controller pod reserves."""
    memory_mib: Annotated[int, Field(ge=256, le=32_768)]
    """Memory that a controller pod reserves, and may use at most, MiB."""
    ami_alias: Annotated[str, Field(pattern=AMI_ALIAS)]
    """Release of the EKS machine image; a change replaces the nodes, as the budgets allow."""
    pools: tuple[ElasticPoolSpec, ...] = Field(strict=False, min_length=1)
    """The elastic pools."""


class HyperparametersSpec(Section):
    """XGBoost hyperparameters of a training job, by XGBoost's own names."""

    model_config = ConfigDict(alias_generator=None)

    num_round: Annotated[int, Field(ge=1, le=100_000)]
    """Boosting rounds at most."""
    max_depth: Annotated[int, Field(ge=1, le=32)]
    """Depth of a tree at most."""
    eta: Annotated[float, Field(gt=0, le=1)]
    """Learning rate."""
    subsample: Annotated[float, Field(gt=0, le=1)]
    """Share of rows that each round sees."""
    colsample_bytree: Annotated[float, Field(gt=0, le=1)]
    """Share of columns that each tree sees."""
    min_child_weight: Annotated[float, Field(ge=0)]
    """Smallest sum of instance weights in a leaf."""
    early_stopping_rounds: Annotated[int, Field(ge=1, le=1000)]
    """Rounds without a better validation metric before training stops."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)]
    """Seed of every random choice."""


class TrainingSpec(Section):
    """One SageMaker training job of a model."""

    instance_type: Annotated[str, Field(pattern=TRAINING_INSTANCE)]
    """SageMaker instance type."""
    instance_count: Annotated[int, Field(ge=1, le=16)]
    """Training hosts."""
    volume_gib: Annotated[int, Field(ge=1, le=16384)]
    """Encrypted storage volume of each host, GiB."""
    max_runtime_seconds: Annotated[int, Field(ge=60, le=432_000)]
    """The job is stopped after this time."""
    spot: bool
    """Managed spot training; SageMaker then needs checkpoints and `maxWaitSeconds`."""
    max_wait_seconds: Annotated[int, Field(ge=60, le=432_000)] | None
    """Spot only: longest time from the start to the end, waiting for capacity included."""
    hyperparameters: HyperparametersSpec
    """Algorithm settings."""


class GateSpec(Section):
    """What a new model has to reach before it is registered."""

    metric: Literal["auc", "accuracy"]
    """Metric of the validation data, higher is better."""
    minimum: Annotated[float, Field(gt=0, lt=1)]
    """The metric has to exceed this value."""


class ApprovedSpec(Section):
    """An approved model package as it is deployed."""

    version: Annotated[int, Field(ge=1)]
    """Version of the model package."""
    image_digest: ImageDigest
    """Digest of the model image in this environment's repository."""
    model_data: ModelData
    """`model.tar.gz` of the training job."""


class ModelSpec(Section):
    """A model: adding an entry here adds its registry, its repository and its training; no Python changes."""

    name: Name
    """Name of the model; unique in the stack."""
    dataset_prefix: Annotated[str, Field(pattern=PREFIX, max_length=128)]
    """Prefix of the model's data in the data bucket, ending in a slash."""
    label: Annotated[str, Field(pattern=COLUMN, max_length=64)]
    """Column that the model predicts."""
    training: TrainingSpec
    """How it is trained."""
    gate: GateSpec
    """What it has to reach."""
    approved: ApprovedSpec | None
    """The version in service; null until one is approved."""


class NamespaceSpec(Section):
    """A Kubernetes namespace for workloads."""

    name: Annotated[str, Field(pattern=NAMESPACE)]
    """Name of the namespace."""
    workload_type: Literal["training", "inference"]
    """Value of the label `workload-type`."""
    cost_center: Name
    """Value of the label `cost-center`."""


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
    namespaces: tuple[NamespaceSpec, ...] = Field(strict=False, min_length=1)
    """Kubernetes namespaces for workloads."""
    models: tuple[ModelSpec, ...] = Field(strict=False)
    """Models to train and serve; may be empty."""

    @property
    def digest(self) -> str:
        """SHA-256 of the settings as canonical JSON, in hexadecimal; the layout of the file does not change it."""
        canonical = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
