"""Storage as it is registered: disks in every environment, files where the settings ask for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from components import iam, storage_grants
from components.labels import Labels
from settings.model import Partition
from tests.settings.stacks import decoded, settings_of
from tests.support.iam_evaluator import may
from tests.support.optional import LUSTRE, STORAGE
from tests.support.recorded import STACKS, Recorded, Resource, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDON = "aws:eks/addon:Addon"
CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
VOLUME = "kubernetes:core/v1:PersistentVolume"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
SCRATCH: Final = {**LUSTRE, "deployment": "SCRATCH_2", "throughputPerTib": None}
BUCKET: Final = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-"
EC2: Final = "arn:aws:ec2:us-east-1:777788889999:"
SNAPSHOT: Final = "arn:aws:ec2:us-east-1::snapshot/snap-1"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def full() -> Recorded:
    return record_program("prod", overrides=STORAGE)


def classes(recorded: Recorded) -> dict[str, dict[str, Any]]:
    return {item.inputs["metadata"]["name"]: item.inputs for item in recorded.of_type(CLASS)}


def configuration(recorded: Recorded, addon: str) -> dict[str, Any]:
    return json.loads(recorded.one(ADDON, addon).inputs["configurationValues"])


def rules(recorded: Recorded, token: str, group: str) -> set[tuple[str, int, int]]:
    """Peer, first and last port of the rules of a security group that storage brings; groups by their logical names."""

    def named(rule: Resource, property_: str) -> str:
        (urn,) = rule.property_dependencies[property_]
        return urn.rpartition("::")[2]

    return {
        (named(rule, "referencedSecurityGroupId"), rule.inputs["fromPort"], rule.inputs["toPort"])
        for rule in recorded.of_type(token)
        if rule.name.startswith("storage-") and named(rule, "securityGroupId") == group
    }


# Disks


def test_a_claim_without_a_class_gets_an_encrypted_disk_where_its_pod_runs(stack: str) -> None:
    recorded = record_program(stack)
    found = classes(recorded)
    marked = [name for name, item in found.items() if "true" in item["metadata"].get("annotations", {}).values()]
    assert marked == ["gp3"]
    for name, reclaim in {"gp3": "Delete", "gp3-retain": "Retain"}.items():
        assert found[name]["provisioner"] == "ebs.csi.aws.com"
        assert found[name]["volumeBindingMode"] == "WaitForFirstConsumer"
        assert found[name]["allowVolumeExpansion"] is True
        assert found[name]["reclaimPolicy"] == reclaim
        assert found[name]["parameters"]["type"] == "gp3"
        assert found[name]["parameters"]["encrypted"] == "true"
        assert found[name]["parameters"]["kmsKeyId"] == recorded.exports["keyArn"]


def test_the_disk_driver_runs_on_every_node_and_is_led_from_system_nodes(stack: str) -> None:
    values = configuration(record_program(stack), "storage-ebs")
    assert values["node"]["tolerateAllTaints"] is True
    reserved = stack_section(stack, "storage")["reservedAttachments"]
    assert values["node"]["reservedVolumeAttachments"] == reserved
    assert values["controller"]["nodeSelector"] == {"slipway.dev/role": "system"}
    assert {"key": "CriticalAddonsOnly", "operator": "Exists"} in values["controller"]["tolerations"]
    assert values["controller"]["replicaCount"] == 2


def test_disks_carry_the_required_tags_which_the_grants_of_the_driver_ask_for(stack: str) -> None:
    recorded = record_program(stack)
    required = json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]
    assert configuration(recorded, "storage-ebs")["controller"]["extraVolumeTags"] == required


def test_the_disk_driver_comes_after_its_grants_and_the_system_nodes(stack: str) -> None:
    recorded = record_program(stack)
    driver = recorded.one(ADDON, "storage-ebs")
    for policy in recorded.of_type("aws:iam/rolePolicy:RolePolicy"):
        if policy.name.startswith("storage-ebs-"):
            assert recorded.depends_path(driver, policy), policy.name
    assert recorded.depends_path(driver, recorded.one("aws:eks/nodeGroup:NodeGroup", "pools-system"))
    assert not recorded.depends_path(driver, recorded.one(CLASS, "storage-gp3"))


OURS: Final = {"Project": "slipway", "Environment": "prod"}
MARKED: Final = {**OURS, "ebs.csi.aws.com/cluster": "true"}
STAGING: Final = {**MARKED, "Environment": "staging"}


def request(tags: Mapping[str, str], **more: str) -> dict[str, str]:
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, **more}


def resource(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


CREATE_ACTION: Final = "ec2:CreateAction"


@pytest.mark.parametrize(
    ("action", "target", "context", "allowed"),
    [
        ("ec2:CreateVolume", f"{EC2}volume/*", request(MARKED), True),
        ("ec2:CreateVolume", f"{EC2}volume/*", request(OURS), False),
        ("ec2:CreateVolume", f"{EC2}volume/*", request(STAGING), False),
        ("ec2:CreateVolume", "arn:aws:ec2:eu-west-1:777788889999:volume/*", request(MARKED), False),
        ("ec2:CreateVolume", SNAPSHOT, resource(MARKED), True),
        ("ec2:CreateVolume", SNAPSHOT, resource(STAGING), False),
        ("ec2:CreateSnapshot", SNAPSHOT, request(MARKED), True),
        ("ec2:CreateSnapshot", f"{EC2}volume/vol-1", resource(MARKED), True),
        ("ec2:CreateSnapshot", f"{EC2}volume/vol-1", {}, False),
        ("ec2:CreateTags", f"{EC2}volume/vol-1", request(MARKED, **{CREATE_ACTION: "CreateVolume"}), True),
        ("ec2:CreateTags", f"{EC2}volume/vol-1", request(MARKED), False),
        ("ec2:CreateTags", f"{EC2}instance/i-1", request(MARKED, **{CREATE_ACTION: "CreateVolume"}), False),
        ("ec2:AttachVolume", f"{EC2}volume/vol-1", resource(MARKED), True),
        ("ec2:AttachVolume", f"{EC2}volume/vol-1", resource(OURS), False),
        ("ec2:AttachVolume", f"{EC2}instance/i-1", resource(OURS), True),
        ("ec2:AttachVolume", f"{EC2}instance/i-1", resource(STAGING), False),
        ("ec2:ModifyVolume", f"{EC2}volume/vol-1", resource(MARKED), True),
        ("ec2:DeleteVolume", f"{EC2}volume/vol-1", resource(MARKED), True),
        ("ec2:DeleteVolume", f"{EC2}volume/vol-1", resource(STAGING), False),
        ("ec2:DeleteSnapshot", SNAPSHOT, resource(MARKED), True),
        ("ec2:DeleteSnapshot", SNAPSHOT, {}, False),
        ("ec2:TerminateInstances", f"{EC2}instance/i-1", resource(OURS), False),
        ("ec2:DescribeVolumes", "*", {"aws:RequestedRegion": "us-east-1"}, True),
        ("ec2:DescribeVolumes", "*", {"aws:RequestedRegion": "eu-west-1"}, False),
    ],
)
def test_the_disk_driver_touches_volumes_of_its_environment_and_nothing_else(
    action: str, target: str, context: Mapping[str, str], *, allowed: bool
) -> None:
    assert may(record_program("prod"), "slipway-prod-ebs-csi", action, target, context) is allowed


VIA_EC2: Final = {"kms:ViaService": "ec2.us-east-1.amazonaws.com", "kms:GrantIsForAWSResource": "true"}


def test_the_disk_driver_uses_the_key_only_through_ec2() -> None:
    prod = record_program("prod")
    key, role = prod.exports["keyArn"], "slipway-prod-ebs-csi"
    assert may(prod, role, "kms:GenerateDataKeyWithoutPlaintext", key, VIA_EC2)
    assert may(prod, role, "kms:CreateGrant", key, VIA_EC2)
    assert not may(prod, role, "kms:CreateGrant", key, {**VIA_EC2, "kms:GrantIsForAWSResource": "false"})
    assert not may(prod, role, "kms:Decrypt", key, {"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not may(prod, role, "kms:Decrypt", f"{key[:-1]}x", VIA_EC2)


def test_the_longest_names_leave_the_policies_of_the_disk_driver_within_what_aws_accepts() -> None:
    account = iam.Account(Partition.GOV_CLOUD, "123456789012", "us-gov-west-1")
    policies = storage_grants.ebs_policies(account, {"Project": "slipway", "Environment": "x" * 12})
    key = account.arn("kms", "key/mrk-12345678-1234-1234-1234-123456789012")
    sizes = [len(policy) for policy in (*policies.values(), storage_grants.encrypt_volumes(account, key))]
    assert 2_000 < sum(sizes) <= iam.MAX_ROLE_POLICY


# Files


def test_an_environment_that_asks_for_no_files_has_none(stack: str) -> None:
    types = {item.type for item in record_program(stack).resources}
    assert not [token for token in types if token.startswith(("aws:efs/", "aws:fsx/")) or token == VOLUME]


def test_files_add_resources_and_change_nothing_but_the_policy_of_the_key(full: Recorded) -> None:
    before = {item.urn: item for item in record_program("prod").resources}
    after = {item.urn: item for item in full.resources}
    assert before.keys() <= after.keys()
    changed = {before[urn].name for urn in before if before[urn].inputs != after[urn].inputs}
    assert changed == {"store-key"}


def test_shared_files_are_encrypted_kept_and_reached_in_every_zone(full: Recorded) -> None:
    files = full.one("aws:efs/fileSystem:FileSystem")
    assert files.inputs["encrypted"] is True
    assert files.inputs["kmsKeyId"] == full.exports["keyArn"]
    assert files.protect is True
    assert {"transitionToIa": "AFTER_1_DAY"} in files.inputs["lifecyclePolicies"]
    targets = full.of_type("aws:efs/mountTarget:MountTarget")
    subnets = [target.property_dependencies["subnetId"] for target in targets]
    private = [[item.urn] for item in full.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name]
    assert sorted(subnets) == sorted(private)
    backups = full.one("aws:efs/backupPolicy:BackupPolicy").inputs["backupPolicy"]
    assert backups == {"status": "ENABLED"}


def test_nobody_but_the_driver_mounts_shared_files_and_nobody_without_tls(full: Recorded) -> None:
    allow, deny = full.one("aws:efs/fileSystemPolicy:FileSystemPolicy").policy()["Statement"]
    assert allow["Principal"] == {"AWS": "arn:aws:iam::777788889999:role/slipway-prod-efs-csi"}
    assert allow["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", {"AWS": "*"}, "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert classes(full)["efs"]["mountOptions"] == ["tls", "iam"]


def test_both_halves_of_the_shared_driver_share_its_role_and_no_other_account_does(full: Recorded) -> None:
    (trust,) = full.one("aws:iam/role:Role", "storage-efs-driver-role").policy("assumeRolePolicy")["Statement"]
    (subjects,) = (value for key, value in trust["Condition"]["StringEquals"].items() if key.endswith(":sub"))
    assert subjects == [f"system:serviceaccount:kube-system:efs-csi-{half}-sa" for half in ("controller", "node")]


def test_nfs_goes_from_nodes_to_shared_files_and_nowhere_else(full: Recorded) -> None:
    assert rules(full, INGRESS, "storage-efs-group") == {("cluster-nodes", 2049, 2049)}
    assert ("storage-efs-group", 2049, 2049) in rules(full, EGRESS, "cluster-nodes")
    assert rules(full, EGRESS, "storage-efs-group") == set()


def test_lustre_speaks_with_nodes_and_its_own_servers_on_its_ports_both_ways(full: Recorded) -> None:
    ports = [(988, 988), (1018, 1023)]
    peers = {(peer, *pair) for peer in ("cluster-nodes", "storage-lustre-group") for pair in ports}
    assert rules(full, INGRESS, "storage-lustre-group") == peers
    assert rules(full, EGRESS, "storage-lustre-group") == peers
    to_lustre = {("storage-lustre-group", *pair) for pair in ports}
    assert rules(full, INGRESS, "cluster-nodes") == to_lustre
    assert to_lustre <= rules(full, EGRESS, "cluster-nodes")


def test_lustre_shows_a_prefix_of_the_data_bucket_under_the_key_of_the_environment(full: Recorded) -> None:
    lustre = full.one("aws:fsx/lustreFileSystem:LustreFileSystem")
    assert lustre.inputs["kmsKeyId"] == full.exports["keyArn"]
    assert lustre.inputs["perUnitStorageThroughput"] == 250
    (subnet,) = lustre.property_dependencies["subnetIds"]
    assert subnet.endswith("network-private-us-east-1b")
    link = full.one("aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation").inputs
    assert link["dataRepositoryPath"] == f"s3://{full.exports['dataBucket']}/flight-delay/"
    # Both would write into the notifications of the bucket, which the program owns.
    assert "s3" not in link


def test_scratch_files_have_neither_a_key_of_ours_nor_a_throughput() -> None:
    overrides = {"storage": {"lustre": SCRATCH}, "environment": {"dataClassification": "internal"}}
    scratch = record_program("prod", overrides=json.dumps(overrides)).one("aws:fsx/lustreFileSystem:LustreFileSystem")
    assert not scratch.inputs.keys() & {"kmsKeyId", "perUnitStorageThroughput", "automaticBackupRetentionDays"}


def test_the_key_lets_lustre_read_the_data_bucket_for_this_account_only(full: Recorded) -> None:
    def statements(recorded: Recorded) -> list[dict[str, Any]]:
        found = recorded.one("aws:kms/key:Key").policy()["Statement"]
        return [item for item in found if item.get("Sid") == "ReadDataForLustre"]

    assert statements(record_program("prod")) == []
    (statement,) = statements(full)
    assert statement["Condition"]["StringEquals"] == {
        "kms:CallerAccount": "777788889999",
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
    }
    bucket = f"arn:aws:s3:::{full.exports['dataBucket']}"
    assert statement["Condition"]["StringLike"] == {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}


def test_a_volume_that_exists_already_is_kept_for_one_claim_of_one_namespace(full: Recorded) -> None:
    volumes = {item.inputs["metadata"]["name"]: item.inputs["spec"] for item in full.of_type(VOLUME)}
    assert {name: spec["claimRef"] for name, spec in volumes.items()} == {
        "lustre": {"namespace": "ml-training", "name": "lustre"},
        "data-sets": {"namespace": "ml-training", "name": "data-sets"},
        "approved": {"namespace": "ml-inference", "name": "approved"},
    }
    assert {spec["storageClassName"] for spec in volumes.values()} == {""}
    assert {spec["persistentVolumeReclaimPolicy"] for spec in volumes.values()} == {"Retain"}
    handles = [spec["csi"]["volumeHandle"] for spec in volumes.values()]
    assert len(set(handles)) == len(handles)


@pytest.mark.parametrize(
    ("action", "target", "allowed"),
    [
        ("s3:GetObject", f"{BUCKET}data/flight-delay/2013/01.csv", True),
        ("s3:GetObject", f"{BUCKET}data/customers/01.csv", False),
        ("s3:GetObject", f"{BUCKET}models/approved/7/model.tar.gz", True),
        ("s3:GetObject", f"{BUCKET}models/flight-delay/x", False),
        ("s3:PutObject", f"{BUCKET}data/flight-delay/x", False),
        ("s3:DeleteObject", f"{BUCKET}models/approved/x", False),
    ],
)
def test_buckets_as_files_are_read_below_the_configured_prefixes_and_never_written(
    full: Recorded, action: str, target: str, *, allowed: bool
) -> None:
    assert may(full, "slipway-prod-s3-csi", action, target, {}) is allowed


def test_the_volumes_of_a_bucket_are_mounted_read_only(full: Recorded) -> None:
    for volume in full.of_type(VOLUME):
        spec = volume.inputs["spec"]
        if spec["csi"]["driver"] == "s3.csi.aws.com":
            assert spec["accessModes"] == ["ReadOnlyMany"]
            assert "read-only" in spec["mountOptions"]


def test_every_driver_runs_where_it_has_to_and_no_two_share_a_role(full: Recorded) -> None:
    drivers = [item for item in full.of_type(ADDON) if item.name.startswith("storage-")]
    assert len({item.inputs["serviceAccountRoleArn"] for item in drivers}) == len(drivers) == 4
    for item in drivers:
        values = json.loads(item.inputs["configurationValues"])
        assert values["controller"]["nodeSelector"] == {"slipway.dev/role": "system"}
        # Those of EFS and FSx tolerate every taint without being told.
        if item.name in ("storage-ebs", "storage-s3-driver"):
            assert values["node"] == {**values["node"], "tolerateAllTaints": True}


def test_the_tags_of_a_volume_fit_the_line_in_which_the_driver_takes_them() -> None:
    tags = Labels(settings_of(decoded()).environment).tags
    assert not [value for value in tags.values() if "," in value]
