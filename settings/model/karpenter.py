"""Karpenter and its node pools."""

from typing import Annotated, Literal

from pydantic import Field

from settings.instances import Architecture
from settings.model.base import Capacity, Name, PoolRole, Section
from settings.model.patterns import AMI_ALIAS, BUDGET_NODES, CRON, PINNED_IMAGE, TAINT_KEY, TAINT_VALUE


class LimitsSpec(Section):
    """What all nodes of an elastic pool together may have; Karpenter starts none beyond it."""

    cpu: Annotated[int, Field(ge=1, le=100_000)]
    """Processors."""
    memory_gib: Annotated[int, Field(ge=1, le=1_000_000)]
    """Memory, GiB."""
    gpus: Annotated[int, Field(ge=0, le=10_000)]
    """GPUs as EC2 counts them, however many pods share one; 0 exactly for roles without GPUs."""


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
    role: Literal[PoolRole.CPU, PoolRole.GPU, PoolRole.NEURON]
    """`gpu` nodes take only pods that ask for a GPU, `neuron` nodes only those that ask for a Neuron device."""
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


class HeadroomPoolSpec(Section):
    """Room that is kept free on the nodes of one elastic pool, as placeholder pods that any other pod displaces."""

    pool: Name
    """Name of the elastic pool."""
    replicas: Annotated[int, Field(ge=1, le=100)]
    """Placeholder pods; each displaced one waits for a new node, which is the next burst's."""
    cpu_millis: Annotated[int, Field(ge=10, le=200_000)]
    """Thousandths of a processor that each placeholder keeps free."""
    memory_mib: Annotated[int, Field(ge=16, le=2_000_000)]
    """Memory that each placeholder keeps free, MiB."""
    gpus: Annotated[int, Field(ge=0, le=16)]
    """GPUs that each placeholder keeps free; 0 exactly for role cpu."""


class HeadroomSpec(Section):
    """Room that is paid for and kept free, so that a burst finds a node that is there already."""

    image: Annotated[str, Field(pattern=PINNED_IMAGE, max_length=255)]
    """Image of the placeholder pods, which does nothing."""
    pools: tuple[HeadroomPoolSpec, ...] = Field(strict=False)
    """How much on which pool; empty for none."""


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
    headroom: HeadroomSpec
    """Room that the pools keep free for a burst."""
