"""SageMaker targets: nothing that AWS would refuse or ignore, by `settings.serving_limits`.

A finding names the nearest thing that is possible: a value of the same setting, or a target that can do what was asked.
"""

from collections.abc import Iterator
from math import ceil
from typing import Final

from pydantic.alias_generators import to_camel

from settings.capacity import memory_mib
from settings.instances import HOSTING_TYPES, TRANSFORM_TYPES, Accelerator, accelerator
from settings.model import Settings
from settings.problems import Finding, Path, join
from settings.rules.models import ModelRule
from settings.serving_limits import (
    ASYNCHRONOUS,
    BATCH_PAYLOAD,
    REAL_TIME,
    SERVERLESS,
    SERVERLESS_CONCURRENCY,
    TARGETS,
    fitting,
    payload_mb_in,
)

SECONDS_PER_MINUTE, MILLISECONDS = 60, 1000
TAKEN: Final = (
    *("answers", "batches", "captures", "champion", "checkpoints", "data", "drift", "erasures", "failures", "jobs"),
    *("promoted", "proofs", "reports", "rows", "sources", "truth"),
)
"""Folders that the platform itself uses below a model's prefix of the models bucket."""


def path_of(index: int, *parts: str) -> Path:
    """Return where a setting of a model's serving stands, by its names in Python."""
    return ("models", index, "serving", *map(to_camel, parts))


def _instead(choices: list[str]) -> str:
    return f"choose target {join(choices)}" if choices else "split the requests: no target takes them"


def requests_fit_the_target(settings: Settings, index: int) -> Iterator[Finding]:
    """A request that is too large or takes too long is refused when it comes, long after the stack is up."""
    serving = settings.models[index].serving
    if serving is None or serving.requests is None or serving.target.value not in TARGETS:
        return
    target, asked = TARGETS[serving.target], serving.requests
    choices = fitting(asked.largest_mb, asked.longest_seconds, immediate=asked.immediate, cold_starts=asked.cold_starts)
    if asked.largest_mb > target.payload_mb:
        yield Finding(
            path=path_of(index, "requests", "largest_mb"),
            found=f"{asked.largest_mb:g}",
            allowed=f"at most {target.payload_mb:g} MB with target {serving.target}",
            remedy=_instead(choices),
        )
    if asked.longest_seconds > target.seconds:
        yield Finding(
            path=path_of(index, "requests", "longest_seconds"),
            found=f"{asked.longest_seconds:g}",
            allowed=f"at most {target.seconds} s with target {serving.target}",
            remedy=_instead(choices),
        )
    if asked.immediate and not target.immediate:
        yield Finding(
            path=path_of(index, "requests", "immediate"),
            found="true",
            allowed=f"false with target {serving.target}, whose answer is {target.answers}",
            remedy=_instead(choices),
        )
    if target.cold_starts and target.immediate and not asked.cold_starts:
        yield Finding(
            path=path_of(index, "requests", "cold_starts"),
            found="false",
            allowed=f"true with target {serving.target}, which starts computers when requests come",
            remedy=_instead(choices),
        )


def hosting_fits_the_target(settings: Settings, index: int) -> Iterator[Finding]:
    """Several models or containers are possible behind real-time endpoints; serverless ones take neither."""
    serving = settings.models[index].serving
    if serving is None or serving.hosting is None:
        return
    if serving.target != REAL_TIME:
        yield Finding(
            path=path_of(index, "hosting"),
            found=f"a mapping with target {serving.target}",
            allowed="null: several models or containers stand behind real-time endpoints only",
            remedy=f"write null, or choose target {REAL_TIME}",
        )
    if (serving.hosting.fleet is None) == (serving.hosting.row is None):
        yield Finding(
            path=path_of(index, "hosting"),
            found="both fleet and row" if serving.hosting.fleet else "neither fleet nor row",
            allowed="one of the two: a container with several models, or several containers",
            remedy="write null for the other one" if serving.hosting.fleet else "write hosting: null",
        )


