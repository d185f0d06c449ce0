"""What each SageMaker target can do, as data.

Read 2026-11-22 in the service models of botocore 1.44.5 and in the SageMaker developer guide; each row names its page.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

REAL_TIME, SERVERLESS, ASYNCHRONOUS, BATCH = "real-time", "serverless", "asynchronous", "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One number that AWS allows, from the least to the most."""

    what: str
    """What is limited."""
    least: int
    most: int
    unit: str
    source: str
    """Page of the developer guide, or shape of the API."""


SERVERLESS_MEMORY: Final = Limit(
    what="memory of a serverless endpoint, in steps of 1024",
    least=1024,
    most=6144,
    unit="MB",
    source="API, `ServerlessMemorySizeInMB`",
)
SERVERLESS_CONCURRENCY: Final = Limit(
    what="requests that a serverless endpoint answers at once; provisioned ones are among them",
    least=1,
    most=200,
    unit="requests",
    source="API, `ServerlessMaxConcurrency` and `ServerlessProvisionedConcurrency`",
)
ASYNCHRONOUS_CONCURRENCY: Final = Limit(
    what="requests that an instance of an asynchronous endpoint works on at once",
    least=1,
    most=1000,
    unit="requests",
    source="API, `MaxConcurrentInvocationsPerInstance`",
)
BATCH_PAYLOAD: Final = Limit(
    what="payload of a request of a batch, and payload times requests at once of an instance",
    least=1,
    most=100,
    unit="MB",
    source="API, `CreateTransformJob`, `MaxPayloadInMB`",
)
BATCH_SECONDS: Final = Limit(
    what="time for one request of a batch",
    least=1,
    most=3600,
    unit="s",
    source="API, `InvocationsTimeoutInSeconds`",
)
BATCH_RETRIES: Final = Limit(
    what="retries of a request of a batch", least=0, most=3, unit="retries", source="API, `InvocationsMaxRetries`"
)
BATCH_INSTANCES: Final = Limit(
    what="instances of a batch", least=1, most=100, unit="instances", source="API, `TransformResources`"
)
CONTAINERS: Final = Limit(
    what="containers of a multi-container endpoint",
    least=2,
    most=15,
    unit="containers",
    source="guide, “Create a multi-container endpoint”",
)
CANARY: Final = Limit(
    what="share of the fleet that a canary is", least=1, most=50, unit="%", source="API, `TrafficRoutingConfig`"
)
LINEAR: Final = Limit(
    what="share of the fleet that a linear step is", least=10, most=50, unit="%", source="API, `TrafficRoutingConfig`"
)
WAIT: Final = Limit(
    what="wait after each step of a blue/green deployment",
    least=0,
    most=3600,
    unit="s",
    source="API, `WaitIntervalInSeconds`",
)
TERMINATION: Final = Limit(
    what="wait before the old fleet ends", least=0, most=3600, unit="s", source="API, `TerminationWaitInSeconds`"
)
DEPLOYMENT: Final = Limit(
    what="time for a whole deployment, more than all its waits together",
    least=600,
    most=28_800,
    unit="s",
    source="API, `MaximumExecutionTimeoutInSeconds`",
)
CAPTURE: Final = Limit(
    what="share of requests that are captured", least=0, most=100, unit="%", source="API, `SamplingPercentage`"
)

LIMITS: Final = (
    SERVERLESS_MEMORY,
    SERVERLESS_CONCURRENCY,
    ASYNCHRONOUS_CONCURRENCY,
    BATCH_PAYLOAD,
    BATCH_SECONDS,
    BATCH_RETRIES,
    BATCH_INSTANCES,
    CONTAINERS,
    CANARY,
    LINEAR,
    WAIT,
    TERMINATION,
    DEPLOYMENT,
    CAPTURE,
)
"""Numbers that one setting, or two, must keep to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a target can take and do."""

    payload_mb: float
    """Largest request."""
    seconds: int
    """Longest time for one request."""
    answers: str
    """How an answer comes."""
    idle: str
    """What there is to pay while nobody asks."""
    choose: str
    """When it is the right one."""
    immediate: bool
    """Whether a caller waits for the answer."""
    cold_starts: bool
    """Whether a request may have to wait until something is started for it."""
    several: bool
    """Whether it hosts several models or several containers."""
    guarded: bool
    """Whether its updates shift traffic in steps and roll back by alarms (guide, “Deployment guardrails”)."""
    in_network: bool
    """Whether its model is in the VPC and isolated from networks."""
    captured: bool
    """Whether SageMaker captures its requests and answers."""
    source: str
    """Page of the developer guide, or shape of the API."""


