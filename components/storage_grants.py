"""Grants of the storage drivers: what each needs for the volumes of one environment.

Sources: `docs/AmazonEBSCSIDriverPolicyV2.json` and `docs/install.md` (KMS) of kubernetes-sigs/aws-ebs-csi-driver 1.64,
`docs/iam-policy-example.json` of aws-efs-csi-driver 3.4. Narrowed to account and region, and to what carries the tags
of the environment: two clusters of one account never touch each other's volumes. Left out are abilities that nothing
here uses: copies of volumes, fast restore and locks of snapshots, volumes of the former in-tree driver, S3 Files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from components import iam

if TYPE_CHECKING:
    from collections.abc import Mapping

_EBS_MARK: Final = "ebs.csi.aws.com/cluster"
"""Tag that the EBS driver gives everything it makes."""
_EFS_MARK: Final = "efs.csi.aws.com/cluster"
"""Tag that the EFS driver gives the access points that it makes."""


def ebs_policies(account: iam.Account, ownership: Mapping[str, str]) -> Mapping[str, str]:
    """Inline policies of the EBS driver by ability; all but the use of the key, whose ARN AWS numbers.

    Args:
        account: Account and region of the volumes.
        ownership: Tags of the environment, which the driver is configured to give to what it makes.
    """
    marks = {**ownership, _EBS_MARK: "true"}
    abilities = {
        "find-volumes": [_find_volumes(account)],
        "make-volumes": _make_volumes(account, marks),
        "use-volumes": _use_volumes(account, marks, ownership),
    }
    return {ability: iam.document(*statements) for ability, statements in abilities.items()}


def _find_volumes(account: iam.Account) -> iam.Statement:
    """The reading actions of EC2 know no resources."""
    things = ("AvailabilityZones", "Instances", "InstanceTypes", "Snapshots", "VolumeStatus", "Volumes")
    return {
        "Effect": "Allow",
        "Action": [*(f"ec2:Describe{thing}" for thing in things), "ec2:DescribeVolumesModifications"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": account.region}},
    }


def _make_volumes(account: iam.Account, marks: Mapping[str, str]) -> list[iam.Statement]:
    """Make marked volumes and snapshots, volumes from marked snapshots, and tag them while they are made."""
    volume, snapshot = account.arn("ec2", "volume/*"), account.public_arn("ec2", "snapshot/*")
    requested = _tagged("aws:RequestTag", marks)
    creations: list[str] = ["CreateVolume", "CreateSnapshot"]
    while_made: iam.Condition = {"StringEquals": {**requested["StringEquals"], "ec2:CreateAction": creations}}
    allow: iam.Statement = {"Effect": "Allow"}
    return [
        {**allow, "Action": "ec2:CreateVolume", "Resource": volume, "Condition": requested},
        {**allow, "Action": "ec2:CreateSnapshot", "Resource": snapshot, "Condition": requested},
        {**allow, "Action": "ec2:CreateTags", "Resource": [volume, snapshot], "Condition": while_made},
        {
            **allow,
            "Action": ["ec2:CreateVolume", "ec2:CreateSnapshot"],
            "Resource": [snapshot, volume],
            "Condition": _tagged("aws:ResourceTag", marks),
        },
    ]


def _use_volumes(account: iam.Account, marks: Mapping[str, str], ownership: Mapping[str, str]) -> list[iam.Statement]:
    """Attach marked volumes to the environment's own instances, resize them, and delete what is marked."""
    allow: iam.Statement = {"Effect": "Allow"}
    marked = _tagged("aws:ResourceTag", marks)
    attach = ["ec2:AttachVolume", "ec2:DetachVolume"]
    return [
        {
            **allow,
            "Action": [*attach, "ec2:DeleteVolume", "ec2:ModifyVolume"],
            "Resource": account.arn("ec2", "volume/*"),
            "Condition": marked,
        },
        {
            **allow,
            "Action": attach,
            "Resource": account.arn("ec2", "instance/*"),
            "Condition": _tagged("aws:ResourceTag", ownership),
        },
        {
            **allow,
            "Action": "ec2:DeleteSnapshot",
            "Resource": account.public_arn("ec2", "snapshot/*"),
            "Condition": marked,
        },
    ]


def _tagged(key: str, tags: Mapping[str, str]) -> iam.Condition:
    return {"StringEquals": {f"{key}/{tag}": value for tag, value in tags.items()}}


def encrypt_volumes(account: iam.Account, key_arn: str) -> str:
    """Let EC2 encrypt the driver's volumes with one key, and the driver use it for nothing else."""
    through_ec2: iam.Condition = {"StringEquals": {"kms:ViaService": account.service("ec2")}}
    use: iam.Statement = {"Effect": "Allow", "Resource": key_arn}
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
    return iam.document(
        {**use, "Action": actions, "Condition": through_ec2},
        {
            **use,
            "Action": "kms:CreateGrant",
            "Condition": {**through_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def share_files(account: iam.Account, file_system_arn: str) -> str:
    """Make and delete marked access points of one file system, and mount it through its mount targets."""
    points = account.arn("elasticfilesystem", "access-point/*")
    marked: iam.Condition = {"StringEquals": {f"aws:RequestTag/{_EFS_MARK}": "true"}}
    allow: iam.Statement = {"Effect": "Allow"}
    efs = "elasticfilesystem"
    return iam.document(
        {**allow, "Action": "ec2:DescribeAvailabilityZones", "Resource": "*"},
        {
            **allow,
            "Action": [f"{efs}:Describe{thing}" for thing in ("AccessPoints", "FileSystems", "MountTargets")],
            "Resource": [file_system_arn, points],
        },
        {**allow, "Action": f"{efs}:CreateAccessPoint", "Resource": file_system_arn, "Condition": marked},
        {
            **allow,
            "Action": f"{efs}:TagResource",
            "Resource": points,
            "Condition": {"StringEquals": {**marked["StringEquals"], f"{efs}:CreateAction": "CreateAccessPoint"}},
        },
        {
            **allow,
            "Action": f"{efs}:DeleteAccessPoint",
            "Resource": points,
            "Condition": {"StringEquals": {f"aws:ResourceTag/{_EFS_MARK}": "true"}},
        },
        {
            **allow,
            "Action": [f"{efs}:ClientMount", f"{efs}:ClientWrite"],
            "Resource": file_system_arn,
            "Condition": {"Bool": {f"{efs}:AccessedViaMountTarget": "true"}},
        },
    )


def find_file_systems(account: iam.Account) -> str:
    """Look at the FSx file systems of the region, which can be granted for all or none; static volumes need no more."""
    return iam.document(
        {
            "Effect": "Allow",
            "Action": "fsx:DescribeFileSystems",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": account.region}},
        }
    )


def decrypt_objects(account: iam.Account, key_arn: str) -> str:
    """Let S3 decrypt objects with one key for the driver."""
    return iam.document(
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": account.service("s3")}},
        }
    )
