"""Roles of schedules: what EventBridge Scheduler acts as when a time has come.

A building block of other components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi_aws as aws

from components import grants, iam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from components.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPolicies:
    """What a schedule may do."""

    labels: Labels
    key_arn: pulumi.Output[str]
    """Key of the schedule, which Scheduler reads it with."""
    abilities: Mapping[str, Sequence[iam.Statement]]
    """Statements by ability."""


def create_clock_role(
    name: str, role_name: str, description: str, may: ClockPolicies, child: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """Create a role for schedules, and its policies.

    Returns:
        The role, and what has to be there before it can act.
    """
    account = iam.Account.of(may.labels.environment)
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name,
        description=description,
        assume_role_policy=iam.service_trust(account, "scheduler.amazonaws.com"),
        opts=child,
    )
    policies = grants.inline_policies(may.abilities)
    policies["use-key"] = may.key_arn.apply(lambda arn: grants.use_key_through(account, arn, "scheduler"))
    return role, [
        aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=child)
        for ability, policy in policies.items()
    ]