def fleet_is_neither_captured_nor_on_gpus(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker monitors endpoints of one model; on GPUs it hosts several with Triton, which the image is not."""
    serving = settings.models[index].serving
    if serving is None or serving.hosting is None or serving.hosting.fleet is None or serving.real_time is None:
        return
    if serving.real_time.capture_percent:
        yield Finding(
            path=path_of(index, "real_time", "capture_percent"),
            found=str(serving.real_time.capture_percent),
            allowed="0 with a fleet: captures of several models are one stream, which nothing monitors",
            remedy="write 0, or give each model that is monitored an endpoint of its own",
        )
    instance_type = serving.real_time.instance_type
    if accelerator(instance_type.removeprefix("ml.")) is Accelerator.NVIDIA:
        yield Finding(
            path=path_of(index, "real_time", "instance_type"),
            found=instance_type,
            allowed="a type without a GPU with a fleet: there SageMaker needs NVIDIA's Triton server",
            remedy="write ml.m5.xlarge, or hosting: null",
        )


def fleet_has_a_folder_of_its_own(settings: Settings, index: int) -> Iterator[Finding]:
    """Served models read all of a fleet's prefix, and what lies there for other reasons may be data, or be deleted."""
    serving = settings.models[index].serving
    if serving is None or serving.hosting is None or serving.hosting.fleet is None:
        return
    prefix = serving.hosting.fleet.prefix
    if prefix.partition("/")[0] in TAKEN:
        yield Finding(
            path=path_of(index, "hosting", "fleet", "prefix"),
            found=prefix,
            allowed=f"a folder that nothing else uses: not {', '.join(TAKEN)}",
            remedy="write fleet/",
        )


def row_has_the_approved_version(settings: Settings, index: int) -> Iterator[Finding]:
    """Exactly one container is the version in service, and SageMaker tells containers apart by name."""
    serving = settings.models[index].serving
    if serving is None or serving.hosting is None or serving.hosting.row is None:
        return
    containers = serving.hosting.row.containers
    approved = [item.name for item in containers if item.image_digest is None]
    if len(approved) != 1:
        yield Finding(
            path=path_of(index, "hosting", "row", "containers"),
            found=f"{len(approved)} containers without an imageDigest",
            allowed="one: the approved version",
            remedy="write imageDigest: null for that one, and a digest for each of the others",
        )
    names = [item.name for item in containers]
    if len(set(names)) < len(names):
        yield Finding(
            path=path_of(index, "hosting", "row", "containers"),
            found=join(names),
            allowed="names that differ",
            remedy="rename the containers that are called alike",
        )


def serverless_is_what_sagemaker_offers(settings: Settings, index: int) -> Iterator[Finding]:
    """A serverless model has neither a VPC nor network isolation; provisioned concurrency is a part of the whole."""
    serving = settings.models[index].serving
    if serving is None or serving.serverless is None:
        return
    spec = serving.serverless
    if not spec.outside_vpc:
        yield Finding(
            path=path_of(index, "serverless", "outside_vpc"),
            found="false",
            allowed="true: SageMaker refuses serverless models with a VPC or network isolation",
            remedy=f"write true if that is acceptable, or choose target {ASYNCHRONOUS} with minInstances 0",
        )
    if spec.provisioned_concurrency is not None and spec.provisioned_concurrency > spec.max_concurrency:
        yield Finding(
            path=path_of(index, "serverless", "provisioned_concurrency"),
            found=str(spec.provisioned_concurrency),
            allowed=f"at most maxConcurrency ({spec.max_concurrency})",
            remedy=f"write {spec.max_concurrency}, or raise maxConcurrency",
        )


def protected_data_stay_in_the_vpc(settings: Settings, index: int) -> Iterator[Finding]:
    """A serverless model has a way out that nobody watches; the policy `sagemaker-in-vpc-isolated` refuses it, too."""
    serving = settings.models[index].serving
    if serving is not None and serving.target == SERVERLESS and settings.environment.protect_data:
        yield Finding(
            path=path_of(index, "target"),
            found=SERVERLESS,
            allowed="a target in the VPC while environment.protectData is true; SageMaker has no serverless one",
            remedy=f"choose target {ASYNCHRONOUS} with minInstances 0, or {REAL_TIME}",
        )


def serverless_takes_the_peak(settings: Settings, index: int) -> Iterator[Finding]:
    """Beyond its concurrency a serverless endpoint refuses requests (Little's law: rate times time are in work)."""
    serving = settings.models[index].serving
    if serving is None or serving.serverless is None or serving.requests is None or serving.target != SERVERLESS:
        return
    asked = serving.requests
    most = SERVERLESS_CONCURRENCY.most
    needed = ceil(asked.peak_per_minute / SECONDS_PER_MINUTE * asked.usual_milliseconds / MILLISECONDS)
    if needed > serving.serverless.max_concurrency:
        yield Finding(
            path=path_of(index, "serverless", "max_concurrency"),
            found=str(serving.serverless.max_concurrency),
            allowed=f"at least {needed} for {asked.peak_per_minute} requests a minute",
            remedy=f"write {needed}" if needed <= most else f"choose target {REAL_TIME}: {most} is the most",
        )


def batch_payload_is_in_bounds(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker bounds what all requests at once of an instance may hold together."""
    serving = settings.models[index].serving
    if serving is None or serving.batch is None:
        return
    spec = serving.batch
    if spec.payload_mb * spec.concurrency > BATCH_PAYLOAD.most:
        fewer = BATCH_PAYLOAD.most // spec.payload_mb
        yield Finding(
            path=path_of(index, "batch", "concurrency"),
            found=f"{spec.concurrency} times payloadMb ({spec.payload_mb}), {spec.concurrency * spec.payload_mb} MB",
            allowed=f"at most {BATCH_PAYLOAD.most} MB",
            remedy=f"write concurrency {fewer}, or a smaller payloadMb",
        )


def payload_fits_the_memory(settings: Settings, index: int) -> Iterator[Finding]:
    """The server holds each request that it works on as a whole; one too many ends it, and all of them with it."""
    serving = settings.models[index].serving
    if serving is None:
        return
    batch, queue, asked = serving.batch, serving.asynchronous, serving.requests
    if batch is not None and batch.payload_mb * batch.concurrency <= BATCH_PAYLOAD.most:
        path = path_of(index, "batch", "payload_mb")
        yield from _held(path, batch.instance_type, batch.payload_mb, batch.concurrency, TRANSFORM_TYPES)
    if queue is not None and asked is not None:
        path = path_of(index, "requests", "largest_mb")
        yield from _held(path, queue.instance_type, asked.largest_mb, queue.concurrency, HOSTING_TYPES)


def _held(path: Path, instance_type: str, payload: float, at_once: int, known: frozenset[str]) -> Iterator[Finding]:
    memory = memory_mib(instance_type.removeprefix("ml."))
    if memory is None or payload <= (most := payload_mb_in(memory, at_once)):
        return
    name = instance_type.rpartition(".")[0]
    larger = min(
        (
            (room, other)
            for other in known
            if other.rpartition(".")[0] in {name, "ml.m5", "ml.r5"}
            and payload_mb_in(room := memory_mib(other.removeprefix("ml.")) or 0, at_once) >= payload
        ),
        default=None,
    )
    choices = [f"write {most}"] if most else []
    choices += [f"choose {larger[1]}"] if larger is not None else []
    choices += ["a smaller concurrency"] if at_once > 1 else []
    yield Finding(
        path=path,
        found=f"{payload:g} with concurrency {at_once}",
        allowed=f"at most {most} MB in the memory of {instance_type}",
        remedy=", or ".join(choices) or "split the requests",
    )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (
    requests_fit_the_target,
    hosting_fits_the_target,
    fleet_is_neither_captured_nor_on_gpus,
    fleet_has_a_folder_of_its_own,
    row_has_the_approved_version,
    serverless_is_what_sagemaker_offers,
    protected_data_stay_in_the_vpc,
    serverless_takes_the_peak,
    batch_payload_is_in_bounds,
    payload_fits_the_memory,
)
