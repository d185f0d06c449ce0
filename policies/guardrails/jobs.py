"""Jobs of SageMaker, wherever a program writes them: as a resource, and as the steps of a pipeline.

The definition of a pipeline is JSON text with the requests of its jobs in the words of SageMaker's API. Rules read them
as the provider spells a job, `MaxRuntimeInSeconds` as `maxRuntimeInSeconds`; findings have the definition's words.
What is left to an execution is judged as each value that a parameter lists, or as its default and as anything else.
What other references stand for is not known.
Sources: SageMaker developer guide, "Pipeline definition JSON schema", "Retry Policy for Pipeline Steps"; API reference,
`CreateTrainingJob`, `CreateProcessingJob`, `CreateTransformJob`, `CreateModel`, `HyperParameterTrainingJobDefinition`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from itertools import product
from typing import Annotated, cast

from guardrails.resources import Resource
from guardrails.rule import LATER, Finding, Undetermined
from guardrails.view import UNKNOWN, Known, Missing, Unknown, Value, value_of

TRAINING_JOB = "aws:sagemaker/trainingJob:TrainingJob"
PIPELINE = "aws:sagemaker/pipeline:Pipeline"
JOBS = (TRAINING_JOB, PIPELINE)
"""The types that hold jobs."""
_DEFINITION = "pipelineDefinition"
_TOLD = "each execution of the pipeline may be told another value"
_WITHOUT_JOBS = ("Condition", "Fail", "Lambda", "Callback", "RegisterModel")
_MOST_CHOICES = 64
_OPEN = "\0"
_BY_DIGEST = re.compile(rf"([^@{_OPEN}]+)@(sha256:)?{_OPEN}")
Raw = dict[str, object]


class Kind(Enum):
    """What a job does, which decides where its request says what."""

    TRAINING = "Training"
    PROCESSING = "Processing"
    TRANSFORM = "Transform"
    MODEL = "Model"


_KINDS = {
    **{kind.value: kind for kind in Kind},
    "Tuning": Kind.TRAINING,
    "QualityCheck": Kind.PROCESSING,
    "ClarifyCheck": Kind.PROCESSING,
}
"""By the type of a step."""
_NEVER_AGAIN = ("QualityCheck", "ClarifyCheck")
"""Steps that take no retry policies."""
_REQUESTS = ("arguments.trainingJobDefinition", "arguments.trainingJobDefinitions[*]")
"""Where a search holds what its trainings are like."""


@dataclass(frozen=True, slots=True)
class SettingFacts:
    """Where the program that is judged gets its jobs from."""

    settings: Annotated[
        Mapping[str, str],
        "The setting that decides a field of a pipeline's step, by `step/field` (wildcards allowed, the first counts); "
        "a message about the field names it.",
    ] = field(default_factory=dict[str, str])


_NO_SETTINGS = SettingFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The request of one job, or of the model that a step makes."""

    kind: Kind
    request: Value
    tagged: Callable[[str], Value]
    """The tag with a key."""
    step: Value = field(default_factory=lambda: Missing(""))
    """The step of a pipeline that starts it."""
    place: str = ""
    """Where the step stands in its pipeline."""

    @property
    def in_pipeline(self) -> bool:
        """Whether an execution decides what is not known."""
        return not isinstance(self.step, Missing)

    @property
    def searched(self) -> bool:
        """Whether it is one of the trainings of a search."""
        return self.step.child("type").text() == "Tuning"

    @property
    def hosts(self) -> Value:
        """What says which machines, and how many."""
        if self.kind is Kind.PROCESSING:
            return self.request.get("processingResources.clusterConfig")
        if self.kind is Kind.TRANSFORM:
            return self.request.child("transformResources")
        own = self.request.child("hyperParameterTuningResourceConfig") if self.searched else Missing("resourceConfig")
        return self.request.child("resourceConfig") if isinstance(own, Missing) else own

    @property
    def machines(self) -> tuple[Value, ...]:
        """The instance types."""
        lists = ("instanceGroups[*]", *(("instanceConfigs[*]",) if self.searched else ()))
        sorts = (self.hosts, *(each for path in lists for each in self.hosts.select(path)))
        found = (each.child("instanceType") for each in sorts)
        return tuple(each for each in found if not isinstance(each, Missing))

    @property
    def counts(self) -> tuple[tuple[Value, ...], ...]:
        """Numbers of hosts that are added up; several where a search chooses one of several sorts of hosts."""
        groups = self.hosts.select("instanceGroups[*].instanceCount")
        choices = self.hosts.select("instanceConfigs[*].instanceCount") if self.searched else ()
        return tuple((each,) for each in choices) or (groups or (self.hosts.child("instanceCount"),),)

    @property
    def network(self) -> Value:
        """What says where in the network the containers are."""
        return self.request.child("networkConfig") if self.kind is Kind.PROCESSING else self.request

    @property
    def output(self) -> Value:
        """What says where results go, and under which key."""
        names = {Kind.PROCESSING: "processingOutputConfig", Kind.TRANSFORM: "transformOutput"}
        return self.request.child(names.get(self.kind, "outputDataConfig"))

    @property
    def images(self) -> tuple[tuple[Value, Value], ...]:
        """Each image, and through which network it is pulled."""
        if self.kind is Kind.PROCESSING:
            return ((self.request.get("appSpecification.imageUri"), Missing("appSpecification")),)
        if self.kind is Kind.TRAINING:
            algorithm = self.request.child("algorithmSpecification")
            mode = algorithm.get("trainingImageConfig.trainingRepositoryAccessMode")
            return ((algorithm.child("trainingImage"), mode),)
        containers = (*self.request.select("primaryContainer"), *self.request.select("containers[*]"))
        found = containers if self.kind is Kind.MODEL else ()
        return tuple((each.child("image"), each.get("imageConfig.repositoryAccessMode")) for each in found)

    @property
    def again(self) -> Value | None:
        """How often the job starts again after a failure of AWS; nothing where a step of its type cannot be told.

        The jobs of a search heed their own strategy alone.
        """
        own = self.request.get("retryStrategy.maximumRetryAttempts")
        if not self.in_pipeline or self.searched or not isinstance(own, Missing):
            return own
        if self.step.child("type").text() in _NEVER_AGAIN:
            return None
        policies = self.step.select("retryPolicies[*]")
        heeded = [each for each in policies if _names(each.child("exceptionType"), "SageMaker.JOB_INTERNAL_ERROR")]
        ends = [each.child(name) for each in heeded for name in ("maxAttempts", "expireAfterMin")]
        told = [each for each in ends if not isinstance(each, Missing)]
        return (told or [Missing("retryPolicies")])[0]


