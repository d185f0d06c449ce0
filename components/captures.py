"""What lets the pods of one model bring their captures to S3.

Creates: an IAM role for the model's service account, which may create objects below the prefix of its captures and
nothing else; a network policy that lets the model's pods call AWS.
Does not create: the account and the sidecar, which belong to the pods. These wait for nothing here: a sidecar that may
not write yet tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import capture_objects, grants, network_flows
from components.irsa import ServiceAccountRole, ServiceAccountRoleArgs
from components.namespaces import create_policies
from components.serving_pods import account

if TYPE_CHECKING:
    from components.handles import ClusterHandle, TenancyHandle
    from components.labels import Labels
    from components.serving_pods import Workload
    from settings.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturesArgs:
    """Arguments of `Captures`."""

    labels: Labels
    """Names of the environment."""
    model: ModelSpec
    """The model."""
    workload: Workload
    """Its pods."""
    cluster: ClusterHandle
    """The cluster."""
    key_arn: pulumi.Output[str]
    """Key of the models bucket."""
    tenancy: TenancyHandle
    """The namespaces."""


class Captures(pulumi.ComponentResource):
    """Rights and ways of a model's sidecars; see the module for what is created. Needs both providers."""

    def __init__(self, name: str, args: CapturesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:captures:Captures", name, None, opts)
        labels, model, workload = args.labels, args.model, args.workload
        child, namespace = pulumi.ResourceOptions(parent=self), workload.spec.namespace
        role = ServiceAccountRole(
            name,
            ServiceAccountRoleArgs(
                cluster=args.cluster,
                role_name=capture_objects.role_name(labels, model.name),
                description=f"Brings captures of {model.name} to S3",
                namespace=namespace,
                service_account=account(model.name),
            ),
            child,
        ).role
        policies = {
            **grants.inline_policies(capture_objects.abilities(labels, model)),
            "use-key": args.key_arn.apply(lambda key: capture_objects.use_key(labels, key)),
        }
        for ability, policy in policies.items():
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=child)
        flows = {
            f"{workload.name}-ship-captures": network_flows.call_aws(args.tenancy.endpoint_ranges, workload.selector)
        }
        create_policies(name, namespace, flows, parent=self, after=args.tenancy.namespaces[namespace])
        self.register_outputs({"role_arn": role.arn})
