"""What an endpoint is made of: names, variants, alarms, deployments and scaling, as values of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components.labels import MAX_SAGEMAKER_NAME, ending, fingerprint
from settings.instances import takes_volume_key
from settings.model import AsynchronousSpec, RealTimeSpec, ServerlessSpec, Target

if TYPE_CHECKING:
    import pulumi

    from components.labels import Labels
    from settings.model import ModelSpec, RolloutSpec

VARIANT: Final = "main"
"""Name of the only variant; a new configuration has to call it as the old one does (SageMaker developer guide,
"Exclusions" of deployment guardrails)."""
NAMESPACE: Final = "AWS/SageMaker"
"""CloudWatch namespace of what SageMaker itself measures of endpoints."""
MICROSECONDS: Final = 1000
"""In a millisecond; SageMaker measures times in microseconds."""
_ELSEWHERE: Final = (
    *("rollout", "scaling", "log_retention_days"),
    *("max_instances", "backlog_per_instance", "scale_in_seconds", "scale_out_seconds"),
)
"""Settings of an endpoint that are not in its configuration, but in its deployment, its scaling and its log."""

OnlineSpec = RealTimeSpec | ServerlessSpec | AsynchronousSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What an alarm of an endpoint is about."""

    name: str
    metric: str
    threshold: float
    """In the metric's own unit."""
    percentile: str | None
    """Percentile of a minute; None for its average."""
    says: str
    """What it means, for people."""


def online(model: ModelSpec) -> OnlineSpec | None:
    """The section of the endpoint that answers; None where no endpoint does."""
    serving = model.serving
    if serving is None:
        return None
    return {
        Target.REAL_TIME: serving.real_time,
        Target.SERVERLESS: serving.serverless,
        Target.ASYNCHRONOUS: serving.asynchronous,
    }.get(serving.target)


def endpoint_name(labels: Labels, model: ModelSpec) -> str:
    """Name of a model's endpoint.

    It changes with the target and with the instance type: an endpoint with instances cannot become serverless, and one
    that is scaled keeps its type (SageMaker developer guide, "Update endpoints that use auto scaling").
    """
    spec = online(model)
    target = model.serving.target.value if model.serving is not None else ""
    return labels.endpoint(model.name, target, getattr(spec, "instance_type", ""))


def configuration_words(spec: OnlineSpec) -> list[str]:
    """All of a configuration that the settings decide, for the fingerprint in its name."""
    return [f"{name}={value}" for name, value in sorted(spec.model_dump().items()) if name not in _ELSEWHERE]


def variant(
    spec: OnlineSpec, model_name: pulumi.Input[str]
) -> aws.sagemaker.EndpointConfigurationProductionVariantArgs:
    """The variant that answers."""
    if isinstance(spec, ServerlessSpec):
        return aws.sagemaker.EndpointConfigurationProductionVariantArgs(
            variant_name=VARIANT,
            model_name=model_name,
            serverless_config=aws.sagemaker.EndpointConfigurationProductionVariantServerlessConfigArgs(
                memory_size_in_mb=spec.memory_mb,
                max_concurrency=spec.max_concurrency,
                provisioned_concurrency=spec.provisioned_concurrency,
            ),
        )
    # A configuration starts at least one instance; scaling ends it while the queue is empty.
    least = spec.instances if isinstance(spec, RealTimeSpec) else max(spec.min_instances, 1)
    return aws.sagemaker.EndpointConfigurationProductionVariantArgs(
        variant_name=VARIANT,
        model_name=model_name,
        instance_type=spec.instance_type,
        initial_instance_count=least,
        initial_variant_weight=1,
    )


def volume_is_ours(spec: OnlineSpec) -> bool:
    """Whether there are volumes that take a key: local disks have their own, serverless variants have none."""
    return not isinstance(spec, ServerlessSpec) and takes_volume_key(spec.instance_type)


def rollout(model: ModelSpec) -> RolloutSpec | None:
    """How versions change; None where SageMaker shifts no traffic in steps."""
    spec = online(model)
    return None if spec is None or isinstance(spec, ServerlessSpec) else spec.rollout


def watches(model: ModelSpec) -> list[Watch]:
    """What takes a new version back, and tells somebody at any other time."""
    spec = rollout(model)
    if spec is None:
        return []
    found = [
        Watch(
            name="errors",
            metric="Invocation5XXErrors",
            threshold=spec.max_error_percent / 100,
            percentile=None,
            says=f"More than {spec.max_error_percent:g} % of answers are errors",
        ),
        Watch(
            name="model-time",
            metric="ModelLatency",
            threshold=spec.max_model_milliseconds * MICROSECONDS,
            percentile="p99",
            says=f"The model takes more than {spec.max_model_milliseconds} ms",
        ),
    ]
    if spec.max_overhead_milliseconds is not None:
        overhead = Watch(
            name="overhead-time",
            metric="OverheadLatency",
            threshold=spec.max_overhead_milliseconds * MICROSECONDS,
            percentile="p99",
            says=f"SageMaker adds more than {spec.max_overhead_milliseconds} ms",
        )
        found.append(overhead)
    return found


def alarm_name(labels: Labels, model: ModelSpec, watch: str) -> str:
    """Name of an alarm of a model's endpoint; its longest form is far below the 255 characters of CloudWatch."""
    return f"{endpoint_name(labels, model)}-{watch}"


def topic_name(labels: Labels, thing: str) -> str:
    """Name of a topic of ours; its longest form is far below the 256 characters of SNS."""
    return f"{labels.cluster}-{thing}"


def configuration_name(endpoint: str, deployed: str, spec: OnlineSpec, captures: str) -> str:
    """Name of an endpoint's configuration, different for every combination of its inputs."""
    return ending(endpoint, fingerprint(endpoint, deployed, [*configuration_words(spec), captures]), MAX_SAGEMAKER_NAME)


def answer_topics(model: ModelSpec) -> tuple[str, str]:
    """What the topics of an asynchronous endpoint are called: of answers, and of failures."""
    return f"{model.name}-answers", f"{model.name}-failures"


def deployment(spec: RolloutSpec, alarms: list[str]) -> aws.sagemaker.EndpointDeploymentConfigArgs:
    """How SageMaker moves an endpoint to its next configuration, and what makes it go back."""
    size = spec.step_percent
    routing = aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyTrafficRoutingConfigurationArgs(
        type=spec.shift.upper().replace("-", "_"),
        wait_interval_in_seconds=spec.wait_seconds,
        canary_size=aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyTrafficRoutingConfigurationCanarySizeArgs(
            type="CAPACITY_PERCENT", value=size
        )
        if spec.shift == "canary" and size is not None
        else None,
        linear_step_size=aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyTrafficRoutingConfigurationLinearStepSizeArgs(
            type="CAPACITY_PERCENT", value=size
        )
        if spec.shift == "linear" and size is not None
        else None,
    )
    return aws.sagemaker.EndpointDeploymentConfigArgs(
        blue_green_update_policy=aws.sagemaker.EndpointDeploymentConfigBlueGreenUpdatePolicyArgs(
            traffic_routing_configuration=routing,
            termination_wait_in_seconds=spec.termination_wait_seconds,
            maximum_execution_timeout_in_seconds=spec.timeout_seconds,
        ),
        auto_rollback_configuration=aws.sagemaker.EndpointDeploymentConfigAutoRollbackConfigurationArgs(
            alarms=[
                aws.sagemaker.EndpointDeploymentConfigAutoRollbackConfigurationAlarmArgs(alarm_name=name)
                for name in alarms
            ]
        ),
    )