def judge_jobs(
    resource: Resource, check: Callable[[Job], Iterable[Finding]], facts: SettingFacts = _NO_SETTINGS
) -> Iterator[Finding]:
    """The findings of a check over the jobs of a resource (one of `JOBS`), each once; they name the step."""
    if resource.token == TRAINING_JOB:
        yield from check(Job(kind=Kind.TRAINING, request=resource.properties, tagged=resource.tag))
        return
    seen: dict[Finding, None] = {}
    for job in _jobs(resource.get(_DEFINITION)):
        found = [job] if isinstance(job, Undetermined) else [_placed(each, job, facts.settings) for each in check(job)]
        seen |= dict.fromkeys(found)
    yield from seen


def _placed(finding: Finding, job: Job, settings: Mapping[str, str]) -> Finding:
    """A finding in the words of the definition."""
    spelled = re.sub(r"(^|\.)([a-z])", lambda match: match[1] + match[2].upper(), finding.path)
    path = f"{job.place}.{spelled}"
    if isinstance(finding, Undetermined):
        return replace(finding, path=path, why=_TOLD if finding.why == LATER else finding.why)
    place = f"{job.step.child('name').text()}/{spelled.rpartition('.')[2]}"
    setting = next((told for pattern, told in settings.items() if fnmatchcase(place, pattern)), None)
    fix = finding.fix if setting is None else f"change {setting}, or what the pack configuration allows, with a review"
    return replace(finding, path=path, fix=fix)


def _names(listed: Value, name: str) -> bool:
    return any(each.text() == name for each in listed.elements())


