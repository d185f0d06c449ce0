"""EFS and FSx for Lustre.

Times: EKS user guide, "Deploy the FSx for Lustre driver" (5 to 10 minutes for a file system); EFS user guide, "Mounting
with a DNS name" (90 seconds after a mount target); published runs of the provider for an EFS file system (12 seconds).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.providers.aws_kinds.shared import KEY, SUBNET, side, suffix
from sandbox.providers.kinds import Birth, Kind, arn, hex_id, together

if TYPE_CHECKING:
    from sandbox.wire import Properties

_SHARED: Final = "aws:efs/fileSystem:FileSystem"
_LUSTRE: Final = "aws:fsx/lustreFileSystem:LustreFileSystem"


def _shared_files(birth: Birth, id_: str) -> Properties:
    place = birth.place
    return {
        "dnsName": f"{id_}.efs.{place.region}.{suffix(birth)}",
        "numberOfMountTargets": 0,
        "ownerId": place.account_id,
    }


def _mount_target(birth: Birth, _id: str) -> Properties:
    place, files = birth.place, birth.text("fileSystemId")
    owner = f"arn:{place.partition}:elasticfilesystem:{place.region}:{place.account_id}"
    return {
        "dnsName": f"{files}.efs.{place.region}.{suffix(birth)}",
        "fileSystemArn": f"{owner}:file-system/{files}",
        "networkInterfaceId": f"eni-0{birth.hex(16, 'eni')}",
        "ownerId": place.account_id,
    }


def _lustre(birth: Birth, id_: str) -> Properties:
    place = birth.place
    return {
        "dnsName": f"{id_}.fsx.{place.region}.{suffix(birth)}",
        "mountName": "fsx" if birth.text("deploymentType").startswith("SCRATCH_1") else birth.hex(8, "mount"),
        "networkInterfaceIds": [f"eni-0{birth.hex(16, 'eni')}"],
        "ownerId": place.account_id,
    }


KINDS: Final[dict[str, Kind]] = {
    _SHARED: Kind(
        identify=hex_id("fs"),
        compute=together(arn("arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}"), _shared_files),
        immutable=frozenset({"availabilityZoneName", "creationToken", "encrypted", "kmsKeyId", "performanceMode"}),
        needs={"kmsKeyId": KEY},
        api=("efs", "CreateFileSystem", ""),
        seconds=12,
    ),
    "aws:efs/mountTarget:MountTarget": Kind(
        identify=hex_id("fsmt"),
        compute=_mount_target,
        immutable=frozenset({"fileSystemId", "subnetId", "ipAddress"}),
        needs={"fileSystemId": _SHARED, "subnetId": SUBNET},
        api=("efs", "CreateMountTarget", ""),
        seconds=90,
    ),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": side(_SHARED, "fileSystemId", ("efs", "PutFileSystemPolicy", "")),
    "aws:efs/backupPolicy:BackupPolicy": side(_SHARED, "fileSystemId", ("efs", "PutBackupPolicy", "")),
    _LUSTRE: Kind(
        identify=hex_id("fs"),
        compute=together(arn("arn:{partition}:fsx:{region}:{account}:file-system/{id}"), _lustre),
        immutable=frozenset(
            {
                "deploymentType",
                "fileSystemTypeVersion",
                "importPath",
                "kmsKeyId",
                "securityGroupIds",
                "storageType",
                "subnetIds",
            }
        ),
        needs={"subnetIds": SUBNET, "kmsKeyId": KEY},
        api=("fsx", "CreateFileSystem", ""),
        seconds=450,
    ),
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": Kind(
        identify=hex_id("dra"),
        compute=arn("arn:{partition}:fsx:{region}:{account}:association/{fileSystemId}/{id}"),
        immutable=frozenset({"batchImportMetaDataOnCreate", "dataRepositoryPath", "fileSystemId", "fileSystemPath"}),
        needs={"fileSystemId": _LUSTRE},
        api=("fsx", "CreateDataRepositoryAssociation", ""),
    ),
}
