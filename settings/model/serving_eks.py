"""A model that pods in the cluster serve."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Capacity, Name, Section
from settings.model.patterns import DOMAIN, FEATURE_NAME, REQUEST_PATH
from settings.model.serving_rollout import PodRolloutSpec

FeatureName = Annotated[str, Field(min_length=1, max_length=256, pattern=FEATURE_NAME)]
RequestPath = Annotated[str, Field(pattern=REQUEST_PATH, max_length=128)]


class ServerPodSpec(Section):
    """What one pod is given, and what the server was measured to do with it (`docs/serving.md` says how)."""

    cpu_millis: Annotated[int, Field(ge=10, le=1_000_000)]
    """Thousandths of a processor that it reserves; autoscaling counts in shares of them."""
    memory_mib: Annotated[int, Field(ge=64, le=4_000_000)]
    """Memory that it reserves, and may use at most, MiB."""
    requests_per_second: Annotated[int, Field(ge=1, le=1_000_000)]
    """Requests that it answers each second with what it reserves; measured."""
    start_seconds: Annotated[int, Field(ge=1, le=600)]
    """Time from the start of the process to its first answer, rounded up; measured."""
    drain_seconds: Annotated[int, Field(ge=5, le=60)]
    """For how long a pod that is told to end still answers, so that load balancers can forget it."""


class RequestTargetSpec(Section):
    """A second reason for more pods: what the model server counts of its requests."""

    metric: Literal["per-second", "in-flight"]
    """Requests that arrive each second, or those that are read and not answered yet."""
    per_pod: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many of them a pod has on average; above it pods are added."""


class AutoscalingSpec(Section):
    """How many pods there are."""

    min_pods: Annotated[int, Field(ge=2, le=1000)]
    """Fewest pods; two survive the loss of a node."""
    max_pods: Annotated[int, Field(ge=2, le=1000)]
    """Most pods."""
    cpu_percent: Annotated[int, Field(ge=10, le=95)]
    """Share of the reserved processor that pods use on average; above it pods are added, below it taken away."""
    requests: RequestTargetSpec | None
    """Requests beside processor time, whichever asks for more pods; null for processor time alone."""
    scale_in_seconds: Annotated[int, Field(ge=0, le=3600)]
    """For how long fewer pods have to be enough until any is taken away."""


class FrontEndSpec(Section):
    """How requests from outside the cluster reach the pods."""

    kind: Literal["alb", "nlb"]
    """Application Load Balancer, which knows hosts and paths, or Network Load Balancer, which passes connections on."""
    host: Annotated[str, Field(pattern=DOMAIN, max_length=253)] | None
    """Host name that callers use; null for the load balancer's own name."""
    paths: tuple[RequestPath, ...] = Field(strict=False, max_length=5)
    """Paths that callers reach, with all below them; empty exactly for `nlb`, which sees none."""


class CaptureSpec(Section):
    """A sample of requests with their answers, which a sidecar takes to S3: what drift is found in."""

    percent: Annotated[float, Field(gt=0, le=100)]
    """Share of the answered requests that are kept."""
    drop: tuple[FeatureName, ...] = Field(strict=False, max_length=1000)
    """Features whose values are not kept."""
    disk_mib: Annotated[int, Field(ge=64, le=16_384)]
    """Most that waits on a pod's disk while S3 does not answer, MiB; what comes then is dropped and counted."""
    cpu_millis: Annotated[int, Field(ge=5, le=1000)]
    """Thousandths of a processor that the sidecar reserves."""
    memory_mib: Annotated[int, Field(ge=32, le=1024)]
    """Memory that the sidecar reserves, and may use at most, MiB."""


class ObjectivesSpec(Section):
    """What callers may expect of answers; Prometheus tells when they do not get it."""

    p95_milliseconds: Literal[1, 2, 5, 10, 20, 50, 80, 100, 200, 500, 1000]
    """95th percentile of the time in the server that alerts when it is exceeded, ms: a bound that the server counts by,
    and not the last one, beyond which it tells times no further."""
    mean_milliseconds: Annotated[float, Field(gt=0, le=1000)]
    """The same of the mean, ms."""
    error_percent: Annotated[float, Field(gt=0, le=5)]
    """Share of answers that may be errors of the server over a month, per cent: what alerts count as a budget."""


class EksServingSpec(Section):
    """Pods that serve a model."""

    namespace: Name
    """Namespace of a team, of the workload type `inference`, that the pods run in."""
    capacity: Capacity
    """Purchase option of the nodes; AWS takes a spot node back with two minutes' notice."""
    pod: ServerPodSpec
    """One pod."""
    autoscaling: AutoscalingSpec
    """How many of them."""
    target_requests_per_second: Annotated[int, Field(ge=1, le=10_000_000)]
    """Load that the most pods have to carry."""
    reserve_percent: Annotated[int, Field(ge=0, le=400)]
    """What the most pods carry beyond that load, in percent of it: for a lost zone, or a peak within seconds."""
    front_end: FrontEndSpec | None
    """Way in from outside the cluster; null for a model that only pods of the namespaces call whose `asks` names it."""
    rollout: PodRolloutSpec | None
    """How another version takes over; null for a rolling update, pod by pod."""
    capture: CaptureSpec | None
    """What is kept of requests and answers; null for nothing."""
    objectives: ObjectivesSpec | None
    """What is recorded and alerts; null where nobody is to be told."""

    @property
    def cpu_millis(self) -> int:
        """Thousandths of a processor that a pod reserves, all containers together."""
        return self.pod.cpu_millis + (self.capture.cpu_millis if self.capture else 0)

    @property
    def memory_mib(self) -> int:
        """Memory that a pod reserves, all containers together, MiB."""
        return self.pod.memory_mib + (self.capture.memory_mib if self.capture else 0)
