"""Execution roles of SageMaker: one for each duty of a model.

A building block of other components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws

from components import iam
from components.training_grants import SAGEMAKER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.model_places import Duty, ModelPlaces


def create_duty_role(
    name: str,
    places: ModelPlaces,
    duty: Duty,
    policies: Mapping[str, pulumi.Input[str]],
    child: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, list[aws.iam.RolePolicy]]:
    """Create the role of one duty, and its policies.

    Returns:
        The role, and what has to be there before it can act.
    """
    model, labels = places.model.name, places.labels
    role = aws.iam.Role(
        f"{name}-{model}-{duty}-role",
        name=places.role(duty),
        description=f"Pipeline of {model}: {duty}",
        assume_role_policy=iam.service_trust(iam.Account.of(labels.environment), SAGEMAKER),
        opts=child,
    )
    return role, [
        aws.iam.RolePolicy(f"{name}-{model}-{duty}-{ability}", name=ability, role=role.name, policy=policy, opts=child)
        for ability, policy in policies.items()
    ]
