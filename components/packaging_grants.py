"""What a build of one model's images may do.

Sources: ECR user guide, "Managed signing": ECR signs with the rights of whoever pushes; service authorization
reference for the condition keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import grants, iam
from components.approval_grants import push_images, read_packages
from components.labels import MODELS
from components.promotion_policies import package_arns

if TYPE_CHECKING:
    from components.labels import Labels
    from components.model_places import ModelPlaces

SOURCE: Final = "slipway"
IMAGE_READY: Final = "Model Image Ready"
"""Source and detail type of what a build announces; the same words as in `functions/packager`."""


def package(places: ModelPlaces, *, signing: str | None) -> dict[str, list[iam.Statement]]:
    """Abilities of the role of a model's builds, beside what every build needs and the use of the key.

    Args:
        places: Of the model.
        signing: ARN of the signing profile; None where images are not signed.
    """
    labels, model = places.labels, places.model
    account, bucket = iam.Account.of(labels.environment), labels.bucket(MODELS)
    repository = account.arn("ecr", f"repository/{labels.repository(model.name)}")
    return {
        "read-artefacts": [
            *grants.read_objects(account, bucket, [places.champion]),
            *grants.get_objects(account, bucket, [places.jobs, places.promoted]),
            *grants.write_objects(account, bucket, [places.champion]),
        ],
        "make-images": [
            *grants.pull_images(account, [labels.repository(model.name)]),
            *push_images(labels, [model]),
            {
                "Effect": "Allow",
                "Action": ["ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:DescribeImageSigningStatus"],
                "Resource": repository,
            },
            *([{"Effect": "Allow", "Action": "signer:SignPayload", "Resource": signing}] if signing else []),
        ],
        "mark-versions": [*read_packages(labels, [model]), _mark(labels, places)],
        "announce": [_announce(account, labels)],
    }


def _mark(labels: Labels, places: ModelPlaces) -> iam.Statement:
    """Write down the image with the version; a request that touches the approval is refused."""
    return {
        "Effect": "Allow",
        "Action": "sagemaker:UpdateModelPackage",
        "Resource": package_arns(labels, [places.model]),
        "Condition": {"Null": {"sagemaker:ModelApprovalStatus": "true"}},
    }


def _announce(account: iam.Account, labels: Labels) -> iam.Statement:
    return {
        "Effect": "Allow",
        "Action": "events:PutEvents",
        "Resource": account.arn("events", f"event-bus/{labels.event_bus}"),
        "Condition": {"StringEquals": {"events:source": SOURCE, "events:detail-type": IMAGE_READY}},
    }
