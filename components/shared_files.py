"""Shared files: what pods in several zones write together.

Creates: an encrypted EFS file system with a mount target per private subnet, reached by nodes only; its policy, by
which nobody but the driver mounts it, and nobody without TLS; its backup policy; the EFS driver; a storage class that
gives every claim a directory and a user of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam, resource_policies, storage_grants, storage_objects
from components.driver import Driver, DriverArgs, DriverPlace
from components.firewall import Traffic, let_in, let_out

if TYPE_CHECKING:
    from components.handles import NetworkHandle
    from settings.model import EfsSpec

NFS: Final = 2049


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFilesArgs:
    """Arguments of `SharedFiles`."""

    place: DriverPlace
    """Where the driver runs."""
    spec: EfsSpec
    """Throughput, cheaper storage, backups."""
    network: NetworkHandle
    """Subnets of the mount targets."""
    key_arn: pulumi.Output[str]
    """Key of the files."""
    protect: bool
    """Whether the file system refuses deletion."""


class SharedFiles(pulumi.ComponentResource):
    """File system, driver and class; see the module for what is created."""

    ready: tuple[pulumi.Resource, ...]
    """A claim of the class is bound and mounted after these."""

    def __init__(self, name: str, args: SharedFilesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:sharedfiles:SharedFiles", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        files = self._create_file_system()
        targets = self._create_mount_targets(files)
        driver = self._create_driver(files)
        policy = aws.efs.FileSystemPolicy(
            f"{name}-policy",
            file_system_id=files.id,
            policy=pulumi.Output.all(files.arn, driver.role.arn).apply(
                lambda arns: resource_policies.file_system_policy(*arns)
            ),
            opts=self._child,
        )
        aws.efs.BackupPolicy(
            f"{name}-backups",
            file_system_id=files.id,
            backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="ENABLED" if args.spec.backups else "DISABLED"),
            opts=self._child,
        )
        storage_class = kubernetes.storage.v1.StorageClass(
            f"{name}-class",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=storage_objects.SHARED_CLASS),
            provisioner="efs.csi.aws.com",
            parameters=storage_objects.shared_parameters(files.id),
            reclaim_policy="Delete",
            volume_binding_mode="Immediate",
            # Without `iam` the driver would come as nobody, whom the policy of the file system refuses.
            mount_options=["tls", "iam"],
            opts=self._child,
        )
        self.ready = (*targets, policy, driver.addon, storage_class)
        self.register_outputs({"file_system_id": files.id})

    def _create_file_system(self) -> aws.efs.FileSystem:
        spec, labels = self._args.spec, self._args.place.labels
        cooling: list[aws.efs.FileSystemLifecyclePolicyArgs] = []
        if (days := spec.infrequent_access_days) is not None:
            unit = "DAY" if days == 1 else "DAYS"
            cooling = [
                aws.efs.FileSystemLifecyclePolicyArgs(transition_to_ia=f"AFTER_{days}_{unit}"),
                aws.efs.FileSystemLifecyclePolicyArgs(transition_to_primary_storage_class="AFTER_1_ACCESS"),
            ]
        return aws.efs.FileSystem(
            self._name,
            encrypted=True,
            kms_key_id=self._args.key_arn,
            performance_mode="generalPurpose",
            throughput_mode=spec.throughput_mode,
            provisioned_throughput_in_mibps=spec.provisioned_mibps,
            lifecycle_policies=cooling,
            tags=labels.named("shared-files"),
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )

    def _create_mount_targets(self, files: aws.efs.FileSystem) -> list[aws.efs.MountTarget]:
        name, network, place = self._name, self._args.network, self._args.place
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Shared files: NFS from nodes",
            vpc_id=network.vpc_id,
            tags=place.labels.named("shared-files"),
            opts=self._child,
        )
        nodes = place.cluster.node_security_group
        asked = Traffic(description="Nodes to shared files", port=NFS, group=nodes)
        asking = Traffic(description="Nodes to shared files", port=NFS, group=group.id)
        opened = [
            let_in(f"{name}-from-nodes", group.id, asked, self._child),
            let_out(f"{name}-nodes-out", nodes, asking, self._child),
        ]
        return [
            aws.efs.MountTarget(
                f"{name}-target-{zone}",
                file_system_id=files.id,
                subnet_id=subnet,
                security_groups=[group.id],
                opts=pulumi.ResourceOptions(parent=self, depends_on=opened),
            )
            for zone, subnet in network.private_subnets.items()
        ]

    def _create_driver(self, files: aws.efs.FileSystem) -> Driver:
        place, spec = self._args.place, self._args.spec
        account = iam.Account.of(place.labels.environment)
        return Driver(
            f"{self._name}-driver",
            DriverArgs(
                place=place,
                addon="aws-efs-csi-driver",
                version=spec.driver_version,
                values=storage_objects.efs_values(),
                role="efs-csi",
                service_account="efs-csi-controller-sa",
                # The add-on gives both the same role; nodes mount with it.
                also=("efs-csi-node-sa",),
                policies={"share-files": files.arn.apply(lambda arn: storage_grants.share_files(account, arn))},
            ),
            self._child,
        )
