"""Image repositories as this platform makes them: what was pushed never changes, is scanned, and does not pile up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from settings.model import StoreSpec


def create_repository(
    name: str,
    repository: str,
    *,
    spec: StoreSpec,
    key_arn: pulumi.Input[str],
    protect: bool,
    parent: pulumi.Resource,
) -> aws.ecr.Repository:
    """Create a repository with immutable tags, scan on push and a lifecycle.

    Args:
        name: Logical name of the repository and first part of that of its lifecycle.
        repository: Name in the registry.
        spec: Retention and deletion.
        key_arn: The environment's key.
        protect: Whether the repository refuses deletion.
        parent: The component.
    """
    created = aws.ecr.Repository(
        name,
        name=repository,
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
        encryption_configurations=[
            aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key_arn)
        ],
        force_delete=spec.force_destroy,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    aws.ecr.LifecyclePolicy(
        f"{name}-lifecycle",
        repository=created.name,
        policy=untagged_images_expire(spec.untagged_image_days),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return created


def untagged_images_expire(days: int) -> str:
    """Lifecycle policy that removes images without a tag after `days`; a tagged image may be in service and stays."""
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    rule = {
        "rulePriority": 1,
        "description": f"Untagged images expire after {days} days",
        "selection": selection,
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, separators=(",", ":"))
