"""How pipeline steps start jobs and look at them, and what a job's failure is to a retry policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class StepFailedError(Exception):
    """A step cannot end well; the message is for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of job: its operations, and the fields of its description."""

    noun: str
    """`training_job` in the client's method names."""
    metadata: str
    """Key of a step's metadata."""
    fields: str
    """First part of the fields."""

    @property
    def name(self) -> str:
        """Field with the job's name."""
        return f"{self.fields}Name"

    @property
    def arn(self) -> str:
        """Field with the job's ARN."""
        return f"{self.fields}Arn"

    @property
    def status(self) -> str:
        """Field with the job's status."""
        return f"{self.fields}Status"

    def create(self, client: SageMakerClient, arguments: dict[str, Any]) -> None:
        """Start a job."""
        getattr(client, f"create_{self.noun}")(**arguments)

    def describe(self, client: SageMakerClient, name: str) -> dict[str, Any]:
        """What describes a job."""
        return getattr(client, f"describe_{self.noun}")(**{self.name: name})


JOBS: Final = {
    "Processing": JobKind(noun="processing_job", metadata="ProcessingJob", fields="ProcessingJob"),
    "Training": JobKind(noun="training_job", metadata="TrainingJob", fields="TrainingJob"),
    "Tuning": JobKind(noun="hyper_parameter_tuning_job", metadata="TuningJob", fields="HyperParameterTuningJob"),
}
"""Type of a step → the jobs that it runs."""

_EXCEPTIONS: Final = {
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "ThrottlingException": "Step.THROTTLING",
    "ServiceUnavailable": "Step.SERVICE_FAULT",
}
"""First word of a failure → exception type of a retry policy (SageMaker developer guide, "Retry Policy for Pipeline
Steps"); anything else is the fault of data, code or request and is not tried again."""


def exception_type(reason: str) -> str:
    """Exception type of a failure; empty when no policy can name it."""
    return _EXCEPTIONS.get(reason.partition(":")[0], "")
