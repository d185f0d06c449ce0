"""EKS."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import CLUSTER, ROLE, uuid
from sandbox.providers.kinds import Birth, Kind, arn, hex_id, joined, together

if TYPE_CHECKING:
    from sandbox.wire import Properties


def _cluster(birth: Birth, _id: str) -> Properties:
    place, unique = birth.place, birth.hex(32, "oidc").upper()
    authority = base64.b64encode(f"sandbox certificate of {birth.text('name')}".encode()).decode()
    vpc = birth.inputs.get("vpcConfig")
    config: Properties = dict(vpc) if isinstance(vpc, dict) else {}
    config |= {"clusterSecurityGroupId": f"sg-0{birth.hex(16, 'cluster-sg')}"}
    return {
        "endpoint": f"https://{unique}.gr7.{place.region}.eks.amazonaws.com",
        "certificateAuthority": {"data": authority},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{place.region}.amazonaws.com/id/{unique}"}]}],
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "vpcConfig": config,
    }


def _node_group(birth: Birth, _id: str) -> Properties:
    group = f"eks-{birth.text('nodeGroupName')}-{uuid(birth)}"
    return {"status": "ACTIVE", "resources": [{"autoscalingGroups": [{"name": group}]}]}


KINDS: Final[dict[str, Kind]] = {
    CLUSTER: Kind(
        identify=joined("name"),
        compute=together(arn("arn:{partition}:eks:{region}:{account}:cluster/{id}"), _cluster),
        immutable=frozenset(
            {
                "name",
                "roleArn",
                "encryptionConfig",
                "kubernetesNetworkConfig.serviceIpv4Cidr",
                "kubernetesNetworkConfig.ipFamily",
                "bootstrapSelfManagedAddons",
                "outpostConfig",
                "accessConfig.bootstrapClusterCreatorAdminPermissions",
            }
        ),
        autoname="name",
        needs={"roleArn": ROLE},
        api=("eks", "CreateCluster", ""),
        seconds=540,
    ),
    "aws:eks/nodeGroup:NodeGroup": Kind(
        identify=joined("clusterName", "nodeGroupName", by=":"),
        compute=together(
            arn("arn:{partition}:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/{hex}"), _node_group
        ),
        immutable=frozenset(
            {
                "clusterName",
                "nodeGroupName",
                "nodeGroupNamePrefix",
                "nodeRoleArn",
                "subnetIds",
                "instanceTypes",
                "capacityType",
                "amiType",
                "diskSize",
                "remoteAccess",
                "launchTemplate.id",
                "launchTemplate.name",
            }
        ),
        autoname="nodeGroupName",
        needs={"clusterName": CLUSTER, "nodeRoleArn": ROLE},
        api=("eks", "CreateNodegroup", ""),
        seconds=120,
    ),
    "aws:eks/addon:Addon": Kind(
        identify=joined("clusterName", "addonName", by=":"),
        compute=arn("arn:{partition}:eks:{region}:{account}:addon/{clusterName}/{addonName}/{hex}"),
        immutable=frozenset({"clusterName", "addonName"}),
        needs={"clusterName": CLUSTER},
        seconds=30,
    ),
    # Users report 5 to 6 minutes (containers-roadmap, issue 2392), lately less.
    "aws:eks/fargateProfile:FargateProfile": Kind(
        identify=joined("clusterName", "fargateProfileName", by=":"),
        compute=together(
            arn("arn:{partition}:eks:{region}:{account}:fargateprofile/{clusterName}/{fargateProfileName}/{hex}"),
            lambda _birth, _id: {"status": "ACTIVE"},
        ),
        immutable=frozenset({"clusterName", "fargateProfileName", "podExecutionRoleArn", "selectors", "subnetIds"}),
        autoname="fargateProfileName",
        needs={"clusterName": CLUSTER, "podExecutionRoleArn": ROLE},
        api=("eks", "CreateFargateProfile", ""),
        seconds=325,
    ),
    "aws:eks/accessEntry:AccessEntry": Kind(
        identify=joined("clusterName", "principalArn", by=":"),
        compute=arn("arn:{partition}:eks:{region}:{account}:access-entry/{clusterName}/{hex}", "accessEntryArn"),
        immutable=frozenset({"clusterName", "principalArn", "type"}),
        needs={"clusterName": CLUSTER},
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Kind(
        identify=joined("clusterName", "principalArn", "policyArn", by="#"),
        immutable=frozenset({"clusterName", "principalArn", "policyArn", "accessScope"}),
        needs={"clusterName": CLUSTER},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind(
        identify=hex_id("a"),
        immutable=frozenset({"clusterName", "namespace", "serviceAccount"}),
        needs={"clusterName": CLUSTER, "roleArn": ROLE},
    ),
}
