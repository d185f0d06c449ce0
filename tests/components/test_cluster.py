"""Control plane, access and add-ons as they are registered."""

from __future__ import annotations

import json

import pytest

from tests.support.recorded import STACKS, record_program, stack_section

ADDON = "aws:eks/addon:Addon"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_control_plane_is_private_logged_encrypted_and_in_standard_support(stack: str) -> None:
    recorded, settings = record_program(stack), stack_section(stack, "cluster")
    inputs = recorded.one("eks:index:Cluster").inputs
    assert inputs["name"] == f"slipway-{stack}" == recorded.exports["clusterName"]
    assert inputs["authenticationMode"] == "API"
    assert inputs["endpointPrivateAccess"] is True
    assert inputs["endpointPublicAccess"] is settings["publicEndpoint"]
    assert inputs["encryptionConfigKeyArn"] == recorded.exports["keyArn"]
    assert inputs["upgradePolicy"] == {"supportType": "STANDARD"}
    assert inputs["deletionProtection"] is settings["deletionProtection"]
    assert sorted(inputs["enabledClusterLogTypes"]) == [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    ]


def test_the_control_plane_lives_in_the_private_subnets(stack: str) -> None:
    recorded = record_program(stack)
    cluster = recorded.one("eks:index:Cluster")
    private = {item.urn for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}
    assert len(private) >= 2
    assert set(cluster.property_dependencies["privateSubnetIds"]) == private
    assert not {"subnetIds", "publicSubnetIds"} & cluster.inputs.keys()


def test_a_public_endpoint_answers_the_listed_ranges_only() -> None:
    ranges = ["54.240.193.0/24"]
    overrides = json.dumps({"cluster": {"publicEndpoint": True, "publicEndpointCidrs": ranges}})
    opened = record_program("dev", overrides=overrides).one("eks:index:Cluster").inputs
    assert (opened["endpointPublicAccess"], opened["publicAccessCidrs"]) == (True, ranges)
    assert "publicAccessCidrs" not in record_program("prod").one("eks:index:Cluster").inputs


def test_the_component_makes_only_the_control_plane(stack: str) -> None:
    inputs = record_program(stack).one("eks:index:Cluster").inputs
    assert inputs["skipDefaultNodeGroup"] is True
    assert inputs["skipDefaultSecurityGroups"] is True
    assert inputs["createInstanceRole"] is False
    assert inputs["createOidcProvider"] is False
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert inputs["useDefaultVpcCni"] is True
    assert inputs["kubeProxyAddonOptions"]["enabled"] is False
    assert inputs["corednsAddonOptions"]["enabled"] is False


def test_the_component_carries_the_transform_and_credential_options_without_profile(stack: str) -> None:
    cluster = record_program(stack).one("eks:index:Cluster")
    assert cluster.transforms == 1
    assert cluster.inputs["providerCredentialOpts"] == {}


def test_control_plane_logs_go_to_an_encrypted_group_that_ends(stack: str) -> None:
    recorded = record_program(stack)
    group = recorded.one("aws:cloudwatch/logGroup:LogGroup", "cluster-logs").inputs
    assert group["name"] == f"/aws/eks/{recorded.exports['clusterName']}/cluster"
    assert group["kmsKeyId"] == recorded.exports["keyArn"]
    assert group["retentionInDays"] == stack_section(stack, "cluster")["logRetentionDays"]


