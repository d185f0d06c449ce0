"""What holds for the program as a whole, in every environment."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.recorded import STACKS, record_program

if TYPE_CHECKING:
    from tests.support.recorded import Recorded, Resource

EXPORTS = {
    "accountId",
    "region",
    "clusterName",
    "clusterEndpoint",
    "kubeconfig",
    "dataBucket",
    "modelsBucket",
    "keyArn",
    "modelEcrRepo",
    "teamEcrRepos",
    "modelRoleArns",
    "eventBus",
    "packagingProjects",
    "pipelineNames",
    "modelPackageGroups",
    "modelUrls",
    "sageMakerModelArn",
    "endpointNames",
    "batchTransforms",
    "settingsDigest",
}

STATEFUL = {
    "slipway:cluster:Cluster$eks:index:Cluster::cluster-control-plane",
    "slipway:cluster:Cluster$aws:iam/openIdConnectProvider:OpenIdConnectProvider::cluster-identity",
    "slipway:network:Network$aws:ec2/vpc:Vpc::network-vpc",
    "slipway:retraining:Retraining$aws:dynamodb/table:Table::retraining-records",
    "slipway:store:ArtifactStore$aws:ecr/repository:Repository::store-flight-delay",
    "slipway:store:ArtifactStore$aws:kms/key:Key::store-key",
    "slipway:store:ArtifactStore$slipway:bucket:PrivateBucket$aws:s3/bucket:Bucket::store-data-bucket",
    "slipway:store:ArtifactStore$slipway:bucket:PrivateBucket$aws:s3/bucket:Bucket::store-logs-bucket",
    "slipway:store:ArtifactStore$slipway:bucket:PrivateBucket$aws:s3/bucket:Bucket::store-models-bucket",
    "slipway:tenancy:Tenancy$aws:ecr/repository:Repository::tenancy-ml-platform-images",
}
"""Identity of what cannot be made again: a change here deletes it unless an alias comes with the change."""

UNKNOWN_DOCUMENTS = {
    "approval-approval-use-key",
    "approval-promotion-use-key",
    "cloudwatch-role",
    "karpenter-controller-encrypt-node-volumes",
    "karpenter-controller-role",
    "load-balancing-controller-role",
    "drift-flight-delay-drift-use-key",
    "packaging-flight-delay-use-key",
    "pod-network-cni-role",
    "registry-model-use-key",
    "releasing-flight-delay-use-key",
    "retraining-clock-use-key",
    "retraining-use-key-dynamodb",
    "retraining-use-key-lambda",
    "rollouts-controller-role",
    "tenancy-ml-inference-workload-role",
    "tenancy-ml-inference-workload-use-key",
    "tenancy-ml-training-workload-role",
    "tenancy-ml-training-workload-use-key",
    "storage-ebs-encrypt-volumes",
    "storage-ebs-role",
    "training-flight-delay-evaluate-use-key",
    "training-flight-delay-pipeline-use-key",
    "training-flight-delay-process-use-key",
    "training-flight-delay-train-use-key",
}
"""Policy documents that name what AWS numbers: the cluster's issuer, the key."""


CONTROLLER = "kubernetes:helm.sh/v3:Release::karpenter-controller"
STACK = "kubernetes:helm.sh/v3:Release::monitoring-stack"
OBSERVABILITY = "aws:eks/addon:Addon::cloudwatch-addon"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
PLACEHOLDERS = "kubernetes:apps/v1:Deployment::headroom-burst-cpu"


@pytest.fixture(params=STACKS)
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return record_program(request.param)


def documents(recorded: Recorded) -> list[tuple[Resource, str]]:
    found = [
        (resource, property_)
        for resource in recorded.resources
        for property_ in ("policy", "assumeRolePolicy")
        if property_ in resource.inputs
    ]
    assert len(found) > 15
    return found


def test_every_resource_has_a_component_and_an_explicit_provider(recorded: Recorded) -> None:
    assert len(recorded.resources) > 100
    assert recorded.unparented() == []
    assert recorded.default_provider() == []


