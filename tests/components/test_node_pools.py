"""Node groups and their launch templates as they are registered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.node_pools import ami_type
from settings.model import NodePoolSpec
from tests.support.recorded import STACKS, Recorded, Resource, record_program, stack_section

GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
PROD = stack_section("prod", "nodePools")


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def groups(recorded: Recorded) -> dict[str, Resource]:
    return {item.name.removeprefix("pools-"): item for item in recorded.of_type(GROUP)}


def taints(group: Resource) -> set[tuple[str, str]]:
    return {(taint["key"], taint["effect"]) for taint in group.inputs.get("taints", [])}


def prod_with(changes: dict[str, dict[str, Any]]) -> Recorded:
    pools = [{**item, **changes.get(item["name"], {})} for item in PROD]
    return record_program("prod", overrides=json.dumps({"nodePools": pools}))


def test_every_pool_of_the_settings_is_a_node_group_of_its_size(stack: str) -> None:
    settings = {pool["name"]: pool for pool in stack_section(stack, "nodePools")}
    registered = groups(record_program(stack))
    assert registered.keys() == settings.keys()
    for name, pool in settings.items():
        inputs = registered[name].inputs
        sizes = {"minSize": pool["minSize"], "desiredSize": pool["desiredSize"], "maxSize": pool["maxSize"]}
        assert inputs["scalingConfig"] == sizes
        assert inputs["instanceTypes"] == pool["instanceTypes"]
        assert inputs["capacityType"] == {"spot": "SPOT", "on-demand": "ON_DEMAND"}[pool["capacity"]]
        assert inputs["updateConfig"] == {"maxUnavailable": pool["maxUnavailable"]}
        assert inputs["nodeRepairConfig"] == {"enabled": True}
        assert registered[name].ignore_changes == ["scalingConfig.desiredSize"]


def test_nodes_live_in_every_private_subnet(stack: str) -> None:
    recorded = record_program(stack)
    private = {item.urn for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}
    for group in groups(recorded).values():
        assert set(group.property_dependencies["subnetIds"]) == private


def test_metadata_needs_a_token_and_is_out_of_a_pods_reach(stack: str) -> None:
    for template in record_program(stack).of_type(TEMPLATE):
        assert template.inputs["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }


def test_root_volumes_are_encrypted_with_the_key_of_the_environment(stack: str) -> None:
    recorded = record_program(stack)
    disks = {pool["name"]: pool["diskGib"] for pool in stack_section(stack, "nodePools")}
    for template in recorded.of_type(TEMPLATE):
        (device,) = template.inputs["blockDeviceMappings"]
        assert device["deviceName"] == "/dev/xvda"
        assert device["ebs"] == {
            "volumeType": "gp3",
            "volumeSize": disks[template.name.removeprefix("pools-")],
            "encrypted": "true",
            "kmsKeyId": recorded.exports["keyArn"],
            "deleteOnTermination": "true",
        }


def test_nodes_have_no_key_pair_no_public_address_and_the_one_security_group(stack: str) -> None:
    recorded = record_program(stack)
    nodes = recorded.one("aws:ec2/securityGroup:SecurityGroup", "cluster-nodes").urn
    for template in recorded.of_type(TEMPLATE):
        assert not {"keyName", "networkInterfaces", "iamInstanceProfile", "imageId"} & template.inputs.keys()
        assert template.property_dependencies["vpcSecurityGroupIds"] == [nodes]
    assert not [group for group in groups(recorded).values() if "remoteAccess" in group.inputs]


def test_the_required_tags_reach_instances_volumes_and_interfaces(stack: str) -> None:
    recorded = record_program(stack)
    required = json.loads(recorded.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]
    for template in recorded.of_type(TEMPLATE):
        specifications = {item["resourceType"]: item["tags"] for item in template.inputs["tagSpecifications"]}
        assert specifications.keys() == {"instance", "volume", "network-interface"}
        assert all(required.items() <= tags.items() for tags in specifications.values())


def test_gpu_nodes_take_only_pods_that_ask_for_a_gpu_and_say_so_to_the_device_plugin(stack: str) -> None:
    recorded = record_program(stack)
    roles = {pool["name"]: pool["role"] for pool in stack_section(stack, "nodePools")}
    seen: set[bool] = set()
    for name, group in groups(recorded).items():
        gpu = roles[name] == "gpu"
        seen.add(gpu)
        assert (("nvidia.com/gpu", "NO_SCHEDULE") in taints(group)) is gpu
        assert ("nvidia.com/gpu.present" in group.inputs["labels"]) is gpu
        assert group.inputs["amiType"].endswith("_NVIDIA") is gpu
    assert False in seen


def test_prod_has_gpu_nodes_so_the_statement_above_is_not_empty() -> None:
    assert [
        name for name, group in groups(record_program("prod")).items() if group.inputs["amiType"].endswith("NVIDIA")
    ]


def test_spot_nodes_take_only_pods_that_tolerate_spot() -> None:
    found = groups(record_program("prod"))
    assert {name for name, group in found.items() if group.inputs["capacityType"] == "SPOT"} == {"cpu-spot", "gpu-spot"}
    for group in found.values():
        spot = group.inputs["capacityType"] == "SPOT"
        assert (("slipway.dev/capacity", "NO_SCHEDULE") in taints(group)) is spot
        assert group.inputs["labels"]["slipway.dev/capacity"] == ("spot" if spot else "on-demand")


def test_workloads_cannot_crowd_out_the_system_and_have_a_pool_without_taints() -> None:
    found = groups(record_program("prod"))
    assert taints(found["system"]) == {("CriticalAddonsOnly", "NO_SCHEDULE")}
    assert taints(found["cpu"]) == set()


@pytest.mark.parametrize(
    ("instance", "image"),
    [
        ("m7i.large", "AL2023_x86_64_STANDARD"),
        ("m7g.large", "AL2023_ARM_64_STANDARD"),
        ("g6.xlarge", "AL2023_x86_64_NVIDIA"),
        ("g5g.xlarge", "AL2023_ARM_64_NVIDIA"),
        ("inf2.xlarge", "AL2023_x86_64_NEURON"),
    ],
)
def test_the_image_follows_architecture_and_accelerator(instance: str, image: str) -> None:
    pool = {**PROD[0], "instanceTypes": [instance]}
    assert ami_type(NodePoolSpec.model_validate_json(json.dumps(pool))) == image


def test_a_group_that_has_to_be_replaced_gets_a_new_name_so_that_the_new_one_comes_first() -> None:
    changes = {
        "cpu": {"instanceTypes": ["m7i.xlarge", "m6i.xlarge"]},
        "gpu": {"capacity": "spot", "instanceTypes": ["g6.xlarge", "g5.xlarge", "g4dn.xlarge"]},
        "system": {"instanceTypes": ["m7g.large"]},
    }
    before, after = groups(record_program("prod")), groups(prod_with(changes))
    for name, group in before.items():
        assert group.urn == after[name].urn
        assert (group.inputs["nodeGroupName"] != after[name].inputs["nodeGroupName"]) is (name in changes), name


def test_a_group_that_is_updated_in_place_keeps_its_name() -> None:
    changes = {"cpu": {"maxSize": 30}, "system": {"diskGib": 120}, "cpu-spot": {"maxUnavailable": 2}}
    before, after = groups(record_program("prod")), groups(prod_with(changes))
    assert before["cpu"].inputs["scalingConfig"] != after["cpu"].inputs["scalingConfig"]
    for name, group in before.items():
        assert group.inputs["nodeGroupName"] == after[name].inputs["nodeGroupName"]