def test_exactly_the_listed_roles_administer_the_cluster(stack: str) -> None:
    recorded = record_program(stack)
    roles = set(stack_section(stack, "cluster")["adminRoleArns"])
    associations = recorded.of_type("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    entries = recorded.of_type("aws:eks/accessEntry:AccessEntry")
    people = [entry.inputs for entry in entries if entry.inputs["type"] == "STANDARD"]
    # Members of teams are in groups, and no policy of EKS is theirs.
    assert {entry["principalArn"] for entry in people if not entry.get("kubernetesGroups")} == roles
    assert {entry.inputs["type"] for entry in entries} == {"STANDARD", "EC2_LINUX"}
    assert {item.inputs["principalArn"] for item in associations} == roles
    assert {item.inputs["policyArn"] for item in associations} == {
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    }


def test_the_identity_provider_accepts_tokens_for_sts_only(stack: str) -> None:
    provider = record_program(stack).one("aws:iam/openIdConnectProvider:OpenIdConnectProvider").inputs
    assert provider["clientIdLists"] == ["sts.amazonaws.com"]
    assert provider["url"].startswith("https://oidc.eks.")


def test_the_kubernetes_provider_survives_a_new_kubeconfig(stack: str) -> None:
    recorded = record_program(stack)
    assert recorded.one("pulumi:providers:kubernetes").inputs["clusterIdentifier"] == recorded.exports["clusterName"]


def test_exactly_one_security_group_is_the_nodes(stack: str) -> None:
    recorded = record_program(stack)
    cluster = recorded.exports["clusterName"]
    groups = recorded.of_type("aws:ec2/securityGroup:SecurityGroup")
    for key, value in (("karpenter.sh/discovery", cluster), (f"kubernetes.io/cluster/{cluster}", "owned")):
        assert [group.name for group in groups if group.tags.get(key) == value] == ["cluster-nodes"]


def test_the_control_plane_reaches_nodes_on_named_ports_and_nodes_reach_its_api(stack: str) -> None:
    recorded = record_program(stack)
    nodes = recorded.one("aws:ec2/securityGroup:SecurityGroup", "cluster-nodes").urn
    rules = [rule for rule in recorded.of_type(INGRESS) if rule.name.startswith("cluster-")]
    inwards = [
        rule
        for rule in rules
        if rule.property_dependencies["securityGroupId"] == [nodes] and rule.inputs["ipProtocol"] == "tcp"
    ]
    assert sorted(rule.inputs["fromPort"] for rule in inwards) == [9443, 10250, 10251]
    assert all(rule.inputs["fromPort"] == rule.inputs["toPort"] for rule in inwards)
    back = recorded.one(INGRESS, "cluster-control-plane-from-nodes")
    assert back.property_dependencies["referencedSecurityGroupId"] == [nodes]
    assert back.inputs["fromPort"] == 443


def test_add_ons_have_the_pinned_versions(stack: str) -> None:
    versions = stack_section(stack, "cluster")["addons"]
    cloud_watch = stack_section(stack, "monitoring")["cloudWatch"]
    assert {
        addon.inputs["addonName"]: addon.inputs["addonVersion"] for addon in record_program(stack).of_type(ADDON)
    } == {
        **({"amazon-cloudwatch-observability": cloud_watch["addonVersion"]} if cloud_watch else {}),
        "vpc-cni": versions["vpcCni"],
        "kube-proxy": versions["kubeProxy"],
        "coredns": versions["coredns"],
        "metrics-server": versions["metricsServer"],
        "eks-node-monitoring-agent": versions["nodeMonitoringAgent"],
        "aws-ebs-csi-driver": versions["ebsCsi"],
    }


def test_the_cni_enforces_network_policies_with_a_role_of_its_own(stack: str) -> None:
    recorded = record_program(stack)
    cni = recorded.one(ADDON, "pod-network-vpc-cni")
    assert json.loads(cni.inputs["configurationValues"])["enableNetworkPolicy"] == "true"
    assert cni.inputs["serviceAccountRoleArn"].endswith(f":role/slipway-{stack}-vpc-cni")


@pytest.mark.parametrize("addon", ["coredns", "metrics-server"])
def test_add_ons_with_replicas_run_on_system_nodes_spread_over_zones(stack: str, addon: str) -> None:
    recorded = record_program(stack)
    configuration = json.loads(recorded.one(ADDON, f"addons-{addon}").inputs["configurationValues"])
    system = [
        group.inputs["labels"]
        for group in recorded.of_type("aws:eks/nodeGroup:NodeGroup")
        if group.inputs["labels"]["slipway.dev/role"] == "system"
    ]
    assert system
    wanted = {key: value for key, value in configuration["nodeSelector"].items() if key != "kubernetes.io/os"}
    assert wanted
    assert all(wanted.items() <= labels.items() for labels in system)