def test_aws_resources_and_cluster_objects_use_their_own_provider(recorded: Recorded) -> None:
    for resource in recorded.resources:
        if resource.custom and not resource.is_provider:
            package = resource.type.partition(":")[0]
            assert f"pulumi:providers:{package}::" in resource.provider, resource.urn


def test_the_aws_provider_is_pinned_to_account_and_region_and_tags_everything(recorded: Recorded) -> None:
    inputs = recorded.one("pulumi:providers:aws").inputs
    assert json.loads(inputs["allowedAccountIds"]) == [recorded.exports["accountId"]]
    assert inputs["region"] == recorded.exports["region"]
    assert set(json.loads(inputs["defaultTags"])["tags"]) == {
        "Project",
        "Environment",
        "Owner",
        "CostCenter",
        "DataClassification",
    }


def test_every_component_registers_outputs(recorded: Recorded) -> None:
    assert len(recorded.components) >= 11
    assert [item.urn for item in recorded.components if item.outputs is None] == []


def test_the_exports_are_those_that_others_read(recorded: Recorded) -> None:
    assert set(recorded.exports) == EXPORTS
    assert recorded.exports["modelEcrRepo"].keys() == recorded.exports["modelPackageGroups"].keys() != set()
    assert recorded.exports["clusterEndpoint"].startswith("https://")


def test_the_kubeconfig_is_secret_and_holds_no_credential(recorded: Recorded) -> None:
    stack = recorded.one("pulumi:pulumi:Stack")
    assert stack.secret_outputs == ["kubeconfig"]
    provider = recorded.one("pulumi:providers:kubernetes")
    assert provider.secrets == ["kubeconfig"]
    user = json.loads(recorded.exports["kubeconfig"])["users"][0]["user"]
    assert user.keys() == {"exec"}
    assert user["exec"]["command"] == "aws"
    assert "--profile" not in user["exec"]["args"]
    assert "env" not in user["exec"]


def test_logical_names_carry_no_environment_no_account_and_no_index(recorded: Recorded) -> None:
    name = json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]["Environment"]
    for resource in recorded.resources:
        if resource.type != "pulumi:pulumi:Stack":
            words = re.split(r"[-/.]", resource.name)
            assert name not in words, resource.urn
            assert recorded.exports["accountId"] not in words, resource.urn
            assert not any(word.isdecimal() for word in words), resource.urn


def test_every_policy_document_is_valid_and_below_the_limit_of_aws(recorded: Recorded) -> None:
    limits = {
        "aws:kms/key:Key": 32_768,
        "aws:s3/bucketPolicy:BucketPolicy": 20_480,
        "aws:iam/rolePolicy:RolePolicy": 10_240,
    }
    for resource, property_ in documents(recorded):
        text = resource.inputs[property_]
        assert len(text) <= (2_048 if property_ == "assumeRolePolicy" else limits.get(resource.type, 32_768)), (
            resource.urn
        )
        if resource.type != "aws:ecr/lifecyclePolicy:LifecyclePolicy":
            document = json.loads(text)
            assert document["Version"] == "2012-10-17", resource.urn
            assert document["Statement"], resource.urn


def test_a_first_preview_shows_every_policy_document_that_names_nothing_numbered_by_aws() -> None:
    preview = record_program("prod", preview=True)
    unknown = {resource.name for resource, property_ in documents(preview) if not resource.known(property_)}
    assert unknown == UNKNOWN_DOCUMENTS


def test_what_cannot_be_made_again_is_protected_exactly_where_settings_say_so() -> None:
    prefix = "urn:pulumi:prod::slipway::"
    protected = {item.urn.removeprefix(prefix) for item in record_program("prod").resources if item.protect}
    assert protected == STATEFUL
    assert [item.urn for item in record_program("dev").resources if item.protect] == []


