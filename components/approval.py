"""Approval: who decides about versions of models, and who brings them from the environment before.

Creates: a role that approves and rejects versions, where the settings name who may become it; a role that promotes
versions, where the settings name the environment that they come from.
Does not create: the roles that may become these; users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components.approval_grants import approve, promote
from components.promotion_policies import PROMOTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.handles import StoreHandle
    from components.labels import Labels
    from settings.model import ModelSpec, RegistrySpec

APPROVAL = "approval"
"""Duty of the role that decides about versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalArgs:
    """Arguments of `Approval`."""

    labels: Labels
    """Names and tags."""
    spec: RegistrySpec
    """Who may become which role."""
    models: tuple[ModelSpec, ...]
    """Models whose versions are decided about."""
    store: StoreHandle
    """Key of artefacts and reports."""


class Approval(pulumi.ComponentResource):
    """Roles of people and delivery pipelines; see the module for what is created."""

    def __init__(self, name: str, args: ApprovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:approval:Approval", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        labels, spec = args.labels, args.spec
        roles: dict[str, pulumi.Output[str]] = {}
        if spec.approver_arns:
            roles[APPROVAL] = self._create(APPROVAL, spec.approver_arns, approve(labels, args.models), write=False)
        if spec.promotes_from is not None:
            may = promote(labels, args.models, spec.promotes_from)
            roles[PROMOTION] = self._create(PROMOTION, spec.promoter_arns, may, write=True)
        self.register_outputs({"roles": roles})

    def _create(
        self, duty: str, trusted: Sequence[str], may: Mapping[str, list[iam.Statement]], *, write: bool
    ) -> pulumi.Output[str]:
        labels, name = self._args.labels, f"{self._name}-{duty}"
        account = iam.Account.of(labels.environment)
        role = aws.iam.Role(
            f"{name}-role",
            name=labels.role(duty),
            description=f"Versions of models: {duty}",
            assume_role_policy=iam.role_trust(trusted),
            opts=self._child,
        )

        def use_key(key_arn: str) -> str:
            return grants.use_key_through(account, key_arn, "s3", write=write)

        policies = {**grants.inline_policies(may), "use-key": self._args.store.key_arn.apply(use_key)}
        for ability, policy in policies.items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
        return role.arn
