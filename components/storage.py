"""Storage: volumes for workloads.

Creates: the EBS driver; storage classes of encrypted gp3 disks, which is the default one, and of disks that outlive
their claim. Where the settings ask for them: shared files (`SharedFiles`), a fast file system over the data bucket
(`LustreFiles`), parts of buckets as files (`BucketFiles`), the driver of secrets as files.
Does not create: claims, which belong to whoever uses them; snapshots; the right of a workload to call S3, which its
own role has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components import iam, storage_grants, storage_objects
from components.bucket_files import BucketFiles, BucketFilesArgs
from components.driver import Driver, DriverArgs, DriverPlace
from components.handles import ClusterHandle, NetworkHandle, NodePoolsHandle, Ready, StorageHandle
from components.lustre_files import LustreFiles, LustreFilesArgs
from components.releases import create_addon
from components.shared_files import SharedFiles, SharedFilesArgs

if TYPE_CHECKING:
    from components.labels import Labels
    from settings.model import StorageSpec

DEFAULT: str = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageArgs:
    """Arguments of `Storage`."""

    labels: Labels
    """Names and tags."""
    spec: StorageSpec
    """What there is beside disks."""
    ebs_version: str
    """Version of the add-on aws-ebs-csi-driver."""
    cluster: ClusterHandle
    """The cluster."""
    pools: NodePoolsHandle
    """Managed groups; controllers run on the system ones."""
    network: NetworkHandle
    """Subnets of file systems."""
    key_arn: pulumi.Output[str]
    """Key of every volume."""
    protect: bool
    """Whether shared files refuse deletion."""


class Storage(pulumi.ComponentResource):
    """Drivers, classes and volumes; see the module for what is created. Needs the AWS and the cluster's provider."""

    handle: StorageHandle
    """Who wants a volume uses this."""

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:storage:Storage", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        place = DriverPlace(labels=args.labels, cluster=args.cluster, pools=args.pools)
        driver = self._create_disk_driver(place)
        classes = (
            self._create_class(storage_objects.DEFAULT_CLASS, reclaim="Delete", default=True),
            self._create_class(storage_objects.RETAINED_CLASS, reclaim="Retain", default=False),
        )
        self.handle = StorageHandle(
            default_class=storage_objects.DEFAULT_CLASS,
            retained_class=storage_objects.RETAINED_CLASS,
            shared_class=storage_objects.SHARED_CLASS if args.spec.efs else None,
            ready=(driver.addon, *classes, *self._create_files(place)),
        )
        self.register_outputs({"default_class": self.handle.default_class})

    def _create_disk_driver(self, place: DriverPlace) -> Driver:
        args = self._args
        account = iam.Account.of(args.labels.environment)
        return Driver(
            f"{self._name}-ebs",
            DriverArgs(
                place=place,
                addon="aws-ebs-csi-driver",
                version=args.ebs_version,
                values=storage_objects.ebs_values(args.labels, reserved_attachments=args.spec.reserved_attachments),
                role="ebs-csi",
                service_account="ebs-csi-controller-sa",
                policies={
                    **storage_grants.ebs_policies(account, args.labels.ownership),
                    "encrypt-volumes": args.key_arn.apply(lambda key: storage_grants.encrypt_volumes(account, key)),
                },
            ),
            self._child,
        )

    def _create_class(self, class_name: str, *, reclaim: str, default: bool) -> kubernetes.storage.v1.StorageClass:
        return kubernetes.storage.v1.StorageClass(
            f"{self._name}-{class_name}",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=class_name, annotations={DEFAULT: "true" if default else "false"}
            ),
            provisioner="ebs.csi.aws.com",
            parameters=storage_objects.disk_parameters(self._args.key_arn),
            reclaim_policy=reclaim,
            allow_volume_expansion=True,
            # A disk lives in one zone: it is made where its pod runs.
            volume_binding_mode="WaitForFirstConsumer",
            opts=self._child,
        )

    def _create_files(self, place: DriverPlace) -> Ready:
        name, args, ready = self._name, self._args, ()
        if args.spec.efs is not None:
            shared = SharedFilesArgs(
                place=place, spec=args.spec.efs, network=args.network, key_arn=args.key_arn, protect=args.protect
            )
            ready += SharedFiles(f"{name}-efs", shared, self._child).ready
        if args.spec.lustre is not None:
            lustre = LustreFilesArgs(place=place, spec=args.spec.lustre, network=args.network, key_arn=args.key_arn)
            ready += LustreFiles(f"{name}-lustre", lustre, self._child).ready
        if args.spec.mountpoint is not None:
            buckets = BucketFilesArgs(place=place, spec=args.spec.mountpoint, key_arn=args.key_arn)
            ready += BucketFiles(f"{name}-s3", buckets, self._child).ready
        if args.spec.secrets is not None:
            # It needs no role: it reads each secret with that of the pod that mounts it.
            ready += (
                create_addon(
                    f"{name}-secrets",
                    addon="aws-secrets-store-csi-driver-provider",
                    version=args.spec.secrets.driver_version,
                    cluster=args.cluster,
                    parent=self,
                    values=storage_objects.secrets_values(args.spec.secrets, region=args.labels.environment.region),
                    after=args.pools.system_ready,
                ),
            )
        return ready
