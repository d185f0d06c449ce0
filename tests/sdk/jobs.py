"""Steps of one model that are made alike, out of the SDK's classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep

from components.iam import Account
from components.model_places import ModelPlaces
from settings.instances import takes_volume_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sagemaker.core.helper.pipeline_variable import PipelineVariable
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.retry import RetryPolicy

    from components.labels import Labels
    from components.model_places import Duty
    from components.pipeline_jobs import Surroundings
    from settings.model import ModelSpec, ProcessingSpec

    Text = str | PipelineVariable

CONTAINER: Final = "/opt/ml/processing"
DATA_VERSION: Final = ParameterString(name="DataVersion")
IMAGE_DIGEST: Final = ParameterString(name="ImageDigest")
INSTANCE_TYPE: Final = "InstanceType"
"""Parameter with the instance type to train on."""
EVALUATION: Final = PropertyFile(name="evaluation", output_name="report", path="evaluation.json")


def found(path: str) -> JsonGet:
    """A value that the evaluation found."""
    return JsonGet(step_name="Evaluate", property_file=EVALUATION, json_path=path)


def output(step: ProcessingStep, name: str) -> PipelineVariable:
    """Where a processing step put one of its outputs."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def retry_policies(attempts: int) -> list[RetryPolicy]:
    """What AWS itself failed is tried again; the SDK has a class for each of two origins of a failure."""
    if attempts == 1:
        return []
    of_a_step = [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING]
    of_a_job = SageMakerJobExceptionTypeEnum
    return [
        StepRetryPolicy(exception_types=of_a_step, interval_seconds=10, max_attempts=attempts),
        SageMakerJobStepRetryPolicy(
            failure_reason_types=[of_a_job.INTERNAL_ERROR], interval_seconds=10, max_attempts=attempts
        ),
        SageMakerJobStepRetryPolicy(
            exception_types=[of_a_job.CAPACITY_ERROR, of_a_job.RESOURCE_LIMIT],
            interval_seconds=300,
            max_attempts=attempts,
        ),
    ]


def spelt(given: Any, variables: Iterable[PipelineVariable]) -> Any:
    """Words of the program's own making, such as a container's arguments, with the SDK's objects as references.

    Raises:
        KeyError: A reference in them that none of these objects spells.
    """
    known = {json.dumps(each.expr, sort_keys=True): each for each in variables}
    return [each if isinstance(each, str) else known[json.dumps(each, sort_keys=True)] for each in given]


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the jobs of one model have in common."""

    labels: Labels
    model: ModelSpec
    around: Surroundings
    session: PipelineSession

    @property
    def places(self) -> ModelPlaces:
        return ModelPlaces(self.labels, self.model)

    @property
    def account(self) -> Account:
        return Account.of(self.labels.environment)

    @property
    def image(self) -> Join:
        return Join(on="@", values=[f"{self.account.registry}/{self.labels.repository(self.model.name)}", IMAGE_DIGEST])

    @property
    def tags(self) -> list[dict[str, str]]:
        tags = {**self.labels.tags, "Model": self.model.name}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    @property
    def retries(self) -> list[RetryPolicy]:
        return retry_policies(self.model.pipeline.attempts)

    @property
    def cache(self) -> CacheConfig | None:
        days = self.model.pipeline.cache_days
        return None if days is None else CacheConfig(enable_caching=True, expire_after=f"P{days}D")

    @property
    def _network(self) -> NetworkConfig:
        return NetworkConfig(
            enable_network_isolation=True,
            security_group_ids=[self.around.security_group],
            subnets=list(self.around.subnets),
            encrypt_inter_container_traffic=True,
        )

    @property
    def instance_type(self) -> ParameterString:
        """Which of the settings' types to train on."""
        types = self.model.training.instance_types
        return ParameterString(name=INSTANCE_TYPE, default_value=types[0], enum_values=list(types))

    def volume_key(self, instance_type: str) -> str | None:
        return self.around.key_arn if takes_volume_key(instance_type) else None

    def versioned(self, prefix: str, *below: str) -> Join:
        """A place that belongs to the version of the data."""
        return Join(on="/", values=[self.places.uri(prefix), DATA_VERSION, *below])

    def processing(
        self,
        name: str,
        duty: Duty,
        spec: ProcessingSpec,
        arguments: Sequence[Text],
        *,
        inputs: Mapping[str, Text],
        outputs: Mapping[str, Text],
        prefix: str,
        environment: Mapping[str, Text] | None = None,
        **others: Any,
    ) -> ProcessingStep:
        """A step that runs `python -m processing` in the model's image."""
        processor = Processor(
            role=self.account.role(self.places.role(duty)),
            image_uri=self.image,
            instance_count=1,
            instance_type=spec.instance_type,
            entrypoint=["python", "-m", "processing"],
            volume_size_in_gb=spec.volume_gib,
            volume_kms_key=self.volume_key(spec.instance_type),
            output_kms_key=self.around.key_arn,
            max_runtime_in_seconds=spec.max_runtime_seconds,
            base_job_name=prefix,
            sagemaker_session=self.session,
            env=environment,
            tags=self.tags,
            network_config=self._network,
        )
        started = processor.run(
            inputs=[_input(each, uri) for each, uri in inputs.items()],
            outputs=[_output(each, uri) for each, uri in outputs.items()],
            arguments=list(arguments),
        )
        return ProcessingStep(name, step_args=started, retry_policies=self.retries, **others)


def _input(name: str, uri: Text) -> ProcessingInput:
    source = ProcessingS3Input(s3_uri=uri, s3_data_type="S3Prefix", local_path=f"{CONTAINER}/input/{name}")
    return ProcessingInput(input_name=name, app_managed=False, s3_input=source)


def _output(name: str, uri: Text) -> ProcessingOutput:
    target = ProcessingS3Output(s3_uri=uri, s3_upload_mode="EndOfJob", local_path=f"{CONTAINER}/output/{name}")
    return ProcessingOutput(output_name=name, app_managed=False, s3_output=target)
