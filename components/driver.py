"""A storage driver: an EKS add-on with a role of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.releases import create_addon
from components.storage_objects import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.handles import ClusterHandle, NodePoolsHandle, Ready
    from components.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverPlace:
    """Where drivers run."""

    labels: Labels
    """Names and tags."""
    cluster: ClusterHandle
    """The cluster."""
    pools: NodePoolsHandle
    """Managed groups; controllers run on the system ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverArgs:
    """Arguments of `Driver`."""

    place: DriverPlace
    """Where it runs."""
    addon: str
    """EKS's name of the add-on."""
    version: str
    """Its exact version."""
    values: Mapping[str, Any]
    """Its configuration."""
    role: str
    """Last part of the role's name."""
    service_account: str
    """Service account that the add-on gives the role."""
    also: tuple[str, ...] = ()
    """Further ones."""
    policies: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, "pulumi.Input[str]"])
    """Inline policies by ability."""
    after: Ready = ()
    """What has to exist before the driver's pods."""


class Driver(pulumi.ComponentResource):
    """Role, grants and add-on."""

    role: aws.iam.Role
    """Role of the driver."""
    addon: aws.eks.Addon
    """The add-on; volumes can be made and mounted after it."""

    def __init__(self, name: str, args: DriverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:driver:Driver", name, None, opts)
        child, place = pulumi.ResourceOptions(parent=self), args.place
        self.role = ServiceAccountRole(
            name,
            ServiceAccountRoleArgs(
                cluster=place.cluster,
                role_name=place.labels.role(args.role),
                description=f"{args.addon}: volumes of pods",
                namespace=NAMESPACE,
                service_account=args.service_account,
                also=args.also,
            ),
            child,
        ).role
        granted = [
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=self.role.name, policy=policy, opts=child)
            for ability, policy in args.policies.items()
        ]
        self.addon = create_addon(
            name,
            addon=args.addon,
            version=args.version,
            cluster=place.cluster,
            parent=self,
            values=args.values,
            role=self.role.arn,
            after=[*granted, *args.after, *place.pools.system_ready],
        )
        self.register_outputs({"role_arn": self.role.arn, "version": self.addon.addon_version})
