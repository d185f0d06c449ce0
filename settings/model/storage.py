"""Volumes for workloads: disks, shared files, and the data bucket as files."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import AddonVersion, Name, Section, Zone
from settings.model.patterns import NAMESPACE, PREFIX


class EfsSpec(Section):
    """Shared files that any pod in any zone may write (Amazon EFS)."""

    driver_version: AddonVersion
    """EKS add-on aws-efs-csi-driver."""
    throughput_mode: Literal["elastic", "bursting", "provisioned"]
    """`elastic` is paid by use, `bursting` grows with the stored data, `provisioned` is paid by the hour."""
    provisioned_mibps: Annotated[int, Field(ge=1, le=3414)] | None
    """Throughput that is paid for, MiB/s; null exactly unless the mode is provisioned."""
    infrequent_access_days: Literal[1, 7, 14, 30, 60, 90, 180, 270, 365] | None
    """Days without a read before a file moves to cheaper storage; null for never."""
    backups: bool
    """Whether AWS Backup keeps daily copies."""


class LustreSpec(Section):
    """A fast file system over a part of the data bucket, in one zone (Amazon FSx for Lustre)."""

    driver_version: AddonVersion
    """EKS add-on aws-fsx-csi-driver."""
    deployment: Literal["SCRATCH_2", "PERSISTENT_2"]
    """`SCRATCH_2` loses files with a server and has a key of AWS; `PERSISTENT_2` keeps copies under the own key."""
    storage_gib: Annotated[int, Field(ge=1200, le=1_000_000)]
    """Size, GiB: 1200, 2400, or more in steps of 2400."""
    throughput_per_tib: Literal[125, 250, 500, 1000] | None
    """MB/s for each TiB; null exactly for SCRATCH_2, which has 200."""
    zone: Zone
    """Where it stands; pods that read much should run there too."""
    data_prefix: Annotated[str, Field(pattern=PREFIX)]
    """Prefix of the data bucket that appears in the file system."""
    namespace: Annotated[str, Field(pattern=NAMESPACE)]
    """The only namespace whose pods may mount it."""


class BucketVolumeSpec(Section):
    """A part of a bucket that pods of one namespace read as files."""

    name: Name
    """Name of the volume, and of the claim that may take it."""
    bucket: Literal["data", "models"]
    """The bucket."""
    prefix: Annotated[str, Field(pattern=PREFIX)]
    """What of it appears."""
    namespace: Annotated[str, Field(pattern=NAMESPACE)]
    """The only namespace whose pods may mount it."""


class MountpointSpec(Section):
    """Buckets as files, read only (Mountpoint for Amazon S3)."""

    driver_version: AddonVersion
    """EKS add-on aws-mountpoint-s3-csi-driver."""
    volumes: tuple[BucketVolumeSpec, ...] = Field(strict=False, min_length=1, max_length=20)
    """The volumes; the driver may read nothing else."""


class SecretFilesSpec(Section):
    """Secrets of AWS Secrets Manager as files of pods (Secrets Store CSI driver with AWS's provider)."""

    driver_version: AddonVersion
    """EKS add-on aws-secrets-store-csi-driver-provider."""
    reread_minutes: Annotated[int, Field(ge=1, le=1440)]
    """How often a mounted secret is read again, minutes; each time is a request per pod and secret."""


class StorageSpec(Section):
    """Volumes for workloads. Encrypted disks are always there; S3 without files needs only a role."""

    reserved_attachments: Annotated[int, Field(ge=1, le=20)]
    """Attachment slots of a node that are kept for its root volume and its network interfaces."""
    efs: EfsSpec | None
    """Shared files; null for none."""
    lustre: LustreSpec | None
    """Fast files over the data bucket; null for none."""
    mountpoint: MountpointSpec | None
    """Buckets as files; null for none."""
    secrets: SecretFilesSpec | None
    """Secrets as files; null when no namespace has secrets."""
