"""What the roles of a model's pipeline may do: one list of statements for each duty.

Every ARN is built from names that the settings fix, so the documents can be read before anything exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import grants, iam
from components.labels import DATA, MODELS
from components.model_places import Duty, ModelPlaces
from components.pipeline_algorithm import training_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

PROCESSING_LOGS: Final = "/aws/sagemaker/ProcessingJobs"
"""Log group of every processing job of an account, and CloudWatch namespace; SageMaker fixes and creates it."""
TRAINING_LOGS: Final = "/aws/sagemaker/TrainingJobs"
"""The same of training jobs."""
SAGEMAKER: Final = "sagemaker.amazonaws.com"
"""Principal that every role here trusts, and is passed to."""

APPROVAL: Final = {"automatic": "Approved", "manual": "PendingManualApproval"}
"""Approval in the settings → status that a new version gets."""


def duties(labels: Labels, model: ModelSpec) -> dict[Duty, list[iam.Statement]]:
    """What each role of a model may do, beside the use of the key."""
    account, places = iam.Account.of(labels.environment), ModelPlaces(labels, model)
    bucket = labels.bucket(MODELS)
    data = grants.read_objects(account, labels.bucket(DATA), [model.dataset_prefix])
    may: dict[Duty, list[iam.Statement]] = {
        Duty.PIPELINE: _orchestrate(account, places),
        Duty.PROCESS: [
            *data,
            *grants.write_objects(account, bucket, [places.data, places.reports]),
            *run_job(account, places, PROCESSING_LOGS),
        ],
        Duty.TRAIN: [
            *grants.read_objects(account, bucket, [places.data, places.checkpoints, *_script(places)]),
            *grants.write_objects(account, bucket, [places.jobs, places.checkpoints]),
            *run_job(account, places, TRAINING_LOGS, training_image(account, model)),
        ],
        Duty.ADOPT: [
            *grants.read_objects(account, bucket, [places.data, places.jobs]),
            *grants.write_objects(account, bucket, [places.jobs]),
            *run_job(account, places, PROCESSING_LOGS),
        ],
        Duty.EVALUATE: [
            *grants.read_objects(account, bucket, [places.data, places.jobs, *_champion(places)]),
            *grants.write_objects(account, bucket, [places.reports]),
            *run_job(account, places, PROCESSING_LOGS),
        ],
    }
    return {duty: may[duty] for duty in (Duty.PIPELINE, *places.job_duties)}


def _script(places: ModelPlaces) -> list[str]:
    """The script that trains, if one does."""
    algorithm = places.model.training.algorithm
    return [] if algorithm is None or algorithm.script is None else [places.sources]


def _champion(places: ModelPlaces) -> list[str]:
    """The model in service, where a new one is held against it."""
    return [places.champion] if places.model.gate.champion else []


def run_job(
    account: iam.Account, places: ModelPlaces, logs: str, image: tuple[str, str] | None = None
) -> list[iam.Statement]:
    """What every job needs: its image, its log, its metrics, its network interface.

    Args:
        account: Where it runs.
        places: Names of the model.
        logs: Its log group, which is the namespace of its metrics too.
        image: Address and ARN of the repository, where it is not the model's own image.
    """
    labels = places.labels
    repository = account.repository(labels.repository(places.model.name)) if image is None else image[1]
    return [
        *grants.pull_from([repository]),
        *grants.create_log_group(account, logs),
        *grants.write_logs(account, logs),
        *grants.put_metrics(logs),
        *grants.attach_to_network(account, labels.ownership),
    ]


def _orchestrate(account: iam.Account, places: ModelPlaces) -> list[iam.Statement]:
    """Start, watch and stop the jobs of one model, read what they report, register the result.

    Source: SageMaker developer guide, "IAM Access Management" of Pipelines; service authorization reference for the
    condition keys.
    """
    jobs = [account.arn("sagemaker", f"{kind}/{places.job_prefix}-*") for kind in ("processing-job", "training-job")]
    return [
        *_create(account, places),
        {
            "Effect": "Allow",
            "Action": [
                *("sagemaker:AddTags", "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob"),
                *("sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob"),
            ],
            "Resource": jobs,
        },
        hand_out(account, places, places.job_duties),
        *_search(account, places),
        *grants.read_objects(account, places.labels.bucket(MODELS), [places.reports]),
        *_register(account, places),
    ]


def _search(account: iam.Account, places: ModelPlaces) -> list[iam.Statement]:
    """Watch and stop the tuning jobs of one model, if it has any, whose tags its trainings get, too."""
    if places.model.training.tuning is None:
        return []
    searches = account.arn("sagemaker", f"hyper-parameter-tuning-job/{places.tuning_prefix}-*")
    actions = ("DescribeHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob")
    return [
        {
            "Effect": "Allow",
            "Action": [f"sagemaker:{each}" for each in (*actions, "StopHyperParameterTuningJob")],
            "Resource": searches,
        },
        {
            "Effect": "Allow",
            "Action": "sagemaker:AddTags",
            "Resource": [searches, account.arn("sagemaker", f"training-job/{places.tuning_prefix}-*")],
        },
    ]


def _create(account: iam.Account, places: ModelPlaces) -> list[iam.Statement]:
    """Start jobs: without a network of their own, encrypted between hosts, on the hosts that the settings name."""
    model = places.model
    warm = model.training.keep_alive_seconds
    bound: iam.Condition = (
        {"Null": {"sagemaker:KeepAlivePeriod": "true"}}
        if warm is None
        else {"NumericLessThanEqualsIfExists": {"sagemaker:KeepAlivePeriod": str(warm)}}
    )
    hosts = model.training.instance_types
    trainings: tuple[str, str, tuple[str, ...], iam.Condition] = (
        ("CreateTrainingJob", f"training-job/{places.job_prefix}", hosts, bound)
        if model.training.tuning is None
        else ("CreateHyperParameterTuningJob", f"hyper-parameter-tuning-job/{places.tuning_prefix}", hosts, {})
    )
    kinds: list[tuple[str, str, tuple[str, ...], iam.Condition]] = [
        ("CreateProcessingJob", f"processing-job/{places.job_prefix}", (model.processing.instance_type,), {}),
        trainings,
    ]
    return [start_job(account, action, job, *hosts, more=more) for action, job, hosts, more in kinds]


def start_job(
    account: iam.Account, action: str, job: str, *instance_types: str, more: iam.Condition | None = None
) -> iam.Statement:
    """Start jobs of one kind whose names begin with `job`: isolated, encrypted between hosts, on these types only."""
    return {
        "Effect": "Allow",
        "Action": f"sagemaker:{action}",
        "Resource": account.arn("sagemaker", f"{job}-*"),
        "Condition": {
            "Bool": {"sagemaker:NetworkIsolation": "true", "sagemaker:InterContainerTrafficEncryption": "true"},
            "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": list(instance_types)},
            **(more or {}),
        },
    }


def hand_out(account: iam.Account, places: ModelPlaces, to: Sequence[Duty]) -> iam.Statement:
    """Give jobs of SageMaker the roles of these duties."""
    return {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": [account.role(places.role(duty)) for duty in to],
        "Condition": {"StringEquals": {"iam:PassedToService": SAGEMAKER}},
    }


def _register(account: iam.Account, places: ModelPlaces) -> list[iam.Statement]:
    """Add versions to the model's own group, with no other approval status than the settings say."""
    group = places.labels.package_group(places.model.name)
    versions = [account.arn("sagemaker", f"{kind}/{group}{each}") for kind, each in _PACKAGES]
    status = APPROVAL[places.model.pipeline.approval]
    return [
        {
            "Effect": "Allow",
            "Action": "sagemaker:CreateModelPackage",
            "Resource": versions,
            "Condition": {"StringEquals": {"sagemaker:ModelApprovalStatus": status}},
        },
        {
            "Effect": "Allow",
            "Action": ["sagemaker:AddTags", "sagemaker:DescribeModelPackage"],
            "Resource": versions[1],
        },
    ]


_PACKAGES: Final = (("model-package-group", ""), ("model-package", "/*"))
"""Resource types of a version's group and of the version, and what follows the group's name in their ARNs."""
