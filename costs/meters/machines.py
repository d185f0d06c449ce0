"""Control plane, nodes and hosts of training."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from costs.band import Band
from costs.meters.base import HOURS, Context, Finding, Gap, Use, always
from costs.plan import items, mapping
from costs.usage import HOURS_PER_MONTH, Quantity
from settings.instances import Accelerator, accelerator
from settings.versions import STANDARD_SUPPORT_ENDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costs.meters.base import Meter
    from costs.plan import Planned
    from settings.model import ModelSpec

LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
NODE_CLASS: Final = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
SECONDS_PER_HOUR: Final = 3600
PROCESSING_STEPS: Final = ("Process", "Evaluate")
"""Steps of a pipeline that are processing jobs (`components.pipeline_definition`); `Adopt` after another algorithm."""

POOL_LABEL: Final = "slipway.dev/pool"
"""Node label with the pool's name (`components.labels`)."""

DETAILED_METRICS: Final = 7
"""Metrics per instance that EC2 sends every minute with detailed monitoring (EC2 user guide, "Manage detailed
monitoring"); each is paid as a metric of one's own."""


def cluster(resource: Planned, context: Context) -> Iterator[Finding]:
    """A control plane, by the hour; six times the price once its version is in extended support."""
    if "eks:index:Cluster$" in resource.urn:
        # A child of the component eks:index:Cluster, which is counted itself.
        return
    version = str(resource.inputs.get("version", ""))
    ends = next((day for name, day in STANDARD_SUPPORT_ENDS.items() if name == version), None)
    if ends is None:
        yield Gap(what="control plane", why=f"no end of standard support is known for Kubernetes {version}")
        return
    policy = mapping(resource.inputs.get("upgradePolicy"))
    stays = policy.get("supportType", "EXTENDED") == "EXTENDED"
    support = "extended" if stays and context.on > ends else "standard"
    yield always("control-plane", f"control plane, Kubernetes {version}, {support} support", f"eks.cluster.{support}")


def node_group(resource: Planned, context: Context) -> Iterator[Finding]:
    """Nodes of a managed pool: as many as it starts with, or its least and what is assumed beyond."""
    scaling, types = resource.inputs["scalingConfig"], items(resource.inputs.get("instanceTypes"))
    if not types:
        yield Gap(what="nodes", why="the node group names no instance type")
        return
    template = context.made_of(resource, "launchTemplate", LAUNCH_TEMPLATE)
    machine = _Machine(
        # EKS takes the first type that it can get for on-demand nodes; for spot the first stands for all.
        instance_type=types[0],
        spot=resource.inputs.get("capacityType") == "SPOT",
        disk_gib=_template_disk(template),
        monitored=bool(template and mapping(template.inputs.get("monitoring")).get("enabled")),
    )
    pool = str(mapping(resource.inputs.get("labels")).get(POOL_LABEL, resource.name))
    assumed = context.usage.of(Quantity.NODES, pool)
    if assumed is None:
        yield from machine.uses("nodes", Band.exactly(int(scaling["desiredSize"])))
        return
    key, assumption = assumed
    least = int(scaling["minSize"])
    yield from machine.uses("nodes", Band.exactly(least))
    yield from machine.uses("more-nodes", assumption.band.beyond(least), key)


def elastic_pool(resource: Planned, context: Context) -> Iterator[Finding]:
    """Nodes that Karpenter starts; the first family in the first size stands for all that the pool may start."""
    spec = resource.inputs["spec"]["template"]["spec"]
    wanted = {item["key"]: item["values"] for item in spec["requirements"]}
    family, size = wanted["karpenter.k8s.aws/instance-family"][0], wanted["karpenter.k8s.aws/instance-size"][0]
    name = resource.inputs["metadata"]["name"]
    found = context.usage.of(Quantity.ELASTIC_NODES, name)
    if found is None:
        yield Gap(what="nodes", why=f"no assumption {Quantity.ELASTIC_NODES} for {name}")
        return
    key, assumption = found
    node_class = _node_class(context, spec["nodeClassRef"]["name"])
    machine = _Machine(
        instance_type=f"{family}.{size}",
        spot="spot" in wanted["karpenter.sh/capacity-type"],
        disk_gib=_class_disk(node_class),
        monitored=bool(node_class.get("detailedMonitoring")),
    )
    yield from machine.uses("nodes", assumption.band, key)


