"""IAM roles for service accounts: the one way in which a pod gets AWS permissions.

Creates: one role whose trust names exactly one Kubernetes service account of one cluster, or the few that one add-on
gives the same role.
The trust document contains the cluster's issuer and is unknown until the cluster exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam

if TYPE_CHECKING:
    from components.handles import ClusterHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountRoleArgs:
    """Arguments of `ServiceAccountRole`."""

    cluster: ClusterHandle
    """Cluster whose tokens the role accepts."""
    role_name: str
    """Physical name of the role."""
    description: str
    """What the role is for."""
    namespace: str
    """Namespace of the service account."""
    service_account: str
    """Name of the service account."""
    also: tuple[str, ...] = ()
    """Further service accounts of the namespace, where an add-on has several and takes one role."""


class ServiceAccountRole(pulumi.ComponentResource):
    """A role for a service account; grants are attached by whoever creates it."""

    role: aws.iam.Role
    """The role."""

    def __init__(self, name: str, args: ServiceAccountRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:irsa:ServiceAccountRole", name, None, opts)

        def trust(identity: list[str]) -> str:
            provider_arn, issuer = identity
            return iam.service_account_trust(provider_arn, issuer, args.namespace, args.service_account, *args.also)

        self.role = aws.iam.Role(
            f"{name}-role",
            name=args.role_name,
            description=args.description,
            assume_role_policy=pulumi.Output.all(args.cluster.oidc_provider_arn, args.cluster.oidc_issuer).apply(trust),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"role_arn": self.role.arn})
