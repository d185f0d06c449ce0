"""What served models may do beside reading what they serve: one ability for each target that needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import grants, iam
from components.endpoint_objects import alarm_name, answer_topics, endpoint_name, topic_name, watches
from components.labels import ENDPOINT_LOGS, MODELS
from components.model_places import ModelPlaces
from settings.model import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

TRANSFORM_LOGS: Final = "/aws/sagemaker/TransformJobs"
"""Log group of every batch transform job of an account, and CloudWatch namespace; SageMaker fixes and creates it."""


def abilities(labels: Labels, models: tuple[ModelSpec, ...]) -> dict[str, list[iam.Statement]]:
    """Abilities of the role that all served models have, by their names; an ability that nobody needs is empty."""
    account, bucket = iam.Account.of(labels.environment), labels.bucket(MODELS)
    log_groups = f"{labels.endpoint_logs}*"
    topics = [
        account.arn("sns", topic_name(labels, topic))
        for model in targeted(models, Target.ASYNCHRONOUS)
        for topic in answer_topics(model)
    ]
    batches = targeted(models, Target.BATCH)
    return {
        "read-models": [
            *grants.read_objects(account, bucket, [prefix for model in models for prefix in readable(labels, model)]),
            *grants.get_objects(account, bucket, [prefix for model in models for prefix in looked_for(labels, model)]),
        ],
        "write-results": grants.write_objects(
            account, bucket, [prefix for model in models for prefix in results(labels, model)]
        ),
        "pull-images": grants.pull_images(account, [labels.repository(model.name) for model in models]),
        "write-logs": grants.create_log_group(account, log_groups) + grants.write_logs(account, log_groups),
        "put-metrics": grants.put_metrics(ENDPOINT_LOGS),
        "attach-to-network": grants.attach_to_network(account, labels.ownership),
        "publish-answers": grants.publish(topics),
        "watch-alarms": grants.watch_alarms(
            [
                account.arn("cloudwatch", f"alarm:{alarm_name(labels, model, watch.name)}")
                for model in models
                for watch in watches(model)
            ]
        ),
        "run-batches": [
            *grants.create_log_group(account, TRANSFORM_LOGS),
            *grants.write_logs(account, TRANSFORM_LOGS),
            *grants.put_metrics(TRANSFORM_LOGS),
        ]
        if batches
        else [],
    }


def invoke_endpoints(labels: Labels, models: Sequence[ModelSpec]) -> list[iam.Statement]:
    """Ask the endpoints of these models, and no other; an asynchronous one is asked by a call of its own.

    Source: service authorization reference of Amazon SageMaker.
    """
    account = iam.Account.of(labels.environment)
    endpoints: dict[str, list[str]] = {}
    for model in models:
        asynchronous = model.serving is not None and model.serving.target is Target.ASYNCHRONOUS
        action = "sagemaker:InvokeEndpointAsync" if asynchronous else "sagemaker:InvokeEndpoint"
        endpoints.setdefault(action, []).append(account.arn("sagemaker", f"endpoint/{endpoint_name(labels, model)}"))
    return [{"Effect": "Allow", "Action": action, "Resource": arns} for action, arns in endpoints.items()]


def tell_of_alarms(labels: Labels) -> iam.Statement:
    """CloudWatch may use the key for messages of the environment's alarms to topics that it encrypts.

    Alarms publish by themselves, with no role (SNS developer guide, "Key management").
    """
    account = iam.Account.of(labels.environment)
    return {
        "Sid": "TellOfAlarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account.account_id},
            "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", f"alarm:{labels.cluster}-*")},
        },
    }


def start_batches(labels: Labels, model: ModelSpec, served: str, instance_type: str) -> list[iam.Statement]:
    """Start, watch and stop jobs of the SageMaker model `served` on the hosts that the settings name, and see its data.

    A job runs as the model's own role, which is not handed out here. Source: service authorization reference for
    SageMaker, `CreateTransformJob`.
    """
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    jobs = account.arn("sagemaker", f"transform-job/{places.job_prefix}-*")
    return [
        {
            "Effect": "Allow",
            "Action": "sagemaker:CreateTransformJob",
            "Resource": jobs,
            "Condition": {
                "ArnEquals": {"sagemaker:ModelArn": account.arn("sagemaker", f"model/{served}")},
                "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": [instance_type]},
            },
        },
        {
            "Effect": "Allow",
            "Action": ["sagemaker:AddTags", "sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"],
            "Resource": jobs,
        },
        *grants.read_objects(account, labels.bucket(MODELS), [places.rows, places.batches]),
    ]


def targeted(models: tuple[ModelSpec, ...], target: Target) -> list[ModelSpec]:
    """The models that a target serves."""
    return [model for model in models if model.serving is not None and model.serving.target is target]


def readable(labels: Labels, model: ModelSpec) -> list[str]:
    """Prefixes of the models bucket that SageMaker reads to serve a model: artefacts of versions, what callers ask.

    All artefacts, because the instances of one version may still start while the next one comes; no checked data, no
    captures and no reports. Nothing of a model without a version, or that SageMaker does not serve.
    """
    places, serving = ModelPlaces(labels, model), model.serving
    if model.approved is None or serving is None or serving.target is Target.EKS:
        return []
    prefixes = [places.jobs, places.promoted]
    if serving.hosting is not None and serving.hosting.fleet is not None:
        prefixes.append(f"{model.name}/{serving.hosting.fleet.prefix}")
    if serving.target in (Target.ASYNCHRONOUS, Target.BATCH):
        prefixes.append(places.rows)
    return prefixes


def looked_for(labels: Labels, model: ModelSpec) -> list[str]:
    """Prefix with the approved artefact of a model that SageMaker does not serve.

    Every approved version becomes a model of SageMaker, which then looks whether the role finds the artefact. A single
    prefix for each, and no listing: a role has room for 10,240 characters.
    """
    places, approved = ModelPlaces(labels, model), model.approved
    if approved is None or readable(labels, model):
        return []
    return [
        prefix for prefix in (places.jobs, places.promoted) if approved.model_data.startswith(f"{places.uri(prefix)}/")
    ]


def results(labels: Labels, model: ModelSpec) -> list[str]:
    """Prefixes of the models bucket that serving a model writes to."""
    places, serving = ModelPlaces(labels, model), model.serving
    if serving is None:
        return []
    captured = serving.real_time is not None and serving.real_time.capture_percent > 0
    return {
        Target.REAL_TIME: [places.captures] if captured else [],
        Target.ASYNCHRONOUS: [places.answers, places.failures],
        Target.BATCH: [places.batches],
    }.get(serving.target, [])