def _jobs(definition: Value) -> Iterator[Job | Undetermined]:
    parsed = definition.json()
    content: object = parsed.raw if isinstance(parsed, Known) else None
    raw = cast("Raw", content) if isinstance(content, dict) else {}
    if isinstance(definition, Unknown):
        yield Undetermined(path=definition.path)
    elif isinstance(definition, Missing):
        yield Undetermined(path=definition.path, why="the definition is not in the program")
    elif definition.text() is None or not _listed(raw, "Steps"):
        yield Undetermined(path=definition.path, why="the text is no definition with steps")
    else:
        parameters = {str(each.get("Name")): _choices(each) for each in _listed(raw, "Parameters")}
        for step in _steps(_listed(raw, "Steps")):
            yield from _of_step(step, parameters)


def _listed(raw: Mapping[str, object], name: str) -> list[Raw]:
    members = raw.get(name)
    listed = cast("list[object]", members) if isinstance(members, list) else []
    return [cast("Raw", each) for each in listed if isinstance(each, dict)]


def _steps(steps: Iterable[Raw]) -> Iterator[Raw]:
    """The steps, and those that conditions lead to."""
    for step in steps:
        yield step
        inner = step.get("Arguments")
        if step.get("Type") == "Condition" and isinstance(inner, dict):
            for name in ("IfSteps", "ElseSteps"):
                yield from _steps(_listed(cast("Raw", inner), name))


def _choices(parameter: Raw) -> list[object]:
    listed, default = parameter.get("EnumValues"), parameter.get("DefaultValue")
    if isinstance(listed, list) and listed:
        return cast("list[object]", listed)
    return [UNKNOWN] if default is None else [default, UNKNOWN]


def _of_step(step: Raw, parameters: Mapping[str, list[object]]) -> Iterator[Job | Undetermined]:
    name, kind = step.get("Name"), str(step.get("Type"))
    place = f'{_DEFINITION}.Steps["{name}"]'
    if kind in _WITHOUT_JOBS:
        return
    if kind not in _KINDS:
        yield Undetermined(path=place, why=f"what a step of type {kind} starts is not read")
        return
    text = json.dumps(step)
    used = [each for each in parameters if f'"Parameters.{each}"' in text]
    choices = [parameters[each] for each in used]
    many = 1
    for each in choices:
        many *= len(each)
    told = product(*choices) if many <= _MOST_CHOICES else [(UNKNOWN,) * len(used)]
    for values in told:
        yield from _requests(_resolved(step, dict(zip(used, values, strict=True))), kind, place)


def _requests(resolved: object, kind: str, place: str) -> Iterator[Job]:
    root = value_of(resolved)
    paths = _REQUESTS if kind == "Tuning" else ("arguments",)
    requests = [each for path in paths for each in root.select(path) if not isinstance(each, Missing)]
    tags = {each.child("key").text(): each.child("value") for each in root.select("arguments.tags[*]")}

    def tagged(key: str) -> Value:
        return tags.get(key, Unknown("arguments.tags") if None in tags else Missing("arguments.tags"))

    for request in requests or [Missing("arguments")]:
        yield Job(kind=_KINDS[kind], request=request, tagged=tagged, step=root, place=place)


def _resolved(raw: object, told: Mapping[str, object]) -> object:
    """The words of a definition as the provider spells them, references replaced by what they stand for."""
    if isinstance(raw, list):
        return [_resolved(each, told) for each in cast("list[object]", raw)]
    if not isinstance(raw, dict):
        return raw
    held = cast("Raw", raw)
    word, value = next(iter(held.items()), ("", None))
    if len(held) == 1 and word == "Get":
        return told.get(str(value).removeprefix("Parameters."), UNKNOWN)
    if len(held) == 1 and word == "Std:Join" and isinstance(value, dict):
        return _joined(cast("Raw", value), told)
    if len(held) == 1 and word.startswith("Std:"):
        return UNKNOWN
    return {key[:1].lower() + key[1:]: _resolved(each, told) for key, each in held.items()}


def _joined(join: Raw, told: Mapping[str, object]) -> object:
    """The text that is joined; of an image whose digest an execution names, with any digest."""
    values = _resolved(join.get("Values"), told)
    parts = cast("list[object]", values) if isinstance(values, list) else [UNKNOWN]
    text = str(join.get("On", "")).join(_OPEN if each == UNKNOWN else str(each) for each in parts)
    image = _BY_DIGEST.fullmatch(text)
    if image is not None:
        return f"{image[1]}@sha256:{'0' * 64}"
    return UNKNOWN if _OPEN in text else text
