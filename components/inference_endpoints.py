"""Inference endpoints: where SageMaker answers for the approved version of a model.

Creates: for each model with an endpoint as its target and an approved version: a log group, a configuration, an
endpoint that moves to the next version by blue/green deployment and back by alarms, and its scaling; for an
asynchronous one also the topics of its answers and the policy that wakes it up.
Does not create: the SageMaker models (the registry does), batch transform jobs, who hears of alarms, subscriptions to
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import endpoint_objects as objects
from components.endpoint_scaling import scale
from components.model_places import ModelPlaces
from components.pipeline_words import CSV, JSON
from components.served_models import served_model
from components.serving_handles import InferenceEndpointsHandle
from settings.model import AsynchronousSpec, RealTimeSpec

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.endpoint_objects import OnlineSpec, Watch
    from components.handles import RegistryHandle, StoreHandle
    from components.labels import Labels
    from settings.model import ApprovedSpec, ModelSpec

PERIOD_SECONDS, EVALUATED_PERIODS, BREACHING_PERIODS = 60, 3, 2
"""An alarm goes off within three minutes, and not for one bad minute among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEndpointsArgs:
    """Arguments of `InferenceEndpoints`."""

    labels: Labels
    """Names and tags."""
    models: tuple[ModelSpec, ...]
    """Models; those whose target is an endpoint and that have an approved version get one."""
    store: StoreHandle
    """Key of volumes, captures, answers, messages and logs."""
    registry: RegistryHandle
    """The SageMaker models."""
    alarms: AlarmsHandle
    """Who hears of alarms."""


class InferenceEndpoints(pulumi.ComponentResource):
    """Endpoints of approved models; see the module for what is created."""

    handle: InferenceEndpointsHandle
    """What sends requests uses this."""

    def __init__(self, name: str, args: InferenceEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:inferenceendpoints:InferenceEndpoints", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        served = [
            (model, model.approved, spec)
            for model in args.models
            if model.approved is not None and (spec := objects.online(model)) is not None
        ]
        self.handle = InferenceEndpointsHandle(
            names={model.name: self._create_endpoint(model, approved, spec).name for model, approved, spec in served},
        )
        self.register_outputs({"names": self.handle.names})

    def _create_topic(self, thing: str) -> aws.sns.Topic:
        return aws.sns.Topic(
            f"{self._name}-{thing}",
            name=objects.topic_name(self._args.labels, thing),
            kms_master_key_id=self._args.store.key_arn,
            opts=self._child,
        )

    def _create_endpoint(self, model: ModelSpec, approved: ApprovedSpec, spec: OnlineSpec) -> aws.sagemaker.Endpoint:
        labels, name = self._args.labels, objects.endpoint_name(self._args.labels, model)
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-{model.name}-logs",
            name=labels.endpoint_log_group(name),
            retention_in_days=spec.log_retention_days,
            kms_key_id=self._args.store.key_arn,
            opts=self._child,
        )
        rollout, watches = objects.rollout(model), objects.watches(model)
        alarms = [self._create_alarm(model, name, watch) for watch in watches]
        named = [objects.alarm_name(labels, model, watch.name) for watch in watches]
        endpoint = aws.sagemaker.Endpoint(
            f"{self._name}-{model.name}",
            name=name,
            endpoint_config_name=self._create_configuration(model, approved, spec, name).name,
            deployment_config=objects.deployment(rollout, named) if rollout is not None else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs, *alarms]),
        )
        scale(f"{self._name}-{model.name}", spec, endpoint, name, self._child)
        return endpoint

    def _create_alarm(self, model: ModelSpec, endpoint: str, watch: Watch) -> aws.cloudwatch.MetricAlarm:
        return aws.cloudwatch.MetricAlarm(
            f"{self._name}-{model.name}-{watch.name}",
            name=objects.alarm_name(self._args.labels, model, watch.name),
            alarm_description=f"{endpoint}: {watch.says}",
            namespace=objects.NAMESPACE,
            metric_name=watch.metric,
            dimensions={"EndpointName": endpoint, "VariantName": objects.VARIANT},
            statistic=None if watch.percentile else "Average",
            extended_statistic=watch.percentile,
            comparison_operator="GreaterThanThreshold",
            threshold=watch.threshold,
            period=PERIOD_SECONDS,
            evaluation_periods=EVALUATED_PERIODS,
            datapoints_to_alarm=BREACHING_PERIODS,
            # Without requests there are no data, and nothing is wrong.
            treat_missing_data="notBreaching",
            alarm_actions=list(self._args.alarms.actions),
            ok_actions=list(self._args.alarms.actions),
            opts=self._child,
        )

    def _create_configuration(
        self, model: ModelSpec, approved: ApprovedSpec, spec: OnlineSpec, endpoint: str
    ) -> aws.sagemaker.EndpointConfiguration:
        """What the endpoint is; SageMaker changes none in place, so the next one has another name."""
        args = self._args
        deployed = served_model(args.labels, model, approved).name
        return aws.sagemaker.EndpointConfiguration(
            f"{self._name}-{model.name}-configuration",
            name=objects.configuration_name(endpoint, deployed, spec, self._captures_at(model, approved)),
            production_variants=[objects.variant(spec, args.registry.model_names[model.name])],
            kms_key_arn=args.store.key_arn if objects.volume_is_ours(spec) else None,
            data_capture_config=self._capture(model, approved, spec),
            async_inference_config=self._queue(model, spec),
            opts=self._child,
        )

    def _captures_at(self, model: ModelSpec, approved: ApprovedSpec) -> str:
        places = ModelPlaces(self._args.labels, model)
        return places.uri(places.endpoint_captures(approved.version))

    def _capture(
        self, model: ModelSpec, approved: ApprovedSpec, spec: OnlineSpec
    ) -> aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs | None:
        """Requests with their answers, for the detection of drift."""
        if not isinstance(spec, RealTimeSpec) or not spec.capture_percent:
            return None
        return aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs(
            enable_capture=True,
            initial_sampling_percentage=spec.capture_percent,
            destination_s3_uri=self._captures_at(model, approved),
            kms_key_id=self._args.store.key_arn,
            capture_options=[
                aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureOptionArgs(capture_mode=mode)
                for mode in ("Input", "Output")
            ],
            # What is not named here SageMaker captures in base64, which the drift job does not read.
            capture_content_type_header=aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureContentTypeHeaderArgs(
                csv_content_types=[CSV], json_content_types=[JSON]
            ),
        )

    def _queue(
        self, model: ModelSpec, spec: OnlineSpec
    ) -> aws.sagemaker.EndpointConfigurationAsyncInferenceConfigArgs | None:
        """Where answers go, and who hears of them."""
        if not isinstance(spec, AsynchronousSpec):
            return None
        places = ModelPlaces(self._args.labels, model)
        success, error = (self._create_topic(topic).arn for topic in objects.answer_topics(model))
        output = aws.sagemaker.EndpointConfigurationAsyncInferenceConfigOutputConfigArgs(
            s3_output_path=places.uri(places.answers),
            s3_failure_path=places.uri(places.failures),
            kms_key_id=self._args.store.key_arn,
            notification_config=aws.sagemaker.EndpointConfigurationAsyncInferenceConfigOutputConfigNotificationConfigArgs(
                success_topic=success, error_topic=error
            ),
        )
        return aws.sagemaker.EndpointConfigurationAsyncInferenceConfigArgs(
            output_config=output,
            client_config=aws.sagemaker.EndpointConfigurationAsyncInferenceConfigClientConfigArgs(
                max_concurrent_invocations_per_instance=spec.concurrency
            ),
        )