def training(model: ModelSpec, context: Context) -> Iterator[Finding]:
    """Hosts of a model's pipeline and disks of its trainings; those of processing jobs are left out.

    A run takes the hours at most that its jobs are stopped after.
    """
    spec, processing = model.training, model.processing
    spot = ", spot" if spec.spot else ""
    others = " or ".join(spec.fallback_instance_types)
    else_on = f", where there is none on {others}" if others else ""
    trainings = 1 if spec.tuning is None else spec.tuning.jobs
    most = Decimal(trainings * spec.instance_count * spec.max_runtime_seconds) / SECONDS_PER_HOUR
    search = "" if spec.tuning is None else f"{trainings} trainings and "
    yield from context.assume(
        Quantity.TRAINING_HOURS,
        model.name,
        meter="training",
        what=f"training on {spec.instance_type}{spot}{else_on}; a run takes {search}{most:.1f} hours at most",
        price=f"sagemaker.{spec.instance_type}",
        discount="sagemaker.spot" if spec.spot else "",
        run=most,
    )
    disk = Decimal(spec.volume_gib) / HOURS_PER_MONTH
    yield from context.assume(
        Quantity.TRAINING_HOURS,
        model.name,
        meter="training-disks",
        what=f"disks of training hosts, {spec.volume_gib} GiB each while a job runs",
        price="ml.disk",
        per=Band.exactly(disk),
        run=most * disk,
    )
    steps = len(PROCESSING_STEPS) + (spec.algorithm is not None)
    most = Decimal(steps * processing.max_runtime_seconds) / SECONDS_PER_HOUR
    yield from context.assume(
        Quantity.PROCESSING_HOURS,
        model.name,
        meter="processing",
        what=f"checking and evaluating on {processing.instance_type}; a run takes {most:.1f} hours at most",
        price=f"sagemaker.{processing.instance_type}",
        run=most,
    )
    disks = f"disks of processing hosts, {processing.volume_gib} GiB each while a job runs"
    yield Gap(what=disks, why="no price was found")
    if spec.keep_alive_seconds is not None:
        yield Gap(what="warm hosts between two trainings", why="how often one follows another soon enough is not known")


def watching(model: ModelSpec, context: Context) -> Iterator[Finding]:
    """Hosts of the job that looks for drift of a model, where there is one."""
    if model.drift is None:
        return
    job = model.drift.job
    most = job.max_runtime_seconds / SECONDS_PER_HOUR
    yield from context.assume(
        Quantity.DRIFT_HOURS,
        model.name,
        meter="drift",
        what=f"looking for drift on {job.instance_type}; a run takes {most:.1f} hours at most",
        price=f"sagemaker.{job.instance_type}",
    )


def notebooks(resource: Planned, context: Context) -> Iterator[Finding]:
    """Notebooks of a Studio domain on its default host, and the disks of their spaces; home folders are not used.

    A disk has the default size at least, and the largest that its owner may ask for at most.
    """
    settings = mapping(resource.inputs.get("defaultUserSettings"))
    disk = mapping(mapping(settings.get("spaceStorageSettings")).get("defaultEbsStorageSettings"))
    usual, most = (int(disk[f"{size}EbsVolumeSizeInGb"]) for size in ("default", "maximum"))
    yield from context.assume(
        Quantity.NOTEBOOK_SPACES,
        resource.name,
        meter="spaces",
        what=f"disks of spaces, {usual} GiB each, {most} at most",
        price="ml.disk",
        per=Band(Decimal(usual), Decimal(usual), Decimal(most)),
    )
    host = mapping(mapping(settings.get("jupyterLabAppSettings")).get("defaultResourceSpec")).get("instanceType")
    yield from context.assume(
        Quantity.NOTEBOOK_HOURS,
        resource.name,
        meter="notebooks",
        what=f"notebooks on {host}",
        price=f"sagemaker.{host}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """An EC2 instance as a pool starts it."""

    instance_type: str
    spot: bool
    disk_gib: int | None
    monitored: bool

    def uses(self, meter: str, count: Band, assumption: str = "") -> Iterator[Finding]:
        """Yield what `count` of them use, unless it is never more than none."""
        if not count.high:
            return
        option = "spot" if self.spot else "on demand"
        kind = "cpu" if accelerator(self.instance_type) is Accelerator.NONE else "gpu"
        number = f"{count.expected.normalize():f}"
        yield Use(
            meter=meter,
            what=f"{number} {self.instance_type}, {option}",
            quantity=count * HOURS,
            price=f"ec2.{self.instance_type}",
            discount=f"ec2.spot.{kind}" if self.spot else "",
            assumption=assumption,
        )
        if self.disk_gib is None:
            yield Gap(what="disks of nodes", why="their size is not in the plan")
        else:
            yield Use(
                meter=f"{meter}-disk",
                what=f"{number} {self.disk_gib} GiB gp3",
                quantity=count.times(self.disk_gib),
                price="ebs.gp3",
                assumption=assumption,
            )
        if self.monitored:
            yield Use(
                meter=f"{meter}-metrics",
                what=f"{number} detailed monitoring",
                quantity=count.times(DETAILED_METRICS),
                price="cloudwatch.metric",
                assumption=assumption,
            )


def _template_disk(template: Planned | None) -> int | None:
    for device in items(template.inputs.get("blockDeviceMappings")) if template else ():
        size = mapping(mapping(device).get("ebs")).get("volumeSize")
        if size is not None:
            return int(Decimal(str(size)))
    return None


def _node_class(context: Context, name: str) -> Mapping[str, Any]:
    for resource in context.resources.values():
        if resource.type == NODE_CLASS and resource.inputs["metadata"]["name"] == name:
            return resource.inputs["spec"]
    return {}


def _class_disk(spec: Mapping[str, Any]) -> int | None:
    for device in items(spec.get("blockDeviceMappings")):
        size = str(mapping(mapping(device).get("ebs")).get("volumeSize", ""))
        if size.endswith("Gi"):
            return int(size.removesuffix("Gi"))
    return None


METERS: Final[dict[str, Meter]] = {
    "aws:sagemaker/domain:Domain": notebooks,
    "eks:index:Cluster": cluster,
    "aws:eks/cluster:Cluster": cluster,
    "aws:eks/nodeGroup:NodeGroup": node_group,
    "kubernetes:karpenter.sh/v1:NodePool": elastic_pool,
}
"""Type token → meter."""