TARGETS: Final[dict[str, Abilities]] = {
    REAL_TIME: Abilities(
        payload_mb=6,
        seconds=60,
        answers="at once",
        idle="every instance, at least one",
        choose="steady load, and callers that wait for milliseconds",
        immediate=True,
        cold_starts=False,
        several=True,
        guarded=True,
        in_network=True,
        captured=True,
        source="guide, “Inference options”; API, `InvokeEndpoint`",
    ),
    SERVERLESS: Abilities(
        payload_mb=4,
        seconds=60,
        answers="at once, or after a cold start",
        idle="nothing, but for provisioned concurrency",
        choose="load with idle times, and callers that tolerate cold starts",
        immediate=True,
        cold_starts=True,
        several=False,
        guarded=False,
        in_network=False,
        captured=False,
        source="guide, “Serverless inference”, “Feature exclusions”, and “Invoke a serverless endpoint”",
    ),
    ASYNCHRONOUS: Abilities(
        payload_mb=1024,
        seconds=3600,
        answers="an object in S3, and a message",
        idle="the least number of instances, which may be 0",
        choose="large requests or long work, one by one, without anybody waiting",
        immediate=False,
        cold_starts=True,
        several=False,
        guarded=True,
        in_network=True,
        captured=False,
        source="guide, “Asynchronous inference”; API, `InvokeEndpointAsync`",
    ),
    BATCH: Abilities(
        payload_mb=BATCH_PAYLOAD.most,
        seconds=BATCH_SECONDS.most,
        answers="objects in S3 when the job is done",
        idle="nothing: instances exist while a job runs",
        choose="data that lies there already, all of it",
        immediate=False,
        cold_starts=True,
        several=False,
        guarded=False,
        in_network=True,
        captured=False,
        source="guide, “Batch transform”; API, `CreateTransformJob`",
    ),
}
"""By the words of a stack file. `several` and `captured` say what this platform offers where AWS offers more: it
captures where callers get answers at once, and hosts several models for them only."""

UNGUARDED_FAMILIES: Final = frozenset({"inf1"})
"""Instance families whose updates shift all traffic at once, whatever is asked for (guide, “Exclusions” of deployment
guardrails)."""
UNSCALED_FAMILIES: Final = frozenset({"t2"})
"""Burstable families, which SageMaker does not scale (guide, “Configure model auto scaling”)."""
TRACKED_SHARE: Final = 0.7
"""Share of an instance's measured capacity at which autoscaling keeps it: the rest is what arrives until the next
instance answers."""

SERVER_MIB: Final = 256
"""Memory of a model server without requests, with its model, MiB."""
MIB_PER_PAYLOAD_MB: Final = 90
"""Memory that a model server takes at most for each MB of the requests that it works on, MiB: measured on 2026-11-23
as 84 for rows of one digit, 10 for two columns of eight digits and 4 for twenty. Answers of several classes take
more."""
HOST_SHARE: Final = 0.85
"""Of an instance's memory, what is there for the model server."""


def fitting(payload_mb: float, seconds: float, *, immediate: bool, cold_starts: bool) -> list[str]:
    """Return the targets for requests of that size and time, in the order of `TARGETS`.

    Args:
        payload_mb: Size of the largest request.
        seconds: Time of the longest one.
        immediate: Whether callers wait for the answer.
        cold_starts: Whether a request may wait until something is started for it.
    """
    return [
        name
        for name, target in TARGETS.items()
        if payload_mb <= target.payload_mb
        and seconds <= target.seconds
        and (target.immediate or not immediate)
        and (cold_starts or not target.cold_starts)
    ]


def shifting_seconds(step_percent: int | None, wait_seconds: int, termination_seconds: int, *, linear: bool) -> int:
    """Return how long a blue/green deployment waits: after each step, and before the old fleet ends.

    Args:
        step_percent: Size of a step; None where all traffic shifts at once.
        wait_seconds: Wait after each step.
        termination_seconds: Wait before the old fleet ends.
        linear: Whether every step has that size; of a canary, the second is the rest.
    """
    steps = 1 if step_percent is None else ceil(100 / step_percent) if linear else 2
    return steps * wait_seconds + termination_seconds


def payload_mb_in(memory_mib: int, at_once: int = 1) -> int:
    """Return the largest request, MB, of which a host can work on `at_once` without running out of memory."""
    return max(int((memory_mib * HOST_SHARE - SERVER_MIB) / (MIB_PER_PAYLOAD_MB * at_once)), 0)
