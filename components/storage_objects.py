"""Storage drivers' add-on values, storage classes and volumes as pure functions of settings.

Fields are those of the charts that the add-ons are made of: aws-ebs-csi-driver 2.64, aws-efs-csi-driver 4.4,
aws-fsx-csi-driver 1.17, aws-mountpoint-s3-csi-driver 2.7, secrets-store-csi-driver-provider-aws 2.2. EKS takes only
some of them: what a version takes is in `aws eks describe-addon-configuration`, and where a chart's default is right,
nothing is said here. Parameters of classes and volumes are those that the drivers' documentation lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pulumi_kubernetes.core import v1 as core

from components.labels import ROLE_LABEL, Labels
from components.nodes import SYSTEM_TAINT
from settings.model import PoolRole

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from settings.model import BucketVolumeSpec, LustreSpec, SecretFilesSpec

NAMESPACE: Final = "kube-system"
DEFAULT_CLASS: Final = "gp3"
RETAINED_CLASS: Final = "gp3-retain"
SHARED_CLASS: Final = "efs"
LUSTRE: Final = "lustre"
"""Name of the volume over the data bucket, and of the claim that takes it."""
REPLICAS: Final = 2
"""Controllers of a driver: one leads, the other takes over."""

_EVERY_NODE: Final = {"tolerateAllTaints": True}
"""A node without the driver mounts nothing, whatever keeps other pods away from it."""


def placement() -> dict[str, Any]:
    """Values that place a driver's controller; the charts add the operating system to the selector themselves."""
    return {
        "nodeSelector": {ROLE_LABEL: PoolRole.SYSTEM.value},
        "tolerations": [
            {"key": SYSTEM_TAINT, "operator": "Exists"},
            {"effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 300},
        ],
    }


def ebs_values(labels: Labels, *, reserved_attachments: int) -> dict[str, Any]:
    """Values of the add-on aws-ebs-csi-driver.

    Args:
        labels: Names and tags; EC2 does not pass a cluster's tags on to its volumes.
        reserved_attachments: Slots of a node that are not for volumes of pods.
    """
    return {
        "controller": {"replicaCount": REPLICAS, "extraVolumeTags": dict(labels.tags), **placement()},
        "node": {**_EVERY_NODE, "enableWindows": False, "reservedVolumeAttachments": reserved_attachments},
    }


def efs_values() -> dict[str, Any]:
    """Values of the add-on aws-efs-csi-driver; its DaemonSet tolerates every taint by itself.

    The files of a deleted claim stay. EKS does not let the driver tag access points (aws/containers-roadmap, issue
    2755).
    """
    # EKS's own request is 200m for each of three containers; the processes wait for claims.
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    return {"controller": {"deleteAccessPointRootDir": False, "resources": resources, **placement()}}


def fsx_values() -> dict[str, Any]:
    """Values of the add-on aws-fsx-csi-driver, whose pods tolerate what they have to by themselves."""
    return {"controller": {"nodeSelector": placement()["nodeSelector"]}}


def mountpoint_values() -> dict[str, Any]:
    """Values of the add-on aws-mountpoint-s3-csi-driver; its controller has one replica."""
    return {"controller": placement(), "node": dict(_EVERY_NODE)}


def secrets_values(spec: SecretFilesSpec, *, region: str) -> dict[str, Any]:
    """Values of the add-on aws-secrets-store-csi-driver-provider.

    The driver below it tolerates every taint by itself, and copies no secret into a Secret of Kubernetes.

    Args:
        spec: How often secrets are read again.
        region: Where the secrets are; the provider would ask the API server for each mount.
    """
    return {
        "awsRegion": region,
        "tolerations": [{"operator": "Exists"}],
        "secrets-store-csi-driver": {
            "enableSecretRotation": True,
            "rotationPollInterval": f"{spec.reread_minutes}m",
        },
    }


def disk_parameters(key_arn: pulumi.Input[str]) -> Mapping[str, pulumi.Input[str]]:
    """Parameters of a class of disks: gp3 under the key of the environment."""
    return {"type": "gp3", "encrypted": "true", "kmsKeyId": key_arn, "csi.storage.k8s.io/fstype": "ext4"}


def shared_parameters(file_system: pulumi.Input[str]) -> Mapping[str, pulumi.Input[str]]:
    """Parameters of the class of shared files: an access point per claim, closed to every other one.

    An access point decides user and group, so a claim sees its own directory only. A file system has at most 1,000
    access points (EFS user guide, quotas).
    """
    return {
        "provisioningMode": "efs-ap",
        "fileSystemId": file_system,
        "directoryPerms": "700",
        "gidRangeStart": "50000",
        "gidRangeEnd": "51000",
        "basePath": "/claims",
        "subPathPattern": "${.PVC.namespace}/${.PVC.name}",
        "ensureUniqueDirectory": "true",
    }


def lustre_volume(
    spec: LustreSpec,
    *,
    file_system: pulumi.Input[str],
    dns_name: pulumi.Input[str],
    mount_name: pulumi.Input[str],
) -> core.PersistentVolumeSpecArgs:
    """Specification of the persistent volume over a Lustre file system."""
    source = core.CSIPersistentVolumeSourceArgs(
        driver="fsx.csi.aws.com",
        volume_handle=file_system,
        volume_attributes={"dnsname": dns_name, "mountname": mount_name},
    )
    return _volume(
        source,
        claim=core.ObjectReferenceArgs(namespace=spec.namespace, name=LUSTRE),
        size=f"{spec.storage_gib}Gi",
        access="ReadWriteMany",
        mount_options=["flock"],
    )


def bucket_volume(spec: BucketVolumeSpec, *, bucket: str, region: str) -> core.PersistentVolumeSpecArgs:
    """Specification of the persistent volume over a part of a bucket."""
    source = core.CSIPersistentVolumeSourceArgs(
        driver="s3.csi.aws.com",
        volume_handle=spec.name,
        volume_attributes={"bucketName": bucket, "authenticationSource": "driver"},
    )
    return _volume(
        source,
        claim=core.ObjectReferenceArgs(namespace=spec.namespace, name=spec.name),
        # Kubernetes wants a size; S3 has none.
        size="1Gi",
        access="ReadOnlyMany",
        # A process that is not root, as every one here, reads the files only with allow-other.
        mount_options=["read-only", "allow-other", f"region {region}", f"prefix {spec.prefix}"],
    )


def _volume(
    source: core.CSIPersistentVolumeSourceArgs,
    *,
    claim: core.ObjectReferenceArgs,
    size: str,
    access: str,
    mount_options: list[str],
) -> core.PersistentVolumeSpecArgs:
    """A volume over something that is there already, kept for one claim of one namespace."""
    return core.PersistentVolumeSpecArgs(
        csi=source,
        claim_ref=claim,
        capacity={"storage": size},
        access_modes=[access],
        mount_options=mount_options,
        # No class: Kubernetes binds the claim to this volume, and no driver makes another one.
        storage_class_name="",
        volume_mode="Filesystem",
        persistent_volume_reclaim_policy="Retain",
    )
