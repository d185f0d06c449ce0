"""What the role needs that exports and erases: each prefix that may hold somebody's records, and nothing beside it.

Source: service authorization reference of Amazon S3; Amazon S3 User Guide, "Managing Object Lock".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from components import grants, iam
from components.labels import DATA, MODELS
from components.model_places import ModelPlaces
from operations.subject_objects import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

READ = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention", "s3:GetObjectLegalHold")
CHANGE = ("s3:PutObject", "s3:DeleteObjectVersion")


def places_of(labels: Labels, model: ModelSpec) -> list[Place]:
    """Where records of people may lie: captures come before the labels that are found by their names."""
    places = ModelPlaces(labels, model)
    return [
        Place(labels.bucket(DATA), model.dataset_prefix, learnt_from=True),
        Place(labels.bucket(MODELS), places.data, learnt_from=True),
        Place(labels.bucket(MODELS), places.rows, learnt_from=False, header=False),
        Place(labels.bucket(MODELS), places.captures, learnt_from=False),
        Place(labels.bucket(MODELS), places.truth, learnt_from=False),
    ]


def policy(labels: Labels, models: Sequence[ModelSpec], key_arn: str) -> str:
    """The policy of a role that may export and erase, of the models given.

    Args:
        labels: Of the environment.
        models: Those of the environment.
        key_arn: Key of the buckets.
    """
    account = iam.Account.of(labels.environment)
    places = [place for model in models for place in places_of(labels, model)]
    proofs = [ModelPlaces(labels, model).proofs for model in models]
    notes = [Place(labels.bucket(MODELS), ModelPlaces(labels, model).erasures, learnt_from=False) for model in models]
    statements: list[iam.Statement] = [
        {
            "Effect": "Allow",
            "Action": [*READ, *CHANGE],
            "Resource": [account.bucket(place.bucket, f"{place.prefix}*") for place in places],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", *CHANGE],
            "Resource": [account.bucket(note.bucket, f"{note.prefix}*") for note in notes],
        },
        *(_list(account, bucket, [*places, *notes]) for bucket in dict.fromkeys(place.bucket for place in places)),
        *grants.read_objects(account, labels.bucket(MODELS), proofs),
        *grants.write_objects(account, labels.bucket(MODELS), proofs),
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": account.arn("events", f"event-bus/{labels.event_bus}"),
            "Condition": {"StringEquals": {"events:source": "slipway"}},
        },
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": account.service("s3")}},
        },
    ]
    return iam.document(*statements)


def _list(account: iam.Account, bucket: str, places: Sequence[Place]) -> iam.Statement:
    prefixes = [f"{place.prefix}*" for place in places if place.bucket == bucket]
    return {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
        "Resource": account.bucket(bucket),
        "Condition": {"StringLike": {"s3:prefix": prefixes}},
    }
