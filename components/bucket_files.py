"""Buckets as files: parts of the data and models buckets that pods read by path.

Creates: the driver Mountpoint for Amazon S3, whose role reads the configured prefixes and nothing else; per part a
persistent volume that one claim of one namespace may take.

All volumes are read with the role of the driver: which namespace sees which prefix is decided by the claim that a
volume is kept for. Where that is too coarse, a workload calls S3 with a role of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components import grants, iam, storage_grants, storage_objects
from components.driver import Driver, DriverArgs, DriverPlace

if TYPE_CHECKING:
    from settings.model import MountpointSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFilesArgs:
    """Arguments of `BucketFiles`."""

    place: DriverPlace
    """Where the driver runs."""
    spec: MountpointSpec
    """The volumes."""
    key_arn: pulumi.Output[str]
    """Key of the objects."""


class BucketFiles(pulumi.ComponentResource):
    """Driver and volumes; see the module for what is created."""

    ready: tuple[pulumi.Resource, ...]
    """Claims of the volumes are bound and mounted after these."""

    def __init__(self, name: str, args: BucketFilesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:bucketfiles:BucketFiles", name, None, opts)
        labels, child = args.place.labels, pulumi.ResourceOptions(parent=self)
        driver = Driver(
            f"{name}-driver",
            DriverArgs(
                place=args.place,
                addon="aws-mountpoint-s3-csi-driver",
                version=args.spec.driver_version,
                values=storage_objects.mountpoint_values(),
                role="s3-csi",
                service_account="s3-csi-driver-sa",
                policies=self._policies(args),
            ),
            child,
        )
        volumes = tuple(
            kubernetes.core.v1.PersistentVolume(
                f"{name}-{volume.name}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=volume.name),
                spec=storage_objects.bucket_volume(
                    volume, bucket=labels.bucket(volume.bucket), region=labels.environment.region
                ),
                opts=child,
            )
            for volume in args.spec.volumes
        )
        self.ready = (driver.addon, *volumes)
        self.register_outputs({"volumes": [volume.name for volume in args.spec.volumes]})

    @staticmethod
    def _policies(args: BucketFilesArgs) -> dict[str, pulumi.Input[str]]:
        labels = args.place.labels
        account = iam.Account.of(labels.environment)
        prefixes: dict[str, list[str]] = {}
        for volume in args.spec.volumes:
            prefixes.setdefault(volume.bucket, []).append(volume.prefix)
        reads = {
            f"read-{kind}": grants.read_objects(account, labels.bucket(kind), below) for kind, below in prefixes.items()
        }
        decrypt = args.key_arn.apply(lambda key: storage_grants.decrypt_objects(account, key))
        return {**grants.inline_policies(reads), "decrypt-objects": decrypt}
