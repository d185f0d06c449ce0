"""Accelerators: what makes GPUs known, shares and measures them, and what settings change about nodes."""

from __future__ import annotations

import base64
import json
from email import message_from_string
from typing import TYPE_CHECKING, Any

import pytest

from components import gpu_pods
from components.accelerators_objects import (
    NAMESPACE,
    device_plugin_values,
    efa_values,
    exporter_values,
    neuron_values,
    plugin_config,
)
from components.karpenter_objects import node_class, node_overlays, node_pool
from components.labels import Labels
from components.nodes import accelerator_labels
from settings.model import PoolRole
from settings.sharing import gpus_needed, profile_of, utilisation
from tests.settings.stacks import changed, problems, settings_of
from tests.support.changes import record_changed
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.recorded import STACKS, Recorded, Resource, record_program, stack_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.model import Settings

RELEASE = "kubernetes:helm.sh/v3:Release"
GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
IMAGE = "al2023@v20261023"
PUBLIC = {"repository": "oci://public.ecr.aws/neuron", "version": "1.10.0"}
DIVIDED = {
    "nodePools.3.instanceTypes": ["p5.48xlarge"],
    "karpenter.pools.2.instanceFamilies": ["p5"],
    "karpenter.pools.2.instanceSizes": ["48xlarge"],
    "accelerators.gpuProfiles.0": {
        "name": "sevenths",
        "strategy": "exclusive",
        "replicas": 1,
        "migProfile": "1g.10gb",
        "pools": ["gpu", "burst-gpu"],
    },
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def prod(edits: Mapping[str, object] | None = None) -> Settings:
    content = changed(edits or {})
    assert problems(content) == []
    return settings_of(content)


def fabric() -> Recorded:
    edits = {
        "charts.efaDevicePlugin": {"repository": "https://aws.github.io/eks-charts", "version": "0.5.30"},
        "accelerators.efa": [{"pool": "gpu", "zone": "us-east-1b"}],
        "nodePools.3.instanceTypes": ["p4d.24xlarge", "p4de.24xlarge"],
    }
    return record_changed(edits)


def release(recorded: Recorded, role: str) -> dict[str, Any]:
    return recorded.one(RELEASE, f"accelerators-{role}").inputs


def labels_of(recorded: Recorded) -> dict[str, dict[str, str]]:
    """Labels of the nodes by pool, managed and elastic."""
    managed = {item.name.removeprefix("pools-"): item.inputs["labels"] for item in recorded.of_type(GROUP)}
    elastic = {
        item.inputs["metadata"]["name"]: item.inputs["spec"]["template"]["metadata"]["labels"]
        for item in recorded.of_type("kubernetes:karpenter.sh/v1:NodePool")
    }
    return {**managed, **elastic}


def by_pool(recorded: Recorded, token: str, pool: str) -> Resource:
    return recorded.one(token, f"pools-{pool}")


# What runs, and where


def test_plugin_and_exporter_come_from_pinned_charts_into_a_namespace_of_their_own(stack: str) -> None:
    recorded = record_program(stack)
    charts = stack_section(stack, "charts")
    for role, key in (("plugin", "nvidiaDevicePlugin"), ("exporter", "dcgmExporter")):
        made = release(recorded, role)
        assert made["version"] == charts[key]["version"]
        assert made["repositoryOpts"] == {"repo": charts[key]["repository"]}
        assert made["namespace"] == NAMESPACE
        assert made["atomic"] is True
    assert {item.name for item in recorded.of_type(RELEASE) if item.inputs["namespace"] == NAMESPACE} == {
        "accelerators-plugin",
        "accelerators-exporter",
    }


def test_the_definitions_of_node_features_come_with_the_only_chart_that_has_them() -> None:
    recorded = record_program("prod")
    assert release(recorded, "plugin")["skipCrds"] is False
    assert release(recorded, "exporter")["skipCrds"] is True


def test_beside_the_plugins_only_what_reads_its_node_is_privileged_and_only_metrics_are_reached(stack: str) -> None:
    recorded = record_program(stack)
    levels = {
        item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for item in recorded.of_type("kubernetes:core/v1:Namespace")
    }
    assert levels.pop(NAMESPACE) == "privileged"
    readers = {"monitoring-nodes", "amazon-cloudwatch"} & levels.keys()
    assert {name for name, level in levels.items() if level == "privileged"} == readers
    policies = Policies([item.inputs for item in recorded.of_type(NETWORK_POLICY)])
    subnets = [item for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name]
    subnet = subnets[0].inputs["cidrBlock"].rpartition(".")[0]
    exporter = End(namespace=NAMESPACE, address=f"{subnet}.9")
    prometheus = End(namespace="monitoring", address=f"{subnet}.8", labels={"app.kubernetes.io/name": "prometheus"})
    neighbour = End(namespace="ml-inference", address=f"{subnet}.7")
    assert policies.permit(prometheus, exporter, 9400)
    assert not policies.permit(prometheus, exporter, 8080)
    assert not policies.permit(neighbour, exporter, 9400)
    assert not policies.permit(exporter, neighbour, 8080)


def test_plugins_start_after_their_namespace_and_the_controller_of_labels_after_its_nodes() -> None:
    recorded = record_program("prod")
    plugin, exporter = (recorded.one(RELEASE, f"accelerators-{role}") for role in ("plugin", "exporter"))
    namespace = recorded.one("kubernetes:core/v1:Namespace", "accelerators-namespace")
    system = recorded.one(GROUP, "pools-system")
    assert recorded.depends_path(plugin, namespace)
    assert recorded.depends_path(plugin, system)
    assert recorded.depends_path(exporter, namespace)
    # Its pods come and go with GPU nodes: it waits for no node at all.
    assert not recorded.depends_path(exporter, system)


def test_the_plugin_runs_on_exactly_the_nodes_whose_image_lacks_one(stack: str) -> None:
    recorded = record_program(stack)
    values = device_plugin_values(settings_of(changed({})).accelerators)
    (key,) = values["nodeSelector"]
    assert values["nfd"]["worker"]["nodeSelector"] == values["nodeSelector"] == {key: "nvidia"}
    gpu = {name for name, labels in labels_of(recorded).items() if labels["slipway.dev/role"] == "gpu"}
    assert {name for name, labels in labels_of(recorded).items() if labels.get(key) == "nvidia"} == gpu != set()
    profile = settings_of(changed({})).accelerators.gpu_profiles[0]
    assert key not in accelerator_labels(PoolRole.GPU, "bottlerocket", profile)
    assert "nvidia.com/gpu.present" in accelerator_labels(PoolRole.GPU, "bottlerocket", profile)


def test_a_taint_that_a_pool_of_the_settings_adds_keeps_no_plugin_away() -> None:
    everything = [{"operator": "Exists", "effect": "NoSchedule"}]
    accelerators = prod().accelerators
    plugin = device_plugin_values(accelerators)
    assert plugin["tolerations"] == plugin["nfd"]["worker"]["tolerations"] == everything
    assert exporter_values(accelerators, scraped=False)["tolerations"] == everything
    assert neuron_values()["devicePlugin"]["tolerations"] == efa_values()["tolerations"] == everything


def test_controllers_of_the_plugin_run_on_system_nodes_within_bounds() -> None:
    values = device_plugin_values(prod().accelerators)
    for part in ("master", "gc"):
        assert values["nfd"][part]["nodeSelector"]["slipway.dev/role"] == "system"
        assert values["nfd"][part]["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    parts = [values, *(values["nfd"][part] for part in ("master", "gc", "worker"))]
    assert all(part["resources"]["limits"].keys() == {"memory"} for part in parts)


def test_the_exporter_is_scraped_only_where_prometheus_can_be_told_and_knows_pods_of_shared_gpus() -> None:
    accelerators = prod().accelerators
    values = exporter_values(accelerators, scraped=False)
    assert values["serviceMonitor"]["enabled"] is False
    assert exporter_values(accelerators, scraped=True)["serviceMonitor"] == {"enabled": True, "interval": "30s"}
    assert values["resources"]["limits"] == {"memory": "1024Mi"}
    assert {item["name"]: item["value"] for item in values["extraEnv"]} == {
        "DCGM_EXPORTER_INTERVAL": "30000",
        "KUBERNETES_VIRTUAL_GPUS": "true",
    }
    alone = {"accelerators.gpuProfiles.0.strategy": "exclusive", "accelerators.gpuProfiles.0.replicas": 1}
    unshared = exporter_values(prod(alone).accelerators, scraped=False)
    assert [item["name"] for item in unshared["extraEnv"]] == ["DCGM_EXPORTER_INTERVAL"]


# Sharing


def test_every_gpu_node_chooses_the_profile_of_its_pool_and_the_plugin_knows_it(stack: str) -> None:
    recorded = record_program(stack)
    profiles = stack_section(stack, "accelerators")["gpuProfiles"]
    config = release(recorded, "plugin")["values"]["config"]
    assert config["map"].keys() == {"default", *(profile["name"] for profile in profiles)}
    assert config["default"] == "default"
    chosen = {
        name: labels["nvidia.com/device-plugin.config"]
        for name, labels in labels_of(recorded).items()
        if labels["slipway.dev/role"] == "gpu"
    }
    assert chosen == {pool: profile["name"] for profile in profiles for pool in profile["pools"]}


def test_the_configuration_of_a_node_that_chooses_none_shares_nothing() -> None:
    values = device_plugin_values(prod().accelerators)["config"]["map"]
    assert json.loads(values["default"]) == {"version": "v1", "flags": {"migStrategy": "none"}}
    assert json.loads(values["exclusive"]) == json.loads(values["default"])


@pytest.mark.parametrize(
    ("strategy", "sharing"),
    [
        (
            "time-slicing",
            {
                "timeSlicing": {
                    "failRequestsGreaterThanOne": True,
                    "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
                }
            },
        ),
        ("mps", {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}),
    ],
)
def test_a_shared_gpu_is_reported_once_per_replica(strategy: str, sharing: dict[str, Any]) -> None:
    profile = prod({"accelerators.gpuProfiles.0.strategy": strategy}).accelerators.gpu_profiles[0]
    assert plugin_config(profile)["sharing"] == sharing
    labels = accelerator_labels(PoolRole.GPU, "al2023", profile)
    assert ("nvidia.com/mps.capable" in labels) is (strategy == "mps")


def test_limits_count_gpus_as_ec2_does_however_they_are_shared() -> None:
    settings = prod()
    for pool in settings.karpenter.pools[2:]:
        profile = profile_of(settings.accelerators, pool.name)
        assert profile is not None
        limits = node_pool(pool, profile=profile, ami_alias=IMAGE)["limits"]
        assert limits["nvidia.com/gpu"] == str(pool.limits.gpus * profile.replicas)
    assert {profile.replicas for profile in settings.accelerators.gpu_profiles} == {1, 4}


def test_karpenter_is_told_of_shared_gpus_only_where_the_settings_ask_for_its_alpha_feature() -> None:
    told = record_program("dev")
    overlay = told.one("kubernetes:karpenter.sh/v1alpha1:NodeOverlay").inputs["spec"]
    assert overlay["capacity"] == {"nvidia.com/gpu": "4"}
    assert {item["key"]: item["values"] for item in overlay["requirements"]}["karpenter.sh/nodepool"] == ["batch-gpu"]
    gates = {name: record_program(name).one(RELEASE, "karpenter-controller") for name in ("dev", "prod")}
    settings = {name: item.inputs["values"]["settings"]["featureGates"] for name, item in gates.items()}
    assert settings == {"dev": {"nodeOverlay": True}, "prod": {"nodeOverlay": False}}
    assert not [item for item in record_program("prod").resources if item.type.endswith(":NodeOverlay")]


def test_an_overlay_names_each_type_with_what_its_nodes_will_report() -> None:
    settings = prod({"karpenter.pools.2.instanceSizes": ["xlarge", "12xlarge"], "karpenter.pools.2.limits.gpus": 8})
    pool = settings.karpenter.pools[2]
    overlays = node_overlays(pool, profile_of(settings.accelerators, pool.name))
    assert {name: spec["capacity"]["nvidia.com/gpu"] for name, spec in overlays.items()} == {
        "burst-gpu-x4": "4",
        "burst-gpu-x16": "16",
    }
    assert overlays["burst-gpu-x16"]["requirements"][1]["values"] == ["g6.12xlarge", "g5.12xlarge"]
    trained = settings.karpenter.pools[3]
    assert node_overlays(trained, profile_of(settings.accelerators, trained.name)) == {}


@pytest.mark.parametrize(
    ("pods", "per_gpu", "gpus", "busy"), [(4, 4, 1, 0.8), (4, 1, 4, 0.2), (5, 4, 2, 0.5), (8, 7, 2, 0.6)]
)
def test_four_pods_share_one_gpu_and_keep_it_four_times_as_busy(
    pods: int, per_gpu: int, gpus: int, busy: float
) -> None:
    assert gpus_needed(pods, per_gpu) == gpus
    assert utilisation(pods, per_gpu, 0.2) == pytest.approx(busy)


# Partitions


def test_a_node_with_divided_gpus_makes_its_partitions_before_it_joins() -> None:
    recorded = record_changed(DIVIDED)
    template = by_pool(recorded, TEMPLATE, "gpu").inputs
    document = message_from_string(base64.b64decode(template["userData"]).decode())
    (script,) = document.get_payload()
    assert isinstance(script, type(document))
    text = str(script.get_payload())
    assert script.get_content_type() == "text/x-shellscript"
    assert text.startswith("#!/bin/bash\n")
    assert 'nvidia-smi mig -i "$gpu" -cgi 1g.10gb -C' in text
    assert "seq 7" in text
    assert "Before=nodeadm-run.service kubelet.service" in text
    assert "userData" not in by_pool(recorded, TEMPLATE, "gpu-spot").inputs


def test_an_elastic_node_with_divided_gpus_gets_the_same_commands_and_its_limit_counts_whole_gpus() -> None:
    settings = prod(DIVIDED)
    pool, profile = settings.karpenter.pools[2], settings.accelerators.gpu_profiles[0]
    made = node_class(
        Labels(settings.environment), pool, profile=profile, ami_alias=IMAGE, instance_profile="p", key_arn="k"
    )
    assert "nvidia-smi -mig 1" in made["userData"]
    assert node_pool(pool, profile=profile, ami_alias=IMAGE)["limits"]["nvidia.com/gpu"] == str(7 * pool.limits.gpus)
    assert node_overlays(pool, profile)["burst-gpu-x56"]["capacity"] == {"nvidia.com/gpu": "56"}
    assert plugin_config(profile) == {"version": "v1", "flags": {"migStrategy": "single"}}


# Neuron


def test_neuron_nodes_take_only_pods_that_ask_for_a_device_and_get_the_neuron_image_and_plugin() -> None:
    edits = {
        "charts.neuron": PUBLIC,
        "nodePools.1.role": "neuron",
        "nodePools.1.instanceTypes": ["inf2.xlarge"],
        "karpenter.pools.0.role": "neuron",
        "karpenter.pools.0.instanceFamilies": ["inf2", "trn1"],
        "karpenter.pools.0.instanceSizes": ["xlarge", "2xlarge"],
        # No node without an accelerator is left for its pods.
        "models.0.serving": None,
        "models.0.drift": None,
        "models.0.retraining.drift": False,
    }
    recorded = record_changed(edits)
    group = by_pool(recorded, GROUP, "cpu").inputs
    assert group["amiType"] == "AL2023_x86_64_NEURON"
    assert group["taints"] == [{"key": "aws.amazon.com/neuron", "value": "true", "effect": "NO_SCHEDULE"}]
    pool = recorded.one("kubernetes:karpenter.sh/v1:NodePool", "karpenter-burst-cpu").inputs["spec"]
    taint = {"key": "aws.amazon.com/neuron", "value": "true", "effect": "NoSchedule"}
    assert pool["template"]["spec"]["taints"] == [taint]
    assert pool["limits"].keys() == {"cpu", "memory"}
    made = release(recorded, "neuron")
    assert made["chart"] == "oci://public.ecr.aws/neuron/neuron-helm-chart"
    assert made["values"]["devicePlugin"]["namespaceOverride"] == NAMESPACE
    selected = made["values"]["devicePlugin"]["nodeSelector"]
    matching = {name for name, labels in labels_of(recorded).items() if selected.items() <= labels.items()}
    assert matching == {"cpu", "burst-cpu"}


# Fabric


def test_a_pool_with_adapters_lives_close_together_in_one_zone() -> None:
    recorded = fabric()
    group, template = by_pool(recorded, GROUP, "gpu"), by_pool(recorded, TEMPLATE, "gpu")
    placement = recorded.one("aws:ec2/placementGroup:PlacementGroup", "pools-gpu")
    assert placement.inputs["strategy"] == "cluster"
    assert template.inputs["placement"] == {"groupName": placement.inputs["name"]}
    assert template.property_dependencies["placement"] == [placement.urn]
    subnet = recorded.one("aws:ec2/subnet:Subnet", "network-private-us-east-1b")
    assert group.property_dependencies["subnetIds"] == [subnet.urn]
    assert group.inputs["labels"]["slipway.dev/efa"] == "true"


def test_a_node_with_adapters_has_one_interface_for_addresses_and_an_adapter_on_each_card() -> None:
    recorded = fabric()
    template = by_pool(recorded, TEMPLATE, "gpu")
    interfaces = template.inputs["networkInterfaces"]
    places = [(item["interfaceType"], item["networkCardIndex"], item["deviceIndex"]) for item in interfaces]
    assert places == [
        ("interface", 0, 0),
        ("efa-only", 0, 1),
        ("efa-only", 1, 0),
        ("efa-only", 2, 0),
        ("efa-only", 3, 0),
    ]
    nodes = recorded.one("aws:ec2/securityGroup:SecurityGroup", "cluster-nodes")
    assert all(
        item["securityGroups"] == [template.inputs["networkInterfaces"][0]["securityGroups"][0]] for item in interfaces
    )
    assert template.property_dependencies["networkInterfaces"] == [nodes.urn]
    assert "vpcSecurityGroupIds" not in template.inputs
    assert interfaces[0]["associatePublicIpAddress"] == "false"


def test_the_security_group_of_the_adapters_lets_everything_through_to_itself_both_ways() -> None:
    recorded = fabric()
    nodes = recorded.one("aws:ec2/securityGroup:SecurityGroup", "cluster-nodes").urn
    for direction in ("Ingress", "Egress"):
        rules = recorded.of_type(f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule")
        own = [
            rule
            for rule in rules
            if rule.property_dependencies.get("securityGroupId") == [nodes]
            and rule.property_dependencies.get("referencedSecurityGroupId") == [nodes]
        ]
        assert [rule.inputs["ipProtocol"] for rule in own] == ["-1"]


def test_the_plugin_of_adapters_runs_on_nodes_that_have_some_and_nothing_else_changes() -> None:
    before, after = record_program("prod"), fabric()
    assert release(after, "efa")["values"]["nodeSelector"] == {"slipway.dev/efa": "true"}
    added = {item.urn.rpartition("::")[2] for item in after.resources} - {
        item.urn.rpartition("::")[2] for item in before.resources
    }
    assert added == {"accelerators-efa"}
    assert not [item for item in before.resources if item.type.endswith(":PlacementGroup")]
    untouched = {item.urn: item.inputs for item in before.of_type(TEMPLATE) if item.name != "pools-gpu"}
    assert {item.urn: item.inputs for item in after.of_type(TEMPLATE) if item.urn in untouched} == untouched


# Pods


@pytest.mark.parametrize("may_be_spot", [False, True])
def test_a_gpu_pod_tolerates_and_chooses_the_gpu_nodes_that_it_may_use(*, may_be_spot: bool) -> None:
    recorded = record_program("prod")
    tolerated = {item["key"] for item in gpu_pods.tolerations(may_be_spot=may_be_spot)}
    affinity = gpu_pods.affinity(may_be_spot=may_be_spot)["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    wanted = {item["key"]: item["values"] for item in term["matchExpressions"]}
    taints = {
        item.name.removeprefix("pools-"): {taint["key"] for taint in item.inputs.get("taints", [])}
        for item in recorded.of_type(GROUP)
    }
    fits = {
        name
        for name, keys in taints.items()
        if keys <= tolerated and all(labels_of(recorded)[name].get(key) in values for key, values in wanted.items())
    }
    assert fits == ({"gpu-spot"} if may_be_spot else {"gpu"})


def test_a_pod_that_needs_a_whole_gpu_says_so_by_the_profile() -> None:
    affinity = gpu_pods.affinity(may_be_spot=True, profile="exclusive")["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {"key": "nvidia.com/device-plugin.config", "operator": "In", "values": ["exclusive"]} in term[
        "matchExpressions"
    ]
    assert gpu_pods.gpu_resources() == {"nvidia.com/gpu": "1"}
    assert gpu_pods.neuron_resources(2) == {"aws.amazon.com/neuron": "2"}
