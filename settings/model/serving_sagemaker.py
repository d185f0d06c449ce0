"""A model that SageMaker serves: one section for each target, and how an endpoint changes from version to version."""

from typing import Annotated, Literal

from pydantic import Field

from settings import serving_limits as limits
from settings.model.base import ImageDigest, LogRetentionDays, Name, Section
from settings.model.patterns import PREFIX, TRAINING_INSTANCE

InstanceType = Annotated[str, Field(pattern=TRAINING_INSTANCE)]
Cooldown = Annotated[int, Field(ge=0, le=3600)]


class RolloutSpec(Section):
    """How traffic moves to a new version, and what takes it back.

    The new fleet stands beside the old one; an alarm during the deployment rolls it back.
    """

    shift: Literal["all-at-once", "canary", "linear"]
    """All traffic in one step, a canary and then the rest, or equal steps."""
    step_percent: Annotated[int, Field(ge=limits.CANARY.least, le=100)] | None
    """Share of the fleet that the canary or each linear step is, per cent; null for all at once."""
    wait_seconds: Annotated[int, Field(ge=limits.WAIT.least, le=limits.WAIT.most)]
    """How long alarms are watched after each step."""
    termination_wait_seconds: Annotated[int, Field(ge=limits.TERMINATION.least, le=limits.TERMINATION.most)]
    """How long the old fleet stays after the last step."""
    timeout_seconds: Annotated[int, Field(ge=limits.DEPLOYMENT.least, le=limits.DEPLOYMENT.most)]
    """The deployment is rolled back after this time."""
    max_error_percent: Annotated[float, Field(gt=0, lt=100)]
    """Share of answers with a status of 500 and above that rolls back, per cent."""
    max_model_milliseconds: Annotated[int, Field(ge=1, le=3_600_000)]
    """Time of the model, 99th percentile of a minute, that rolls back."""
    max_overhead_milliseconds: Annotated[int, Field(ge=1, le=60_000)] | None
    """Time that SageMaker adds, 99th percentile, that rolls back; null where it is not measured or does not count."""


class ScalingSpec(Section):
    """How instances follow the load."""

    max_instances: Annotated[int, Field(ge=1, le=100)]
    """Instances at most."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None
    """Requests that one instance was measured to answer in time; scaling keeps 0.7 of it. Null to follow processors."""
    cpu_percent: Annotated[int, Field(ge=1, le=19_200)] | None
    """Use of processors to keep, summed over the processors as SageMaker reports it (four: up to 400). Null to follow
    requests."""
    scale_in_seconds: Cooldown
    """Wait after an instance went before the next one goes."""
    scale_out_seconds: Cooldown
    """Wait after an instance came before the next one comes."""


class RealTimeSpec(Section):
    """Instances that answer at once."""

    instance_type: InstanceType
    """SageMaker hosting type."""
    instances: Annotated[int, Field(ge=1, le=100)]
    """Instances; with scaling, at least."""
    scaling: ScalingSpec | None
    """How many more there may be; null for a fixed number."""
    capture_percent: Annotated[int, Field(ge=limits.CAPTURE.least, le=limits.CAPTURE.most)]
    """Share of requests that are kept with their answers, per cent; 0 for none."""
    rollout: RolloutSpec
    """How versions change."""
    log_retention_days: LogRetentionDays
    """How long its logs are kept."""


class ServerlessSpec(Section):
    """Computing by the millisecond, and none while nobody asks."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144]
    """Memory, MB; processors come in proportion."""
    max_concurrency: Annotated[
        int, Field(ge=limits.SERVERLESS_CONCURRENCY.least, le=limits.SERVERLESS_CONCURRENCY.most)
    ]
    """Requests at once; more are refused."""
    provisioned_concurrency: (
        Annotated[int, Field(ge=limits.SERVERLESS_CONCURRENCY.least, le=limits.SERVERLESS_CONCURRENCY.most)] | None
    )
    """Requests at once without a cold start, which are paid all the time; null for none."""
    outside_vpc: bool
    """Has to be true: SageMaker runs it outside the VPC and not isolated from the internet."""
    log_retention_days: LogRetentionDays
    """How long its logs are kept."""


