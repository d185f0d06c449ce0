"""Lustre: a part of the data bucket as fast files, for trainings that read it again and again.

Creates: an encrypted FSx for Lustre file system in one private subnet, reached by nodes only; its link with a prefix
of the data bucket; the FSx driver; a persistent volume that one claim of one namespace may take.

The names of all objects are read when the link is made, the contents when a file is opened; what changes in the bucket
later comes by `aws fsx create-data-repository-task`. FSx could follow the bucket by itself, but would write into the
bucket's notifications, which belong to the program. Nothing is written back, and no backup is taken (FSx takes none of
a linked file system): the bucket has the originals, and the file system can be made again at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import iam, storage_grants, storage_objects
from components.driver import Driver, DriverArgs, DriverPlace
from components.firewall import Traffic, let_in, let_out
from components.labels import DATA

if TYPE_CHECKING:
    from components.handles import NetworkHandle, Ready
    from settings.model import LustreSpec

PORTS: Final = {"lustre": (988, 988), "lustre-replies": (1018, 1023)}
"""TCP ports between Lustre servers and clients, in both directions (FSx for Lustre user guide, "File system access
control with Amazon VPC")."""
LUSTRE_VERSION: Final = "2.15"
LINKED_FOLDER: Final = "/data"
"""Folder of the file system in which the bucket's prefix appears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LustreFilesArgs:
    """Arguments of `LustreFiles`."""

    place: DriverPlace
    """Where the driver runs."""
    spec: LustreSpec
    """Size, speed, place, and what it shows."""
    network: NetworkHandle
    """Subnet of the file system."""
    key_arn: pulumi.Output[str]
    """Key of the files, where the deployment takes one."""


class LustreFiles(pulumi.ComponentResource):
    """File system, driver and volume; see the module for what is created."""

    ready: tuple[pulumi.Resource, ...]
    """The claim of the volume is bound and mounted after these."""

    def __init__(self, name: str, args: LustreFilesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:lustrefiles:LustreFiles", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        files = self._create_file_system()
        bucket = args.place.labels.bucket(DATA)
        link = aws.fsx.DataRepositoryAssociation(
            f"{name}-data",
            file_system_id=files.id,
            file_system_path=LINKED_FOLDER,
            data_repository_path=f"s3://{bucket}/{args.spec.data_prefix}",
            batch_import_meta_data_on_create=True,
            opts=self._child,
        )
        driver = self._create_driver()
        volume = kubernetes.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=storage_objects.LUSTRE),
            spec=storage_objects.lustre_volume(
                args.spec, file_system=files.id, dns_name=files.dns_name, mount_name=files.mount_name
            ),
            opts=self._child,
        )
        self.ready = (link, driver.addon, volume)
        self.register_outputs({"file_system_id": files.id})

    def _create_file_system(self) -> aws.fsx.LustreFileSystem:
        args, spec = self._args, self._args.spec
        group, opened = self._create_security_group()
        persistent = spec.deployment == "PERSISTENT_2"
        return aws.fsx.LustreFileSystem(
            self._name,
            deployment_type=spec.deployment,
            file_system_type_version=LUSTRE_VERSION,
            storage_type="SSD",
            storage_capacity=spec.storage_gib,
            per_unit_storage_throughput=spec.throughput_per_tib,
            data_compression_type="LZ4",
            kms_key_id=args.key_arn if persistent else None,
            automatic_backup_retention_days=0 if persistent else None,
            skip_final_backup=True,
            subnet_ids=args.network.private_subnets[spec.zone],
            security_group_ids=[group],
            tags=args.place.labels.named("lustre"),
            # FSx refuses a file system whose servers cannot reach each other.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(opened)),
        )

    def _create_security_group(self) -> tuple[pulumi.Output[str], Ready]:
        name, args = self._name, self._args
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Lustre: its servers and nodes",
            vpc_id=args.network.vpc_id,
            tags=args.place.labels.named("lustre"),
            opts=self._child,
        )
        nodes = args.place.cluster.node_security_group
        opened: list[pulumi.Resource] = []
        pairs = {"servers": (group.id, group.id), "from-nodes": (group.id, nodes), "to-nodes": (nodes, group.id)}
        for way, (at, peer) in pairs.items():
            for role, (first, last) in PORTS.items():
                traffic = Traffic(description=f"Lustre, {way}: {role}", port=first, last_port=last, group=peer)
                opened += [
                    let_in(f"{name}-{way}-{role}-in", at, traffic, self._child),
                    let_out(f"{name}-{way}-{role}-out", at, traffic, self._child),
                ]
        return group.id, tuple(opened)

    def _create_driver(self) -> Driver:
        account = iam.Account.of(self._args.place.labels.environment)
        return Driver(
            f"{self._name}-driver",
            DriverArgs(
                place=self._args.place,
                addon="aws-fsx-csi-driver",
                version=self._args.spec.driver_version,
                values=storage_objects.fsx_values(),
                role="fsx-csi",
                service_account="fsx-csi-controller-sa",
                policies={"find-file-systems": storage_grants.find_file_systems(account)},
            ),
            self._child,
        )
