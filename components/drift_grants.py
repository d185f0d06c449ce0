"""What the job that looks for drift may do, the pipeline that starts it, and what starts the pipeline.

Source: service authorization reference, Amazon SageMaker AI, Amazon SQS, AWS Lambda; SageMaker developer guide, "IAM
Access Management" of Pipelines; Amazon S3 user guide, "How to prevent object overwrites with conditional writes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import grants, iam
from components.approval_grants import read_packages
from components.drift_definition import THING, pipeline_name
from components.drift_objects import DEAD, function_name, place
from components.labels import MODELS
from components.lambda_functions import run_grants
from components.model_places import Duty, ModelPlaces
from components.pipeline_champion import PLACEHOLDER
from components.training_grants import PROCESSING_LOGS, hand_out, run_job, start_job

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import DriftSpec, ModelSpec


def compare(labels: Labels, model: ModelSpec) -> list[iam.Statement]:
    """Read captures, truth, what may be in service and its memory; write reports and memory.

    Its metrics are lines of its log, from which CloudWatch takes them: it may publish none by itself.
    """
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    bucket = labels.bucket(MODELS)
    artefacts = [] if model.approved is None else [model.approved.model_data.removeprefix(f"s3://{bucket}/")]
    if place(labels, model):
        artefacts += [places.jobs, places.promoted]
    return [
        *grants.read_objects(account, bucket, [places.captures, places.truth, places.drift_memory, *artefacts]),
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


def look(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """Find out what serves, begin its memory and start this pipeline; the job runs as its own role."""
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    pipeline = account.arn("sagemaker", f"pipeline/{pipeline_name(labels, model)}")
    memory = account.bucket(labels.bucket(MODELS), f"{places.drift_memory}*/{PLACEHOLDER}")
    return {
        "read-versions": read_packages(labels, [model]) if place(labels, model) else [],
        "begin-memory": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": memory}],
        "start-pipeline": [{"Effect": "Allow", "Action": "sagemaker:StartPipelineExecution", "Resource": pipeline}],
        **run_grants(labels, log_group=THING, dead=DEAD),
    }


def tick(labels: Labels, model: ModelSpec) -> dict[str, list[iam.Statement]]:
    """Call this function, and put what could not be delivered into the queue for that."""
    account = iam.Account.of(labels.environment)
    function = account.arn("lambda", f"function:{function_name(labels, model)}")
    dead = account.arn("sqs", labels.queue(DEAD))
    return {
        "call-function": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}],
        "keep-failures": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead}],
    }
