"""Scaling of an endpoint: within its bounds by what its instances do, and up from none at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import endpoint_objects as objects

if TYPE_CHECKING:
    from components.endpoint_objects import OnlineSpec

SERVICE: Final = "sagemaker"
WAKE_SECONDS, WAKE_COOLDOWN_SECONDS = 60, 300
"""A minute with requests and without instances starts one; the next decision waits until it can answer."""


def scale(
    name: str, spec: OnlineSpec, endpoint: aws.sagemaker.Endpoint, endpoint_name: str, opts: pulumi.ResourceOptions
) -> None:
    """Let Application Auto Scaling choose the number of instances, where the settings leave a choice."""
    bounds, tracking = objects.bounds(spec), objects.tracking(spec, endpoint_name)
    if bounds is None or tracking is None:
        return
    least, most = bounds
    target = aws.appautoscaling.Target(
        f"{name}-instances",
        service_namespace=SERVICE,
        scalable_dimension=objects.DIMENSION,
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
