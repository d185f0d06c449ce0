"""Endpoints of SageMaker as they are registered: what each target gets, and what a change of it replaces."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from components import endpoint_objects as objects
from components.grants import inline_policies
from components.labels import Labels
from components.model_places import ModelPlaces
from components.served_grants import abilities, readable
from components.served_models import served_model
from settings.model import EnvironmentSpec, ModelSpec
from settings.rules.models import ARTEFACT_FOLDERS
from settings.rules.serving_sagemaker import TAKEN
from tests.support.iam_evaluator import may
from tests.support.recorded import Recorded, Resource, record_program, stack_section
from tests.support.targets import FLEET, ROW, SERVED, TARGETS, all_served, approved, model_of, serving, trained

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
MODEL = "aws:sagemaker/model:Model"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SCALED = "aws:appautoscaling/target:Target"
POLICY = "aws:appautoscaling/policy:Policy"
TOPIC = "aws:sns/topic:Topic"
LOGS = "aws:cloudwatch/logGroup:LogGroup"
BUCKET = "slipway-prod-777788889999-us-east-1-models"
ROLE = "slipway-prod-model"
ACCOUNT = "us-east-1:777788889999:"
ONLINE = [name for name in SERVED if name != "nightly"]
STEPWISE = ["at-once", "queue"]


@functools.cache
def recorded() -> Recorded:
    """Every kind of model in one environment."""
    return record_program("prod", overrides=all_served())


def one(token: str, model: str, suffix: str = "") -> Resource:
    return recorded().one(token, f"inference-{model}{suffix}")


def configuration(model: str) -> Resource:
    return one(CONFIGURATION, model, "-configuration")


def deployed(model: str) -> Resource:
    return recorded().one(MODEL, f"registry-{model}-approved")


def alarms(model: str) -> dict[str, Resource]:
    start = f"inference-{model}-"
    return {item.name.removeprefix(start): item for item in recorded().of_type(ALARM) if item.name.startswith(start)}


@functools.cache
def labels() -> Labels:
    return Labels(EnvironmentSpec.model_validate_json(json.dumps(stack_section("prod", "environment"))))


def names(where: dict[str, Any], version: int = 3) -> tuple[str, str, str]:
    """Names of the model, the endpoint and its configuration."""
    model = ModelSpec.model_validate_json(json.dumps(model_of("flight-delay", where, version)))
    spec, version_ = objects.online(model), model.approved
    assert spec is not None
    assert version_ is not None
    deployed_, endpoint = served_model(labels(), model, version_).name, objects.endpoint_name(labels(), model)
    captures = f"{model.name}/captures/version-{version}"
    return deployed_, endpoint, objects.configuration_name(endpoint, deployed_, spec, captures)


def every_prefix(name: str) -> list[str]:
    """All prefixes that the platform knows of a model."""
    places = ModelPlaces(labels(), ModelSpec.model_validate_json(json.dumps(model_of(name, serving("batch")))))
    found = [getattr(places, each) for each, kind in vars(ModelPlaces).items() if isinstance(kind, property)]
    return [each for each in found if isinstance(each, str) and each.startswith(f"{name}/")]


def real_time(**more: Any) -> dict[str, Any]:
    return serving("real-time", realTime={**TARGETS["realTime"], **more})


def test_only_models_that_an_endpoint_serves_have_one_and_its_name_says_where() -> None:
    assert set(recorded().exports["endpointNames"]) == set(ONLINE)
    for model in ONLINE:
        assert recorded().exports["endpointNames"][model] == one(ENDPOINT, model).inputs["name"]
    assert one(ENDPOINT, "queue").inputs["name"].startswith("slipway-prod-queue-asynchronous-")


def test_an_environment_that_no_endpoint_serves_has_nothing_of_them() -> None:
    plain = record_program("prod")
    for token in (CONFIGURATION, ENDPOINT, SCALED):
        with pytest.raises(LookupError):
            plain.of_type(token)
    assert not [each.name for each in plain.of_type(ALARM) if each.name.startswith("inference-")]
    assert plain.exports["endpointNames"] == {}


def test_the_next_version_moves_the_same_endpoint_to_another_configuration_and_another_model() -> None:
    third, fourth = names(serving("real-time"), 3), names(serving("real-time"), 4)
    assert [before == after for before, after in zip(third, fourth, strict=True)] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (real_time(capturePercent=10), (True, True, False)),
        (real_time(instances=3), (True, True, False)),
        (real_time(scaling=None), (True, True, True)),
        (real_time(logRetentionDays=30), (True, True, True)),
        (real_time(rollout={**TARGETS["realTime"]["rollout"], "waitSeconds": 60}), (True, True, True)),
        (real_time(instanceType="ml.m6i.large"), (True, False, False)),
        (serving("real-time", hosting=FLEET), (False, True, False)),
        (serving("real-time", hosting=ROW), (False, True, False)),
        (serving("asynchronous"), (True, False, False)),
        (serving("serverless"), (False, False, False)),
    ],
)
def test_what_cannot_be_changed_in_place_gets_another_name(
    change: dict[str, Any], same: tuple[bool, bool, bool]
) -> None:
    before, after = names(real_time()), names(change)
    assert tuple(left == right for left, right in zip(before, after, strict=True)) == same


def test_no_name_is_longer_than_sagemaker_takes() -> None:
    longest = {**trained(), "name": "a" * 32, "approved": approved(99_999), "serving": serving("asynchronous")}
    spec = ModelSpec.model_validate_json(json.dumps(longest))
    environment = json.dumps({**stack_section("prod", "environment"), "name": "e" * 12})
    assert len(objects.endpoint_name(Labels(EnvironmentSpec.model_validate_json(environment)), spec)) == 63


def test_volumes_and_captures_are_under_our_key_and_captures_below_a_prefix_of_their_own() -> None:
    found, key = configuration("at-once"), recorded().one("aws:kms/key:Key").urn
    assert found.property_dependencies["kmsKeyArn"] == [key]
    capture = found.inputs["dataCaptureConfig"]
    assert capture["destinationS3Uri"] == f"s3://{BUCKET}/at-once/captures/version-3"
    assert capture["initialSamplingPercentage"] == 20
    assert {option["captureMode"] for option in capture["captureOptions"]} == {"Input", "Output"}
    assert key in found.property_dependencies["dataCaptureConfig"]


def test_local_disks_have_no_key_of_ours_because_sagemaker_refuses_one() -> None:
    assert "kmsKeyArn" not in configuration("row").inputs


def test_a_serverless_model_is_outside_the_vpc_and_has_neither_instances_nor_steps() -> None:
    model, found = deployed("now-and-then"), configuration("now-and-then")
    assert "vpcConfig" not in model.inputs
    assert model.inputs["enableNetworkIsolation"] is False
    (variant,) = found.inputs["productionVariants"]
    assert variant["serverlessConfig"] == {"memorySizeInMb": 2048, "maxConcurrency": 20}
    assert "instanceType" not in variant
    assert "kmsKeyArn" not in found.inputs
    assert "deploymentConfig" not in one(ENDPOINT, "now-and-then").inputs


@pytest.mark.parametrize("name", [name for name in SERVED if name != "now-and-then"])
def test_every_other_model_is_in_the_vpc_and_isolated(name: str) -> None:
    assert deployed(name).inputs["enableNetworkIsolation"] is True
    assert deployed(name).inputs["vpcConfig"]


@pytest.mark.parametrize("name", STEPWISE)
def test_a_deployment_goes_in_steps_and_is_taken_back_by_every_alarm_of_the_endpoint(name: str) -> None:
    endpoint = one(ENDPOINT, name)
    deployment = endpoint.inputs["deploymentConfig"]
    assert deployment["blueGreenUpdatePolicy"] == {
        "trafficRoutingConfiguration": {
            "type": "CANARY",
            "waitIntervalInSeconds": 600,
            "canarySize": {"type": "CAPACITY_PERCENT", "value": 10},
        },
        "terminationWaitInSeconds": 300,
        "maximumExecutionTimeoutInSeconds": 3600,
    }
    watching = [alarm for kind, alarm in alarms(name).items() if kind != "waiting"]
    named = {item["alarmName"] for item in deployment["autoRollbackConfiguration"]["alarms"]}
    assert named == {alarm.inputs["name"] for alarm in watching}
    assert all(recorded().depends_path(endpoint, alarm) for alarm in watching)


STEADY: dict[str, Any] = {"requestsPerMinute": None, "cpuPercent": 120}
OTHERWISE: dict[str, dict[str, Any]] = {
    "even": real_time(
        instances=4,
        scaling={**TARGETS["realTime"]["scaling"], **STEADY},
        rollout={**TARGETS["realTime"]["rollout"], "shift": "linear", "stepPercent": 25},
    ),
    "whole": real_time(
        instances=3,
        scaling=None,
        rollout={**TARGETS["realTime"]["rollout"], "shift": "all-at-once", "stepPercent": None},
    ),
    "picked": serving(
        "real-time",
        hosting={"fleet": None, "row": {**ROW["row"], "mode": "direct"}},
        realTime={**TARGETS["realTime"], "capturePercent": 0},
    ),
}
"""Models that answer as `SERVED` do not: traffic in equal steps or at once, a choice of containers, processors kept."""


@functools.cache
def otherwise() -> Recorded:
    models = [model_of(name, where) for name, where in OTHERWISE.items()]
    return record_program("prod", overrides=json.dumps({"models": models}))


@pytest.mark.parametrize(
    ("name", "routing"),
    [
        (
            "even",
            {
                "type": "LINEAR",
                "waitIntervalInSeconds": 600,
                "linearStepSize": {"type": "CAPACITY_PERCENT", "value": 25},
            },
        ),
        ("whole", {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 600}),
    ],
)
def test_traffic_moves_in_equal_steps_or_at_once_and_alarms_take_it_back(name: str, routing: dict[str, Any]) -> None:
    endpoint = otherwise().one(ENDPOINT, f"inference-{name}")
    deployment = endpoint.inputs["deploymentConfig"]
    assert deployment["blueGreenUpdatePolicy"] == {
        "trafficRoutingConfiguration": routing,
        "terminationWaitInSeconds": 300,
        "maximumExecutionTimeoutInSeconds": 3600,
    }
    kinds = ("errors", "model-time", "overhead-time")
    expected = [{"alarmName": f"{endpoint.inputs['name']}-{kind}"} for kind in kinds]
    assert deployment["autoRollbackConfiguration"] == {"alarms": expected}


def test_a_request_picks_one_of_several_containers() -> None:
    model = otherwise().one(MODEL, "registry-picked-approved")
    repository = "777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/picked"
    assert model.inputs["inferenceExecutionConfig"] == {"mode": "Direct"}
    assert "primaryContainer" not in model.inputs
    assert model.inputs["containers"] == [
        {"image": f"{repository}@sha256:{'cd' * 32}", "containerHostname": "before"},
        {
            "image": f"{repository}@sha256:{'ab' * 32}",
            "modelDataUrl": approved(3, "picked")["modelData"],
            "containerHostname": "model",
        },
    ]


@pytest.mark.parametrize(("name", "count"), [("even", 4), ("whole", 3), ("picked", 2)])
def test_an_endpoint_starts_with_the_instances_of_the_settings(name: str, count: int) -> None:
    found = otherwise().one(CONFIGURATION, f"inference-{name}-configuration")
    assert found.inputs["productionVariants"] == [
        {
            "variantName": "main",
            "modelName": otherwise().one(MODEL, f"registry-{name}-approved").inputs["name"],
            "instanceType": "ml.m5.large",
            "initialInstanceCount": count,
            "initialVariantWeight": 1,
        }
    ]


def test_scaling_keeps_the_use_of_processors_that_the_settings_name() -> None:
    target = otherwise().one(SCALED, "inference-even-instances")
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (4, 6)
    policy = otherwise().one(POLICY, "inference-even-load")
    endpoint = otherwise().one(ENDPOINT, "inference-even").inputs["name"]
    assert policy.inputs["policyType"] == "TargetTrackingScaling"
    assert policy.inputs["targetTrackingScalingPolicyConfiguration"] == {
        "targetValue": 120,
        "customizedMetricSpecification": {
            "namespace": "/aws/sagemaker/Endpoints",
            "metricName": "CPUUtilization",
            "statistic": "Average",
            "dimensions": [{"name": "EndpointName", "value": endpoint}, {"name": "VariantName", "value": "main"}],
        },
        "scaleInCooldown": 300,
        "scaleOutCooldown": 60,
    }
    assert not [each for each in otherwise().of_type(SCALED) if each.name.startswith("inference-whole")]


def test_alarms_watch_errors_and_the_slowest_requests_in_the_units_of_their_metrics() -> None:
    found = alarms("at-once")
    assert {name: alarm.inputs["metricName"] for name, alarm in found.items()} == {
        "errors": "Invocation5XXErrors",
        "model-time": "ModelLatency",
        "overhead-time": "OverheadLatency",
    }
    assert found["errors"].inputs["threshold"] == 0.01
    assert found["errors"].inputs["statistic"] == "Average"
    assert found["model-time"].inputs["threshold"] == 100_000
    assert [alarm.inputs.get("extendedStatistic") for alarm in found.values()] == [None, "p99", "p99"]
    assert set(alarms("queue")) == {"errors", "model-time", "waiting"}


def test_alarms_reach_a_topic_that_the_key_lets_them_write_to() -> None:
    topic, key = recorded().one(TOPIC, "alarms-topic"), recorded().one("aws:kms/key:Key")
    assert topic.property_dependencies["kmsMasterKeyId"] == [key.urn]
    for alarm in alarms("at-once").values():
        assert alarm.property_dependencies["alarmActions"] == [topic.urn]
    (statement,) = [each for each in key.policy()["Statement"] if each["Sid"] == "TellOfAlarms"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "777788889999"}


def test_scaling_keeps_seven_tenths_of_what_an_instance_was_measured_to_answer() -> None:
    target, policy = one(SCALED, "at-once", "-instances"), one(POLICY, "at-once", "-load")
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (2, 6)
    name = one(ENDPOINT, "at-once").inputs["name"]
    assert target.inputs["resourceId"] == f"endpoint/{name}/variant/main"
    tracking = policy.inputs["targetTrackingScalingPolicyConfiguration"]
    assert tracking["targetValue"] == pytest.approx(4200)
    assert tracking["predefinedMetricSpecification"] == {
        "predefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }


def test_an_empty_queue_has_no_instance_and_the_first_request_starts_one() -> None:
    assert one(SCALED, "queue", "-instances").inputs["minCapacity"] == 0
    (variant,) = configuration("queue").inputs["productionVariants"]
    assert variant["initialInstanceCount"] == 1
    load = one(POLICY, "queue", "-load").inputs["targetTrackingScalingPolicyConfiguration"]
    assert load["customizedMetricSpecification"]["metricName"] == "ApproximateBacklogSizePerInstance"
    assert load["targetValue"] == 5
    wake, waiting = one(POLICY, "queue", "-wake"), alarms("queue")["waiting"]
    assert wake.inputs["stepScalingPolicyConfiguration"]["stepAdjustments"] == [
        {"metricIntervalLowerBound": "0", "scalingAdjustment": 1}
    ]
    assert waiting.inputs["metricName"] == "HasBacklogWithoutCapacity"
    assert waiting.property_dependencies["alarmActions"] == [wake.urn]


def test_answers_of_a_queue_go_to_prefixes_and_topics_under_our_key() -> None:
    key = recorded().one("aws:kms/key:Key").urn
    output = configuration("queue").inputs["asyncInferenceConfig"]["outputConfig"]
    assert output["s3OutputPath"] == f"s3://{BUCKET}/queue/answers"
    assert output["s3FailurePath"] == f"s3://{BUCKET}/queue/failures"
    for kind, name in (("successTopic", "answers"), ("errorTopic", "failures")):
        assert output["notificationConfig"][kind].endswith(f":slipway-prod-queue-{name}")
    assert all(topic.property_dependencies["kmsMasterKeyId"] == [key] for topic in recorded().of_type(TOPIC))


def test_a_fleet_loads_archives_below_its_prefix_within_the_memory_that_the_server_is_told() -> None:
    assert deployed("fleet").inputs["primaryContainer"] == {
        "image": f"777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/fleet@sha256:{'ab' * 32}",
        "modelDataUrl": f"s3://{BUCKET}/fleet/fleet/",
        "mode": "MultiModel",
        "environment": {"SLIPWAY_MODELS_MEMORY_BYTES": str(2048 * 1024 * 1024)},
    }
    assert "dataCaptureConfig" not in configuration("fleet").inputs


def test_a_server_is_told_how_much_callers_send_and_how_many_at_once() -> None:
    given = deployed("queue").inputs["primaryContainer"]["environment"]
    assert given == {
        "SLIPWAY_PAYLOAD_MB": "13",
        "SLIPWAY_PAYLOADS_AT_ONCE": str(TARGETS["asynchronous"]["concurrency"]),
    }
    assert "environment" not in deployed("at-once").inputs["primaryContainer"]


def test_a_row_of_containers_holds_the_approved_version_in_its_place() -> None:
    model = deployed("row")
    assert model.inputs["inferenceExecutionConfig"] == {"mode": "Serial"}
    assert "primaryContainer" not in model.inputs
    first, second = model.inputs["containers"]
    assert (first["containerHostname"], second["containerHostname"]) == ("before", "model")
    assert "modelDataUrl" not in first
    assert second["modelDataUrl"].endswith("/output/model.tar.gz")


@pytest.mark.parametrize("name", ONLINE)
def test_the_log_group_is_there_before_the_endpoint_that_writes_to_it(name: str) -> None:
    endpoint, logs = one(ENDPOINT, name), one(LOGS, name, "-logs")
    assert logs.inputs["name"] == f"/aws/sagemaker/Endpoints/{endpoint.inputs['name']}"
    assert recorded().depends_path(endpoint, logs)
    key = recorded().one("aws:kms/key:Key").policy()
    (statement,) = [each for each in key["Statement"] if each["Sid"] == "EncryptLogGroups"]
    encrypted = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert any(arn.endswith(":log-group:/aws/sagemaker/Endpoints/slipway-prod-*") for arn in encrypted)


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        ("at-once", {"captures"}),
        ("queue", {"answers", "failures"}),
        ("nightly", {"batches"}),
        ("now-and-then", set[str]()),
        ("fleet", set[str]()),
    ],
)
def test_served_models_write_below_the_prefixes_of_their_target_and_nowhere_else(name: str, writes: set[str]) -> None:
    objects_ = f"arn:aws:s3:::{BUCKET}/{name}"
    prefixes = {"captures", "answers", "failures", "batches", "jobs", "data", "fleet"}
    written = {prefix for prefix in prefixes if may(recorded(), ROLE, "s3:PutObject", f"{objects_}/{prefix}/x", {})}
    assert written == writes
    assert not may(recorded(), ROLE, "s3:DeleteObject", f"{objects_}/captures/x", {})


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("at-once", set[str]()),
        ("now-and-then", set[str]()),
        ("row", set[str]()),
        ("queue", {"rows"}),
        ("nightly", {"rows"}),
        ("fleet", {"fleet"}),
    ],
)
def test_served_models_read_artefacts_and_what_is_asked_of_them_and_no_data_set(name: str, reads: set[str]) -> None:
    prefixes = {prefix.split("/")[1] for prefix in every_prefix(name)} | {"fleet"}
    assert {"data", "captures", "truth"} < prefixes
    objects_, bucket = f"arn:aws:s3:::{BUCKET}/{name}", f"arn:aws:s3:::{BUCKET}"
    read = {prefix for prefix in prefixes if may(recorded(), ROLE, "s3:GetObject", f"{objects_}/{prefix}/x", {})}
    assert read == reads | {"jobs", "promoted"}
    for prefix in prefixes:
        listing = {"s3:prefix": f"{name}/{prefix}/"}
        assert may(recorded(), ROLE, "s3:ListBucket", bucket, listing) is (prefix in read), prefix
    assert not may(recorded(), ROLE, "s3:ListBucket", bucket, {"s3:prefix": f"{name}/"})
    data = f"arn:aws:s3:::{BUCKET.removesuffix('models')}data/{name}/train/x"
    assert not may(recorded(), ROLE, "s3:GetObject", data, {})


def test_no_fleet_takes_a_folder_that_the_platform_uses() -> None:
    assert {prefix.split("/")[1] for prefix in every_prefix("fleet")} == set(TAKEN)


def test_a_served_model_reads_artefacts_where_the_settings_let_an_approved_one_lie() -> None:
    prefixes = readable(labels(), ModelSpec.model_validate_json(json.dumps(model_of("churn", serving("real-time")))))
    assert prefixes == [f"churn/{folder}/" for folder in ARTEFACT_FOLDERS]


def by_pods(name: str, artefact: str | None) -> ModelSpec:
    """A model that pods serve, with its artefact below its own prefix, or without a version."""
    package = {**approved(3, name), "modelData": f"s3://{BUCKET}/{name}/{artefact}/model.tar.gz"}
    spec = {**model_of(name, serving("eks")), "approved": None if artefact is None else package}
    return ModelSpec.model_validate_json(json.dumps(spec))


def test_without_a_version_a_model_is_not_read() -> None:
    nothing = {**model_of("churn", serving("asynchronous")), "approved": None}
    for model in (ModelSpec.model_validate_json(json.dumps(nothing)), by_pods("churn", None)):
        assert abilities(labels(), (model,))["read-models"] == []


@pytest.mark.parametrize("folder", ARTEFACT_FOLDERS)
def test_of_a_model_that_pods_serve_the_folder_of_the_approved_artefact_is_read_alone(folder: str) -> None:
    resource = f"arn:aws:s3:::{BUCKET}/churn/{folder}/*"
    granted = abilities(labels(), (by_pods("churn", f"{folder}/x"),))["read-models"]
    assert granted == [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": [resource]}]


def test_the_role_has_room_for_fifty_models_that_pods_serve() -> None:
    models = tuple(by_pods(f"model-{number}", "jobs/x/output") for number in range(50))
    inline_policies(abilities(labels(), models))


def test_only_queues_publish_and_only_alarms_of_deployments_are_looked_at() -> None:
    topics = {f"slipway-prod-{name}-{kind}" for name in SERVED for kind in ("answers", "failures")}
    topics |= {"slipway-prod-alarms"}
    published = {topic for topic in topics if may(recorded(), ROLE, "sns:Publish", f"arn:aws:sns:{ACCOUNT}{topic}", {})}
    assert published == {f"slipway-prod-{name}-{kind}" for name in ("queue",) for kind in ("answers", "failures")}
    for alarm in recorded().of_type(ALARM):
        if not alarm.name.startswith("inference-"):
            continue
        arn = f"arn:aws:cloudwatch:{ACCOUNT}alarm:{alarm.inputs['name']}"
        assert may(recorded(), ROLE, "cloudwatch:DescribeAlarms", arn, {}) is not alarm.name.endswith("-waiting")
