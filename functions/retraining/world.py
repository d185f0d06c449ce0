"""What the door asks of AWS beside its ledger: S3, pipelines and the registry, as thin calls on boto3 clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from lifecycle import steps
from retraining.facts import Status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

    from retraining.facts import ModelSettings, Run

_STATUS: Final = {
    "Executing": Status.RUNNING,
    "Stopping": Status.RUNNING,
    "Succeeded": Status.SUCCEEDED,
    "Failed": Status.FAILED,
    "Stopped": Status.STOPPED,
}
_NO_CAPACITY: Final = "CapacityError"
"""In the failure of a job that SageMaker has no host for."""
LOOK_BACK: Final = timedelta(days=1)
"""Before the time of a claim, because clocks differ."""
MOST_DESCRIPTION: Final = 3072
"""Characters of a description (SageMaker API reference, `StartPipelineExecution`)."""


class World(Protocol):
    """Everything outside."""

    def versions(self, settings: ModelSettings) -> list[tuple[str, str]]:
        """Key and version of every object that the model is trained on, each with its latest version."""
        ...

    def data_version(self, settings: ModelSettings) -> str:
        """Digest over these objects.

        Raises:
            LifecycleError: A prefix holds no object.
        """
        ...

    def image(self, settings: ModelSettings) -> str:
        """Digest of the image of the newest approved version; empty when there is none."""
        ...

    def start(self, settings: ModelSettings, run: Run) -> str:
        """Start the execution of a run; with the same token, name the one that was started."""
        ...

    def find(self, settings: ModelSettings, run: Run) -> str:
        """ARN of the execution of a run, if it was started; else empty."""
        ...

    def status(self, arn: str) -> Status:
        """How an execution stands."""
        ...


class AwsWorld:
    """AWS itself."""

    def __init__(self, s3: S3Client, sagemaker: SageMakerClient) -> None:
        self._s3, self._sagemaker = s3, sagemaker

    def versions(self, settings: ModelSettings) -> list[tuple[str, str]]:
        """Key and version of every object that the model is trained on, each with its latest version."""
        paginator = self._s3.get_paginator("list_object_versions")
        pages = [page for each in settings.prefixes for page in paginator.paginate(Bucket=settings.bucket, Prefix=each)]
        found = [item for page in pages for item in page.get("Versions", []) if item.get("IsLatest")]
        named = [(item.get("Key", ""), item.get("VersionId", "")) for item in found]
        return [(key, version) for key, version in named if settings.trains_on(settings.bucket, key)]

    def data_version(self, settings: ModelSettings) -> str:
        """Digest over these objects.

        Raises:
            LifecycleError: A prefix holds no object.
        """
        return steps.data_version(self._s3, [f"s3://{settings.bucket}/{each}" for each in settings.prefixes])

    def image(self, settings: ModelSettings) -> str:
        """Digest of the image of the newest approved version; empty when there is none."""
        approved = steps.find_package(
            self._sagemaker, settings.package_group, lambda package: package.status == "Approved"
        )
        return "" if approved is None else approved.image_uri.rpartition("@")[2]

    def start(self, settings: ModelSettings, run: Run) -> str:
        """Start the execution of a run; with the same token, name the one that was started."""
        parameters = {"DataVersion": run.data_version, "ImageDigest": run.image, "InstanceType": run.instance}
        return self._sagemaker.start_pipeline_execution(
            PipelineName=settings.pipeline,
            PipelineExecutionDisplayName=run.name,
            PipelineExecutionDescription="; ".join(run.reasons)[:MOST_DESCRIPTION],
            PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
            ClientRequestToken=run.token,
        )["PipelineExecutionArn"]

    def find(self, settings: ModelSettings, run: Run) -> str:
        """ARN of the execution of a run, if it was started; else empty.

        SageMaker does not say for how long it knows a token, and a start may be found unanswered days later.
        """
        pages = self._sagemaker.get_paginator("list_pipeline_executions").paginate(
            PipelineName=settings.pipeline, CreatedAfter=datetime.fromtimestamp(run.at, UTC) - LOOK_BACK
        )
        summaries = (summary for page in pages for summary in page["PipelineExecutionSummaries"])
        named = (each for each in summaries if each.get("PipelineExecutionDisplayName") == run.name)
        return next((each.get("PipelineExecutionArn", "") for each in named), "")

    def status(self, arn: str) -> Status:
        """How an execution stands; one that was deleted with its pipeline has stopped."""
        try:
            found = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        except self._sagemaker.exceptions.ResourceNotFound:
            return Status.STOPPED
        status = _STATUS[found["PipelineExecutionStatus"]]
        return Status.NO_CAPACITY if status is Status.FAILED and self._lacked_capacity(arn) else status

    def _lacked_capacity(self, arn: str) -> bool:
        """Whether an execution failed because there was no host to train on."""
        pages = self._sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
        steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
        return any(self._no_host(step) for step in steps if step.get("StepStatus") == "Failed")

    def _no_host(self, step: PipelineExecutionStepTypeDef) -> bool:
        """Whether a step failed for want of capacity: at once on demand, at the end of the wait for spot hosts.

        Source: SageMaker developer guide, "Retry Policy for Pipeline Steps" (`SageMaker.CAPACITY_ERROR`); API
        reference, `DescribeTrainingJob`, `SecondaryStatus`.
        """
        if _NO_CAPACITY in step.get("FailureReason", ""):
            return True
        training = step.get("Metadata", {}).get("TrainingJob", {}).get("Arn", "")
        if not training:
            return False
        job = self._sagemaker.describe_training_job(TrainingJobName=training.rpartition("/")[2])
        return job["SecondaryStatus"] == "MaxWaitTimeExceeded"
