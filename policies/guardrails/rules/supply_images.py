"""Container images: where they come from, and whether they can change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.images import image
from guardrails.jobs import JOBS, Job, SettingFacts, judge_jobs
from guardrails.pods import WORKLOADS, pod_of
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation
from guardrails.view import Missing, Unknown, Value

_IMAGES = {
    "aws:lambda/function:Function": ("imageUri",),
    "aws:sagemaker/model:Model": ("primaryContainer.image", "containers[*].image"),
}


@dataclass(frozen=True, slots=True)
class ImageFacts(SettingFacts):
    """Whose images may run."""

    registries: Annotated[
        tuple[str, ...], "Registries, or repositories in them (wildcards allowed), that images may come from."
    ] = ()
    first_party: Annotated[
        tuple[str, ...], "Those among them whose images are named by version because no digest is published."
    ] = ()
    digests: Annotated[bool, "Must images be named by digest? Else any tag but latest will do."] = True


def _references(resource: Resource) -> Iterator[Value]:
    if resource.token in _IMAGES:
        for path in _IMAGES[resource.token]:
            yield from resource.select(path)
        return
    spec = pod_of(resource).spec
    if isinstance(spec, Unknown):
        yield spec
    for container in () if isinstance(spec, Unknown) else pod_of(resource).containers:
        yield container.get("image")
    for volume in () if isinstance(spec, Unknown) else spec.select("volumes[*].image"):
        if not isinstance(volume, Missing):
            yield volume.child("reference")


def _judge(value: Value, text: str, facts: ImageFacts) -> Iterator[Finding]:
    found = image(text)
    if not facts.registries:
        yield Undetermined(path=value.path, why="the configuration names no registries")
    elif not found.within(facts.registries):
        yield Violation(path=value.path, found=found.name, wanted="an image from a registry of the configuration")
    if facts.digests and not found.digest and not found.within(facts.first_party):
        yield Violation(path=value.path, found=text, wanted="an image by its digest (@sha256:…)")
    elif found.moving:
        yield Violation(path=value.path, found=text, wanted="an image by version or digest")


def _judge_all(values: Iterable[Value], facts: ImageFacts) -> Iterator[Finding]:
    for value in values:
        text = value.text()
        if text is not None:
            yield from _judge(value, text, facts)
        elif not isinstance(value, Missing):
            yield Undetermined(path=value.path)


def _check(resource: Resource, facts: ImageFacts) -> Iterator[Finding]:
    def in_job(job: Job) -> Iterator[Finding]:
        return _judge_all((image for image, _ in job.images), facts)

    if resource.token in JOBS:
        yield from judge_jobs(resource, in_job, facts)
    else:
        yield from _judge_all(_references(resource), facts)


SUP_01 = ResourceRule(
    id="SUP-01",
    name="image-pinned-trusted",
    title="Images come from registries that we trust and cannot change under their name",
    tokens=(*WORKLOADS, *_IMAGES, *JOBS),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.1.4", "soc2:CC6.8", "soc2:CC8.1"),
    why="whoever controls a registry or may move a tag decides what runs here tomorrow",
    fix="copy the image to a registry of the configuration and write repository@sha256:digest",
    facts=ImageFacts,
    check=_check,
    traps=(
        "with a tag and a digest the digest counts; a registry's port is no tag",
        "an image without a registry comes from docker.io",
        "images of AWS in SageMaker are named by version",
        "an image whose digest an execution of a pipeline names is still one by digest",
    ),
)
