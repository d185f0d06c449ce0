"""Instances behind SageMaker targets: types that exist, numbers that can grow, versions that can change."""

from collections.abc import Iterator
from typing import Final

from settings.instances import (
    HOSTING_TYPES,
    TRANSFORM_TYPES,
    Accelerator,
    Architecture,
    accelerator,
    architecture,
    family,
    near,
)
from settings.model import RolloutSpec, ServingSpec, Settings
from settings.problems import Finding, Path, join
from settings.rules.models import ModelRule
from settings.rules.serving_sagemaker import path_of
from settings.serving_limits import CANARY, LINEAR, UNGUARDED_FAMILIES, UNSCALED_FAMILIES, shifting_seconds


def _instance_types(serving: ServingSpec) -> Iterator[tuple[str, str]]:
    """Sections with instances, and their type."""
    if serving.real_time is not None:
        yield "real_time", serving.real_time.instance_type
    if serving.asynchronous is not None:
        yield "asynchronous", serving.asynchronous.instance_type
    if serving.batch is not None:
        yield "batch", serving.batch.instance_type


def _rollouts(serving: ServingSpec) -> Iterator[tuple[str, str, RolloutSpec]]:
    """Sections whose versions change step by step, their type, and how."""
    if serving.real_time is not None:
        yield "real_time", serving.real_time.instance_type, serving.real_time.rollout
    if serving.asynchronous is not None:
        yield "asynchronous", serving.asynchronous.instance_type, serving.asynchronous.rollout


def hosting_type_exists(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker refuses an unknown type; on a processor that the image is not built for, it never starts."""
    serving = settings.models[index].serving
    for section, name in _instance_types(serving) if serving is not None else ():
        known = TRANSFORM_TYPES if section == "batch" else HOSTING_TYPES
        chip = name.removeprefix("ml.")
        path = path_of(index, section, "instance_type")
        if name not in known:
            choices = near(name, known)
            yield Finding(
                path=path,
                found=name,
                allowed="a SageMaker type for batch transform"
                if section == "batch"
                else "a SageMaker type for endpoints",
                remedy=f"write {join(choices)}" if choices else "choose another family, such as ml.m5 or ml.c6i",
            )
        elif architecture(chip) is Architecture.ARM64 or accelerator(chip) is Accelerator.NEURON:
            yield Finding(
                path=path,
                found=name,
                allowed="a type with x86 processors, which the model image is built for",
                remedy="write ml.m6i.xlarge, or another type of ml.m5, ml.m6i or ml.c6i",
            )


def scaling_is_possible(settings: Settings, index: int) -> Iterator[Finding]:
    """There is room to scale, one thing to follow, and a family that SageMaker scales."""
    serving = settings.models[index].serving
    if serving is not None and serving.real_time is not None and serving.real_time.scaling is not None:
        spec = serving.real_time
        scaling = serving.real_time.scaling
        yield from _range(
            path_of(index, "real_time", "scaling", "max_instances"), spec.instances, scaling.max_instances
        )
        if (scaling.requests_per_minute is None) == (scaling.cpu_percent is None):
            yield Finding(
                path=path_of(index, "real_time", "scaling"),
                found="both requestsPerMinute and cpuPercent" if scaling.cpu_percent else "nothing to follow",
                allowed="one of requestsPerMinute and cpuPercent",
                remedy="write what one instance was measured to answer under requestsPerMinute, and cpuPercent: null",
            )
        yield from _scaled(path_of(index, "real_time", "instance_type"), spec.instance_type)
    if serving is not None and serving.asynchronous is not None:
        queue = serving.asynchronous
        yield from _range(path_of(index, "asynchronous", "max_instances"), queue.min_instances, queue.max_instances)
        yield from _scaled(path_of(index, "asynchronous", "instance_type"), queue.instance_type)


def _range(path: Path, least: int, most: int) -> Iterator[Finding]:
    if most < least:
        yield Finding(
            path=path, found=str(most), allowed=f"at least {least}, the least number", remedy=f"write {least} or more"
        )


def _scaled(path: Path, instance_type: str) -> Iterator[Finding]:
    if family(instance_type.removeprefix("ml.")) in UNSCALED_FAMILIES:
        yield Finding(
            path=path,
            found=instance_type,
            allowed="a type that is not burstable, which SageMaker does not scale",
            remedy="write ml.m5.large, or scaling: null for a fixed number behind a real-time endpoint",
        )


def rollout_can_happen(settings: Settings, index: int) -> Iterator[Finding]:
    """SageMaker bounds steps, and rolls back what takes longer than the timeout."""
    serving = settings.models[index].serving
    for section, instance_type, rollout in _rollouts(serving) if serving is not None else ():
        path = path_of(index, section, "rollout")
        yield from _steps(path, rollout)
        stepwise = rollout.shift != "all-at-once"
        if stepwise and family(instance_type.removeprefix("ml.")) in UNGUARDED_FAMILIES:
            yield Finding(
                path=(*path, "shift"),
                found=rollout.shift,
                allowed=f"all-at-once with {instance_type}",
                remedy="write all-at-once, or choose another family, such as ml.m6i",
            )
        if section == "asynchronous" and rollout.max_overhead_milliseconds is not None:
            yield Finding(
                path=(*path, "maxOverheadMilliseconds"),
                found=str(rollout.max_overhead_milliseconds),
                allowed="null: asynchronous endpoints publish no such metric",
                remedy="write null",
            )


def _steps(path: Path, rollout: RolloutSpec) -> Iterator[Finding]:
    step, shift = rollout.step_percent, rollout.shift
    bounds = {"canary": CANARY, "linear": LINEAR}.get(shift)
    if bounds is None and step is not None:
        yield Finding(
            path=(*path, "stepPercent"),
            found=str(step),
            allowed="null while shift is all-at-once",
            remedy="write null, or choose shift canary or linear",
        )
    if bounds is not None and (step is None or not bounds.least <= step <= bounds.most):
        nearest = bounds.least if step is None else min(max(step, bounds.least), bounds.most)
        yield Finding(
            path=(*path, "stepPercent"),
            found="null" if step is None else str(step),
            allowed=f"{bounds.least} to {bounds.most} while shift is {shift}",
            remedy=f"write {nearest}",
        )
        return
    waits = shifting_seconds(step, rollout.wait_seconds, rollout.termination_wait_seconds, linear=shift == "linear")
    if rollout.timeout_seconds <= waits:
        yield Finding(
            path=(*path, "timeoutSeconds"),
            found=str(rollout.timeout_seconds),
            allowed=f"more than {waits}, the waits of the deployment together",
            remedy="raise timeoutSeconds by what the new fleet needs to start, or shorten waitSeconds",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (hosting_type_exists, scaling_is_possible, rollout_can_happen)
