"""Names in AWS: one thing each, between environments, models and runs, and of a form that the service takes."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Final

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import drift_objects, endpoint_objects
from components.labels import MAX_ROLE_NAME, Labels
from components.model_places import Duty, ModelPlaces
from lifecycle import pipelines
from lifecycle.transforms import Plan, transform_request
from sandbox.loop import execution
from settings.model import EnvironmentSpec, ModelSpec
from tests.support.recorded import Recorded, record_program, stack_section
from tests.support.targets import model_of, serving

if TYPE_CHECKING:
    from botocore.model import Shape

KINDS: Final = {
    "aws:cloudwatch/eventRule:EventRule": ("name", "events", "PutRule", "Name"),
    "aws:cloudwatch/logGroup:LogGroup": ("name", "logs", "CreateLogGroup", "logGroupName"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name", "cloudwatch", "PutMetricAlarm", "AlarmName"),
    "aws:codebuild/project:Project": ("name", "codebuild", "CreateProject", "name"),
    "aws:ecr/repository:Repository": ("name", "ecr", "CreateRepository", "repositoryName"),
    "aws:iam/role:Role": ("name", "iam", "CreateRole", "RoleName"),
    "aws:kms/alias:Alias": ("name", "kms", "CreateAlias", "AliasName"),
    "aws:sagemaker/endpoint:Endpoint": ("name", "sagemaker", "CreateEndpoint", "EndpointName"),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": (
        *("name", "sagemaker", "CreateEndpointConfig", "EndpointConfigName"),
    ),
    "aws:sagemaker/model:Model": ("name", "sagemaker", "CreateModel", "ModelName"),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        *("modelPackageGroupName", "sagemaker", "CreateModelPackageGroup", "ModelPackageGroupName"),
    ),
    "aws:sagemaker/pipeline:Pipeline": ("pipelineName", "sagemaker", "CreatePipeline", "PipelineName"),
    "aws:scheduler/schedule:Schedule": ("name", "scheduler", "CreateSchedule", "Name"),
    "aws:signer/signingProfile:SigningProfile": ("name", "signer", "PutSigningProfile", "profileName"),
}
"""Type → input with its name, and the request whose field bounds it."""
UNBOUNDED: Final = {
    "aws:appautoscaling/policy:Policy": ("name", 256),
    "aws:s3/bucket:Bucket": ("bucket", 63),
    "aws:sns/topic:Topic": ("name", 256),
    "aws:sqs/queue:Queue": ("name", 80),
    "aws:dynamodb/table:Table": ("name", 255),
    "aws:lambda/function:Function": ("name", 64),
    "aws:eks/nodeGroup:NodeGroup": ("nodeGroupName", 63),
    "aws:ec2/launchTemplate:LaunchTemplate": ("name", 128),
}
"""The same of services whose model in botocore tells no bound, or one of ARNs; from their API references."""
JOBS: Final = ("CreateProcessingJob", "CreateTrainingJob", "CreateTransformJob", "CreateHyperParameterTuningJob")
LONGEST: Final = "a" * 12, "b" * 32
NAMES: Final = ("m", "m-train", "m-answers", "m-batch", "retraining", LONGEST[1])
"""Models whose names, with what is added to them, look like others' names."""

environments = st.from_regex(r"[a-c][a-c1]{0,3}", fullmatch=True)
models = st.from_regex(r"[a-c][a-c1]{0,3}(-(train|new|a|b)){0,2}", fullmatch=True)


@functools.cache
def _template() -> tuple[EnvironmentSpec, ModelSpec]:
    environment = EnvironmentSpec.model_validate_json(json.dumps(stack_section("prod", "environment")))
    return environment, ModelSpec.model_validate_json(json.dumps(model_of("m", serving("asynchronous"))))


def places_of(environment: str, model: str) -> ModelPlaces:
    around, spec = _template()
    labels = Labels(around.model_copy(update={"name": environment}))
    return ModelPlaces(labels, spec.model_copy(update={"name": model}))


