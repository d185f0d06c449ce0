"""What the function that decides about retraining may do, and what the clock may.

Source: service authorization reference, Amazon DynamoDB, Amazon S3, Amazon SageMaker AI, Amazon SQS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import iam
from components.approval_grants import read_packages
from components.labels import DATA
from components.lambda_functions import run_grants
from components.model_places import ModelPlaces
from components.retraining_objects import DEAD, THING, data_prefixes, table_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec


def decide(labels: Labels, models: Sequence[ModelSpec]) -> dict[str, list[iam.Statement]]:
    """Abilities of the function: read events, keep its table, list data, start and watch the models' pipelines."""
    account = iam.Account.of(labels.environment)
    return {
        "read-events": [
            {
                "Effect": "Allow",
                "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                "Resource": account.arn("sqs", labels.queue(THING)),
            }
        ],
        "keep-records": [
            {
                "Effect": "Allow",
                "Action": ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                "Resource": account.arn("dynamodb", f"table/{table_name(labels)}"),
            }
        ],
        "list-data": _list_data(account, labels, models),
        "run-pipelines": _run_pipelines(account, labels, models),
        "read-versions": read_packages(labels, models) if models else [],
        **run_grants(labels, log_group=THING, dead=DEAD),
    }


def _list_data(account: iam.Account, labels: Labels, models: Sequence[ModelSpec]) -> list[iam.Statement]:
    """List what models are trained on, with versions; read nothing of it."""
    prefixes = [prefix for model in models for prefix in data_prefixes(model)]
    if not prefixes:
        return []
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": account.bucket(labels.bucket(DATA)),
            "Condition": {"StringEquals": {"s3:prefix": prefixes}},
        }
    ]


def _run_pipelines(account: iam.Account, labels: Labels, models: Sequence[ModelSpec]) -> list[iam.Statement]:
    """Start and find executions of exactly these pipelines, see why one failed; they run as their own roles."""
    pipelines = [account.arn("sagemaker", f"pipeline/{labels.pipeline(model.name)}") for model in models]
    if not pipelines:
        return []
    return [
        {
            "Effect": "Allow",
            "Action": ["sagemaker:StartPipelineExecution", "sagemaker:ListPipelineExecutions"],
            "Resource": pipelines,
        },
        {
            "Effect": "Allow",
            "Action": ["sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutionSteps"],
            "Resource": [f"{pipeline}/execution/*" for pipeline in pipelines],
        },
        {
            "Effect": "Allow",
            "Action": "sagemaker:DescribeTrainingJob",
            "Resource": [
                account.arn("sagemaker", f"training-job/{ModelPlaces(labels, model).job_prefix}-*") for model in models
            ],
        },
    ]


def tick(labels: Labels) -> dict[str, list[iam.Statement]]:
    """Abilities of schedules: put messages into the queue, and into the one for what was not delivered."""
    account = iam.Account.of(labels.environment)
    queues = [account.arn("sqs", labels.queue(thing)) for thing in (THING, DEAD)]
    return {"tell-the-queue": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queues}]}
