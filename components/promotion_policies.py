"""What the next environment's promotion role may read here: versions, their artefacts and their images.

The account is the principal and a condition names its role, because IAM refuses a policy that names a role which does
not exist yet. The role needs the same rights in its own account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import iam
from components.labels import MODELS, Labels
from components.model_places import ModelPlaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings.model import ModelSpec, NeighbourSpec

PROMOTION: Final = "promotion"
"""Duty of the role that fetches versions from the environment before."""
READ_PACKAGES: Final = ("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages")
MAX_GROUP_POLICY: Final = 20_480
"""Characters of a package group's policy (SageMaker API reference, `PutModelPackageGroupPolicy`)."""


def neighbour(labels: Labels, spec: NeighbourSpec) -> Labels:
    """Names in another environment of the platform, which has the same partition."""
    place = {"name": spec.environment, "account_id": spec.account_id, "region": spec.region}
    return Labels(labels.environment.model_copy(update=place))


def promotion_role(labels: Labels) -> str:
    """ARN of the promotion role of an environment."""
    return iam.Account.of(labels.environment).role(labels.role(PROMOTION))


def package_arns(labels: Labels, models: Sequence[ModelSpec]) -> list[str]:
    """Package groups of models, and all versions in them."""
    account, groups = iam.Account.of(labels.environment), [labels.package_group(model.name) for model in models]
    kinds = ("model-package-group/{}", "model-package/{}/*")
    return [account.arn("sagemaker", kind.format(group)) for group in groups for kind in kinds]


def package_group_policy(labels: Labels, model: ModelSpec, reader: Labels) -> str:
    """Policy of a model's package group: the reader's promotion role finds and describes its versions.

    Source: SageMaker developer guide, "Deploy a Model Version from a Different Account".
    """
    statement: iam.Statement = {
        "Sid": "ReadByPromotion",
        "Action": list(READ_PACKAGES),
        "Resource": package_arns(labels, [model]),
        **_for_promotion(reader),
    }
    return iam.document(statement, limit=MAX_GROUP_POLICY)


def read_artefacts(labels: Labels, models: Sequence[ModelSpec], reader: Labels) -> iam.Statement:
    """Statement of the models bucket: the reader's promotion role gets what training wrote or a promotion brought."""
    account = iam.Account.of(labels.environment)
    return {
        "Sid": "ReadByPromotion",
        "Action": "s3:GetObject",
        "Resource": [account.bucket(labels.bucket(MODELS), f"{key}*") for key in artefact_prefixes(labels, models)],
        **_for_promotion(reader),
    }


def artefact_prefixes(labels: Labels, models: Sequence[ModelSpec]) -> list[str]:
    """Where `model.tar.gz` of a version and its reports may lie."""
    places = [ModelPlaces(labels, model) for model in models]
    return [prefix for place in places for prefix in (place.jobs, place.promoted, place.reports)]


def decrypt_artefacts(labels: Labels, reader: Labels) -> iam.Statement:
    """Statement of the environment's key: the reader's promotion role decrypts what S3 hands to it."""
    via: iam.Condition = {"StringEquals": {"kms:ViaService": iam.Account.of(labels.environment).service("s3")}}
    return {
        "Sid": "ReadByPromotion",
        "Action": "kms:Decrypt",
        "Resource": "*",
        **_for_promotion(reader),
        "Condition": {**_is_promotion(reader), **via},
    }


def _for_promotion(reader: Labels) -> iam.Statement:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": iam.Account.of(reader.environment).root},
        "Condition": _is_promotion(reader),
    }


def _is_promotion(reader: Labels) -> iam.Condition:
    return {"ArnEquals": {"aws:PrincipalArn": promotion_role(reader)}}