def test_staging_has_the_resources_of_prod() -> None:
    staging, prod = (
        {(item.type, item.name.replace(stack, "")) for item in record_program(stack).resources}
        for stack in ("staging", "prod")
    )
    assert len(prod) > 100
    last = {"registry-flight-delay-readers", "store-flight-delay-readers"}
    assert {name for _, name in staging - prod} == last, "only the last environment has no next one that reads"
    assert all(name.startswith("approval-approval-") for _, name in prod - staging), "a person approves in prod alone"


def test_two_recordings_under_different_hash_seeds_are_equal() -> None:
    assert record_program("prod", hash_seed="1").resources == record_program("prod").resources


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon::pod-network-vpc-cni"),
        ("aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon::pod-network-kube-proxy"),
        (
            "aws:eks/nodeGroup:NodeGroup",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment::pools-node-role-AmazonEKSWorkerNodePolicy",
        ),
        ("aws:eks/nodeGroup:NodeGroup", "aws:ec2/route:Route::network-private-us-east-1a-nat"),
        (
            "aws:eks/nodeGroup:NodeGroup",
            "aws:ec2/routeTableAssociation:RouteTableAssociation::network-private-us-east-1a",
        ),
        ("aws:eks/nodeGroup:NodeGroup", "aws:ec2/vpcEndpoint:VpcEndpoint::endpoints-s3"),
        ("aws:eks/nodeGroup:NodeGroup", "eks:index:Cluster::cluster-control-plane"),
        (
            "aws:eks/addon:Addon::pod-network-vpc-cni",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment::pod-network-cni-addresses",
        ),
        ("aws:eks/addon:Addon::addons-coredns", "aws:eks/nodeGroup:NodeGroup::pools-system"),
        (
            "kubernetes:core/v1:Namespace",
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation::cluster-admin-platform-admin",
        ),
        ("kubernetes:core/v1:Namespace", "aws:eks/addon:Addon::pod-network-vpc-cni"),
        (
            "kubernetes:networking.k8s.io/v1:NetworkPolicy::tenancy-ml-training-default-deny",
            "kubernetes:core/v1:Namespace::tenancy-ml-training",
        ),
        (
            "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding::tenancy-ml-training-view",
            "kubernetes:rbac.authorization.k8s.io/v1:Role::tenancy-ml-training-view",
        ),
        (PLACEHOLDERS, "kubernetes:scheduling.k8s.io/v1:PriorityClass::priorities-headroom"),
        (PLACEHOLDERS, "kubernetes:core/v1:ServiceAccount::headroom-account"),
        (PLACEHOLDERS, "kubernetes:core/v1:ResourceQuota::headroom-quota"),
        (PLACEHOLDERS, "kubernetes:networking.k8s.io/v1:NetworkPolicy::headroom-default-deny"),
        (PLACEHOLDERS, f"{NODE_POOL}::karpenter-burst-cpu"),
        (CONTROLLER, "kubernetes:helm.sh/v3:Release::karpenter-definitions"),
        (CONTROLLER, "aws:iam/rolePolicy:RolePolicy::karpenter-controller-start-nodes"),
        (CONTROLLER, "aws:iam/rolePolicy:RolePolicy::karpenter-controller-encrypt-node-volumes"),
        (CONTROLLER, "aws:sqs/queuePolicy:QueuePolicy::karpenter-interruptions-queue"),
        (CONTROLLER, "aws:cloudwatch/eventTarget:EventTarget::karpenter-interruptions-spot-interruption"),
        (CONTROLLER, "aws:eks/nodeGroup:NodeGroup::pools-system"),
        (NODE_CLASS, CONTROLLER),
        (NODE_CLASS, "kubernetes:helm.sh/v3:Release::karpenter-definitions"),
        (NODE_CLASS, "aws:iam/instanceProfile:InstanceProfile::karpenter-node-profile"),
        ("kubernetes:karpenter.sh/v1:NodePool::karpenter-batch-gpu", f"{NODE_CLASS}::karpenter-batch-gpu-class"),
        (NODE_POOL, CONTROLLER),
        (NODE_POOL, "kubernetes:helm.sh/v3:Release::karpenter-definitions"),
        (NODE_POOL, "aws:eks/accessEntry:AccessEntry::karpenter-node"),
        (
            NODE_POOL,
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment::karpenter-node-role-AmazonEKSWorkerNodePolicy",
        ),
        (NODE_POOL, "aws:ec2/securityGroup:SecurityGroup::cluster-nodes"),
        (NODE_POOL, "aws:ec2/route:Route::network-private-us-east-1a-nat"),
        (NODE_POOL, "aws:eks/addon:Addon::pod-network-vpc-cni"),
        (CONTROLLER, "kubernetes:helm.sh/v3:Release::monitoring-definitions"),
        (STACK, "kubernetes:helm.sh/v3:Release::monitoring-definitions"),
        (STACK, "aws:eks/nodeGroup:NodeGroup::pools-system"),
        (STACK, "kubernetes:networking.k8s.io/v1:NetworkPolicy::monitoring-monitoring-operator-to-api-server"),
        (STACK, "kubernetes:networking.k8s.io/v1:NetworkPolicy::monitoring-monitoring-nodes-default-deny"),
        (STACK, "kubernetes:rbac.authorization.k8s.io/v1:Role::monitoring-grafana"),
        (STACK, "aws:eks/addon:Addon::pod-network-vpc-cni"),
        ("aws:eks/addon:Addon::addons-metrics-server", "aws:eks/nodeGroup:NodeGroup::pools-system"),
        ("eks:index:Cluster", "aws:cloudwatch/logGroup:LogGroup::cluster-logs"),
        (OBSERVABILITY, "aws:cloudwatch/logGroup:LogGroup::cloudwatch-application"),
        (OBSERVABILITY, "aws:cloudwatch/logGroup:LogGroup::cloudwatch-performance"),
        (OBSERVABILITY, "aws:iam/rolePolicy:RolePolicy::cloudwatch-write-logs"),
        (OBSERVABILITY, "kubernetes:networking.k8s.io/v1:NetworkPolicy::cloudwatch-namespace-default-deny"),
        (OBSERVABILITY, "kubernetes:networking.k8s.io/v1:NetworkPolicy::cloudwatch-namespace-manage-agents"),
        (OBSERVABILITY, "aws:eks/nodeGroup:NodeGroup::pools-system"),
        ("aws:ec2/natGateway:NatGateway", "aws:ec2/route:Route::network-public-internet"),
        ("aws:ec2/flowLog:FlowLog", "aws:iam/rolePolicy:RolePolicy::network-flow-logs-write"),
        ("aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketPolicy:BucketPolicy::store-logs-policy"),
        (
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration::store-data-lifecycle",
            "aws:s3/bucketVersioning:BucketVersioning::store-data-versions",
        ),
    ],
)
def test_the_engine_waits_for_what_has_to_come_first(later: str, earlier: str) -> None:
    prod = record_program("prod")
    before = prod.one(*earlier.split("::"))
    token, _, name = later.partition("::")
    afterwards = [item for item in prod.of_type(token) if name in ("", item.name)]
    assert afterwards
    for after in afterwards:
        assert prod.depends_path(after, before), after.urn
        assert not prod.depends_path(before, after), after.urn


@pytest.mark.parametrize(
    "first",
    [
        "kubernetes:helm.sh/v3:Release::monitoring-definitions",
        "aws:eks/addon:Addon::addons-node-monitoring-agent",
    ],
)
def test_what_needs_no_node_waits_for_none(first: str) -> None:
    prod = record_program("prod")
    for group in prod.of_type("aws:eks/nodeGroup:NodeGroup"):
        assert not prod.depends_path(prod.one(*first.split("::")), group)


def test_a_setting_that_is_refused_registers_nothing_and_says_so() -> None:
    with pytest.raises(RuntimeError, match="nothing was created"):
        record_program("prod", overrides=json.dumps({"network": {"zones": ["us-east-1a"]}}))
