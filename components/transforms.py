"""Transforms: corrections to what a packaged component registers; the engine applies them to its children as well."""

from __future__ import annotations

import pulumi


def no_access_for_creator(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """Take back the administration that `pulumi_eks` gives to whoever creates the cluster; access entries decide."""
    if args.type_ != "aws:eks/cluster:Cluster":
        return None
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    return pulumi.ResourceTransformResult(props={**args.props, "accessConfig": access}, opts=args.opts)
