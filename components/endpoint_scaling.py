"""Scaling of an endpoint: within its bounds by what its instances do, and up from none at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import endpoint_objects as objects
from components.labels import ENDPOINT_LOGS
from settings.model import AsynchronousSpec, RealTimeSpec
from settings.serving_limits import TRACKED_SHARE

if TYPE_CHECKING:
    from components.endpoint_objects import OnlineSpec
    from settings.model import ScalingSpec

SERVICE: Final = "sagemaker"
DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
"""What Application Auto Scaling changes of an endpoint."""

WAKE_SECONDS, WAKE_COOLDOWN_SECONDS = 60, 300
"""A minute with requests and without instances starts one; the next decision waits until it can answer."""


def scale(
    name: str, spec: OnlineSpec, endpoint: aws.sagemaker.Endpoint, endpoint_name: str, opts: pulumi.ResourceOptions
) -> None:
    """Let Application Auto Scaling choose the number of instances, where the settings leave a choice."""
    bounds, tracking = bounds_of(spec), tracking_of(spec, endpoint_name)
    if bounds is None or tracking is None:
        return
    least, most = bounds
    target = aws.appautoscaling.Target(
        f"{name}-instances",
        service_namespace=SERVICE,
        scalable_dimension=DIMENSION,
        resource_id=pulumi.Output.concat("endpoint/", endpoint.name, f"/variant/{objects.VARIANT}"),
        min_capacity=least,
        max_capacity=most,
        opts=opts,
    )
    aws.appautoscaling.Policy(
        f"{name}-load",
        name=f"{endpoint_name}-load",
        policy_type="TargetTrackingScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        target_tracking_scaling_policy_configuration=tracking,
        opts=opts,
    )
    if not least:
        _wake(name, target, endpoint_name, opts)


def _wake(name: str, target: aws.appautoscaling.Target, endpoint_name: str, opts: pulumi.ResourceOptions) -> None:
    """Start the first instance: the backlog per instance says nothing while there is none.

    Source: SageMaker developer guide, "Autoscale an asynchronous endpoint", "Define a scaling policy that scales up
    from zero for new requests".
    """
    policy = aws.appautoscaling.Policy(
        f"{name}-wake",
        name=f"{endpoint_name}-wake",
        policy_type="StepScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        step_scaling_policy_configuration=aws.appautoscaling.PolicyStepScalingPolicyConfigurationArgs(
            adjustment_type="ChangeInCapacity",
            metric_aggregation_type="Average",
            cooldown=WAKE_COOLDOWN_SECONDS,
            step_adjustments=[
                aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgs(
                    metric_interval_lower_bound="0", scaling_adjustment=1
                )
            ],
        ),
        opts=opts,
    )
    aws.cloudwatch.MetricAlarm(
        f"{name}-waiting",
        name=f"{endpoint_name}-waiting",
        alarm_description=f"{endpoint_name}: requests wait, and there is no instance",
        namespace=objects.NAMESPACE,
        metric_name="HasBacklogWithoutCapacity",
        dimensions={"EndpointName": endpoint_name},
        statistic="Average",
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=1,
        period=WAKE_SECONDS,
        evaluation_periods=1,
        treat_missing_data="missing",
        alarm_actions=[policy.arn],
        opts=opts,
    )


def bounds_of(spec: OnlineSpec) -> tuple[int, int] | None:
    """Fewest and most instances; None where their number is fixed, or there are none."""
    if isinstance(spec, AsynchronousSpec):
        return spec.min_instances, spec.max_instances
    if isinstance(spec, RealTimeSpec) and spec.scaling is not None:
        return spec.instances, spec.scaling.max_instances
    return None


def tracking_of(
    spec: OnlineSpec, endpoint: str
) -> aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs | None:
    """What scaling keeps at which value; None where nothing scales.

    Source: SageMaker developer guide, "Define a scaling policy" and "Autoscale an asynchronous endpoint".
    """
    if isinstance(spec, AsynchronousSpec):
        backlog = _metric(objects.NAMESPACE, "ApproximateBacklogSizePerInstance", {"EndpointName": endpoint})
        return _tracked(spec, spec.backlog_per_instance, backlog)
    if not isinstance(spec, RealTimeSpec) or spec.scaling is None:
        return None
    if spec.scaling.requests_per_minute is not None:
        return _tracked(spec.scaling, spec.scaling.requests_per_minute * TRACKED_SHARE, None)
    dimensions = {"EndpointName": endpoint, "VariantName": objects.VARIANT}
    return _tracked(spec.scaling, spec.scaling.cpu_percent or 0, _metric(ENDPOINT_LOGS, "CPUUtilization", dimensions))


_Metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationArgs


def _metric(namespace: str, name: str, dimensions: dict[str, str]) -> _Metric:
    return _Metric(
        namespace=namespace,
        metric_name=name,
        statistic="Average",
        dimensions=[
            aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationDimensionArgs(
                name=key, value=value
            )
            for key, value in dimensions.items()
        ],
    )


def _tracked(
    waits: AsynchronousSpec | ScalingSpec, value: float, metric: _Metric | None
) -> aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs:
    predefined = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
        predefined_metric_type="SageMakerVariantInvocationsPerInstance"
    )
    return aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
        target_value=value,
        customized_metric_specification=metric,
        predefined_metric_specification=None if metric else predefined,
        scale_in_cooldown=waits.scale_in_seconds,
        scale_out_cooldown=waits.scale_out_seconds,
    )