class AsynchronousSpec(Section):
    """A queue before instances, which may be none while it is empty."""

    instance_type: InstanceType
    """SageMaker hosting type."""
    min_instances: Annotated[int, Field(ge=0, le=100)]
    """Instances at least; with 0 there are none while the queue is empty, and the first request starts one."""
    max_instances: Annotated[int, Field(ge=1, le=100)]
    """Instances at most."""
    backlog_per_instance: Annotated[int, Field(ge=1)]
    """Requests in the queue for each instance that scaling keeps."""
    concurrency: Annotated[
        int, Field(ge=limits.ASYNCHRONOUS_CONCURRENCY.least, le=limits.ASYNCHRONOUS_CONCURRENCY.most)
    ]
    """Requests that an instance works on at once."""
    scale_in_seconds: Cooldown
    """Wait after an instance went before the next one goes."""
    scale_out_seconds: Cooldown
    """Wait after an instance came before the next one comes."""
    rollout: RolloutSpec
    """How versions change."""
    log_retention_days: LogRetentionDays
    """How long its logs are kept."""


class BatchSpec(Section):
    """Jobs over data that lie in S3."""

    instance_type: InstanceType
    """SageMaker batch transform type."""
    instances: Annotated[int, Field(ge=limits.BATCH_INSTANCES.least, le=limits.BATCH_INSTANCES.most)]
    """Instances of a job."""
    payload_mb: Annotated[int, Field(ge=limits.BATCH_PAYLOAD.least, le=limits.BATCH_PAYLOAD.most)]
    """Rows are sent together up to this size, MB."""
    concurrency: Annotated[int, Field(ge=1)]
    """Requests at once to each instance."""
    timeout_seconds: Annotated[int, Field(ge=limits.BATCH_SECONDS.least, le=limits.BATCH_SECONDS.most)]
    """Time for one request."""
    retries: Annotated[int, Field(ge=limits.BATCH_RETRIES.least, le=limits.BATCH_RETRIES.most)]
    """Retries of a request."""


class FleetSpec(Section):
    """Many models of one kind behind one endpoint: a request names the archive, below the prefix, that answers it."""

    prefix: Annotated[str, Field(pattern=PREFIX, max_length=64)]
    """Prefix of the archives, below the model's own prefix of the models bucket, such as `fleet/`."""
    memory_mib: Annotated[int, Field(ge=64, le=1_000_000)]
    """Memory that loaded models may take on each instance."""


class ContainerSpec(Section):
    """One container of a row."""

    name: Name
    """Name by which a direct request picks it."""
    image_digest: ImageDigest | None
    """Digest of another image in the model's repository, which holds all it needs; null for the approved version."""


class RowSpec(Section):
    """Several containers on each instance."""

    mode: Literal["serial", "direct"]
    """Each takes the answer of the one before, or a request picks one."""
    containers: tuple[ContainerSpec, ...] = Field(
        strict=False, min_length=limits.CONTAINERS.least, max_length=limits.CONTAINERS.most
    )
    """The containers, in order."""


class HostingSpec(Section):
    """More than one model, or container, behind a real-time endpoint."""

    fleet: FleetSpec | None
    """Several models in one container."""
    row: RowSpec | None
    """Several containers."""


class RequestsSpec(Section):
    """What callers send, measured or agreed: what a target cannot take is refused."""

    largest_mb: Annotated[float, Field(gt=0)]
    """Largest request, MB."""
    longest_seconds: Annotated[float, Field(gt=0)]
    """Longest time that one takes."""
    peak_per_minute: Annotated[int, Field(ge=1)]
    """Requests in the busiest minute."""
    usual_milliseconds: Annotated[float, Field(gt=0)]
    """Time that a usual one takes."""
    immediate: bool
    """Whether callers wait for the answer."""
    cold_starts: bool
    """Whether callers tolerate to wait until something is started for them."""
