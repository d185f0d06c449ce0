"""What the two roles around the registry may do: the one that approves versions, and the one that brings them here.

Nobody can do both by one role, so that what reaches users has passed two hands.
Source: service authorization reference, "Amazon SageMaker AI", for actions, resources and condition keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import grants, iam
from components.labels import MODELS, Labels
from components.model_places import ModelPlaces
from components.promotion_policies import READ_PACKAGES, artefact_prefixes, neighbour, package_arns
from components.resource_policies import PUSH_IMAGES
from components.training_grants import APPROVAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings.model import ModelSpec, OriginSpec


def approve(labels: Labels, models: Sequence[ModelSpec]) -> dict[str, list[iam.Statement]]:
    """Read versions, model cards and reports; approve or reject a version; change nothing else of it."""
    account = iam.Account.of(labels.environment)
    reports = [ModelPlaces(labels, model).reports for model in models]
    return {
        "read-versions": read_packages(labels, models),
        "decide-on-versions": [
            {
                "Effect": "Allow",
                "Action": "sagemaker:UpdateModelPackage",
                "Resource": package_arns(labels, models),
                "Condition": {"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}},
            }
        ],
        "read-reports": grants.read_objects(account, labels.bucket(MODELS), reports),
    }


def promote(labels: Labels, models: Sequence[ModelSpec], spec: OriginSpec) -> dict[str, list[iam.Statement]]:
    """Read versions of the environment before; copy artefact and image; register with the status of the settings."""
    origin = neighbour(labels, spec)
    account, source = iam.Account.of(labels.environment), iam.Account.of(origin.environment)
    own, bucket = [ModelPlaces(labels, model).promoted for model in models], labels.bucket(MODELS)
    return {
        "read-origin": [
            *read_packages(origin, models),
            *grants.get_objects(source, origin.bucket(MODELS), artefact_prefixes(origin, models)),
            *grants.pull_images(source, [origin.repository(model.name) for model in models]),
            _decrypt(source, spec.key_arn),
        ],
        "copy-here": [
            *grants.get_objects(account, bucket, own),
            *grants.write_objects(account, bucket, own),
            *grants.pull_images(account, [labels.repository(model.name) for model in models]),
            *push_images(labels, models),
        ],
        "register": [*read_packages(labels, models), *(_register(labels, model) for model in models)],
    }


def push_images(labels: Labels, models: Sequence[ModelSpec]) -> list[iam.Statement]:
    """Push images to the repositories of models."""
    account = iam.Account.of(labels.environment)
    repositories = [account.arn("ecr", f"repository/{labels.repository(model.name)}") for model in models]
    return [{"Effect": "Allow", "Action": PUSH_IMAGES, "Resource": repositories}]


def _register(labels: Labels, model: ModelSpec) -> iam.Statement:
    return {
        "Effect": "Allow",
        "Action": "sagemaker:CreateModelPackage",
        "Resource": package_arns(labels, [model]),
        "Condition": {"StringEquals": {"sagemaker:ModelApprovalStatus": APPROVAL[model.pipeline.approval]}},
    }


def read_packages(labels: Labels, models: Sequence[ModelSpec]) -> list[iam.Statement]:
    """Find and describe versions of models."""
    return [{"Effect": "Allow", "Action": list(READ_PACKAGES), "Resource": package_arns(labels, models)}]


def _decrypt(source: iam.Account, key_arn: str) -> iam.Statement:
    return {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key_arn,
        "Condition": {"StringEquals": {"kms:ViaService": source.service("s3")}},
    }