def built(environment: str, model: str) -> dict[str, set[str]]:
    """Names that belong to one model of one environment, by what has to tell them apart."""
    places = places_of(environment, model)
    labels = places.labels
    return {
        "roles": {places.role(duty) for duty in Duty}
        | {labels.role(f"{model}-batch"), drift_objects.clock_role(labels, places.model)}
        | {labels.role(drift_objects.function_role(places.model))},
        "package groups": {labels.package_group(model)},
        "pipelines": {labels.pipeline(model)},
        "repositories": {labels.repository(model)},
        "builds": {labels.package_build(model)},
        "models": {labels.model(model, 1, "digest"), labels.model(model, 2, "digest"), labels.model(model, 1, "other")},
        "endpoints": {labels.endpoint(model, target) for target in ("real-time", "serverless")},
        "topics": {endpoint_objects.topic_name(labels, each) for each in endpoint_objects.answer_topics(places.model)},
        "rules": {labels.rule(f"{model}-{event}") for event in ("new-data", "drift", "retrain")},
        "jobs": {places.job_prefix},
    }


@given(st.lists(st.tuples(environments, models), min_size=2, max_size=6, unique=True))
def test_no_two_models_of_any_environments_share_a_name(pairs: list[tuple[str, str]]) -> None:
    every = [built(*pair) for pair in pairs]
    for kind in every[0]:
        names = [name for one in every for name in one[kind]]
        assert len(names) == len(set(names)), kind
    prefixes = [f"{each['jobs'].copy().pop()}-" for each in every]
    assert not [(a, b) for a in prefixes for b in prefixes if a is not b and a.startswith(b)]


def test_the_longest_names_of_environment_and_model_leave_room_for_every_role() -> None:
    assert max(len(name) for name in built(*LONGEST)["roles"]) <= MAX_ROLE_NAME


@given(st.lists(st.tuples(st.sampled_from(["v1", "v2"]), st.integers(1, 20)), min_size=2, unique=True))
def test_runs_over_other_data_and_later_attempts_have_other_names(runs: list[tuple[str, int]]) -> None:
    plan = Plan(job_prefix="p", output="s3://b/o", request={"TransformInput": {}, "TransformOutput": {}})
    tokens = {pipelines.token("p", "{}", {"DataVersion": data}, attempt) for data, attempt in runs}
    names = {transform_request(plan, "s3://b/i", data, attempt)["TransformJobName"] for data, attempt in runs}
    assert len(tokens) == len(names) == len(runs)


def test_names_of_jobs_fit_with_the_longest_names_and_the_last_attempt() -> None:
    places = places_of(*LONGEST)
    for operation in JOBS:
        field = operation.removeprefix("Create") + "Name"
        prefix = places.tuning_prefix if operation.startswith("CreateHyper") else places.job_prefix
        _check(execution.job_name(prefix, "0123456789ab", "arn/Train", 19), _shape("sagemaker", operation, field))


@functools.cache
def _shape(service: str, operation: str, field: str) -> Shape:
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    return shape.members[field]


def _check(name: str, shape: Shape) -> None:
    assert len(name) <= shape.metadata["max"], name
    assert re.fullmatch(shape.metadata.get("pattern", ".*"), name), name


def adversarial() -> Recorded:
    """The program with models that are called as badly as the settings let them be, in an environment alike."""
    served = [model_of(name, serving("batch" if name == "m-batch" else "asynchronous")) for name in NAMES]
    alone: dict[str, object] = {
        "promotesFrom": None,
        "promoterArns": [],
    }  # the policies of promotion grow with every model
    here = json.dumps({"environment": {"name": LONGEST[0]}, "models": served, "registry": alone})
    return record_program("prod", overrides=here.replace("slipway-prod-", f"slipway-{LONGEST[0]}-"))


@pytest.mark.program
def test_everything_in_aws_has_a_name_of_its_own_that_the_service_takes() -> None:
    program = adversarial()
    for token, (key, *request) in KINDS.items():
        named = [(each.inputs.get("eventBusName", ""), each.inputs[key]) for each in program.of_type(token)]
        assert len(named) == len(set(named)), token
        for _, name in named:
            _check(name, _shape(*request))
    for token, (key, most) in UNBOUNDED.items():
        names = [each.inputs[key] for each in program.of_type(token) if key in each.inputs]
        assert names
        assert len(names) == len(set(names)), token
        assert max(map(len, names)) <= most, token
