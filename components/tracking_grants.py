"""What the MLflow App may do, and what the function that copies versions into it may do.

Sources: SageMaker developer guide, "Set up IAM permissions for MLflow Apps"; service authorization reference, Amazon
SageMaker AI, Amazon S3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import grants, iam
from components.labels import MODELS
from components.lambda_functions import run_grants
from components.model_places import ModelPlaces
from components.promotion_policies import package_arns
from components.tracking_objects import ARTEFACTS, DEAD, THING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec


def keep_artefacts(labels: Labels) -> dict[str, list[iam.Statement]]:
    """Abilities of the app: keep artefacts below its own prefix. It registers no models, so it needs no registry."""
    account, bucket = iam.Account.of(labels.environment), labels.bucket(MODELS)
    where: iam.Statement = {"Effect": "Allow", "Action": "s3:GetBucketLocation", "Resource": account.bucket(bucket)}
    return {
        "keep-artefacts": [
            *grants.read_objects(account, bucket, [ARTEFACTS]),
            *grants.write_objects(account, bucket, [ARTEFACTS]),
            where,
        ]
    }


def copy_versions(labels: Labels, models: Sequence[ModelSpec]) -> dict[str, list[iam.Statement]]:
    """Abilities of the function: describe versions and their trainings, and read what was found about them."""
    if not models:
        return run_grants(labels, log_group=THING, dead=DEAD)
    account, places = iam.Account.of(labels.environment), [ModelPlaces(labels, model) for model in models]
    trainings = [f"training-job/{prefix}-*" for each in places for prefix in (each.job_prefix, each.tuning_prefix)]
    reports = [prefix for each in places for prefix in (each.reports, each.promoted)]
    return {
        "read-versions": [
            {
                "Effect": "Allow",
                "Action": "sagemaker:DescribeModelPackage",
                "Resource": package_arns(labels, models),
            },
            {
                "Effect": "Allow",
                "Action": "sagemaker:DescribeTrainingJob",
                "Resource": [account.arn("sagemaker", training) for training in trainings],
            },
        ],
        "read-reports": grants.get_objects(account, labels.bucket(MODELS), reports),
        **run_grants(labels, log_group=THING, dead=DEAD),
    }


def call_app(app_arn: str) -> str:
    """Call the API of one app. SageMaker knows no finer action for it: whoever logs can delete as well."""
    return iam.document({"Effect": "Allow", "Action": "sagemaker:CallMlflowAppApi", "Resource": app_arn})
