"""What the job that looks for drift may do, the pipeline that starts it, and the schedule that starts the pipeline.

Source: service authorization reference, Amazon SageMaker AI, Amazon SQS; SageMaker developer guide, "IAM Access
Management" of Pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import grants, iam
from components.drift_definition import pipeline_name
from components.drift_objects import DEAD
from components.labels import MODELS
from components.model_places import Duty, ModelPlaces
from components.training_grants import PROCESSING_LOGS, hand_out, run_job, start_job

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import DriftSpec, ModelSpec


def compare(labels: Labels, model: ModelSpec) -> list[iam.Statement]:
    """Read captures, truth, the approved version and its memory; write reports and memory.

    Its metrics are lines of its log, from which CloudWatch takes them: it may publish none by itself.
    """
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    bucket = labels.bucket(MODELS)
    artefact = [] if model.approved is None else [model.approved.model_data.removeprefix(f"s3://{bucket}/")]
    return [
        *grants.read_objects(account, bucket, [places.captures, places.truth, places.drift_memory, *artefact]),
        *grants.write_objects(account, bucket, [places.drift_reports, places.drift_memory]),
        *run_job(account, places, PROCESSING_LOGS),
    ]


def orchestrate(labels: Labels, model: ModelSpec, spec: DriftSpec) -> list[iam.Statement]:
    """Start, watch and stop this job, and no other."""
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    job = f"processing-job/{places.drift_job_prefix}"
    actions = ("AddTags", "DescribeProcessingJob", "StopProcessingJob")
    return [
        start_job(account, "CreateProcessingJob", job, spec.job.instance_type),
        {
            "Effect": "Allow",
            "Action": [f"sagemaker:{action}" for action in actions],
            "Resource": account.arn("sagemaker", f"{job}-*"),
        },
        hand_out(account, places, [Duty.DRIFT]),
    ]


def start(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """Start this pipeline, and put what could not be started into the queue for that."""
    account = iam.Account.of(labels.environment)
    pipeline = account.arn("sagemaker", f"pipeline/{pipeline_name(labels, model)}")
    dead = account.arn("sqs", labels.queue(DEAD))
    return {
        "start-pipeline": [{"Effect": "Allow", "Action": "sagemaker:StartPipelineExecution", "Resource": pipeline}],
        "keep-failures": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead}],
    }
