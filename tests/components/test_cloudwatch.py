"""CloudWatch: nothing unless asked for, and otherwise logs and metrics that somebody bounded and encrypted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from components import cloudwatch_objects
from components.cloudwatch_objects import addon_values
from components.labels import Labels
from components.releases import on_system_nodes
from tests.settings.stacks import changed, decoded, settings_of
from tests.support.changes import record_changed
from tests.support.network_policies import NETWORK_POLICY, End, Policies
from tests.support.recorded import STACKS, Recorded, record_program, stack_section

if TYPE_CHECKING:
    from settings.model import CloudWatchSpec

ADDON: Final = "aws:eks/addon:Addon"
GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
KINDS: Final = ("application", "dataplane", "host", "performance")
OBSERVING: Final = [stack for stack in STACKS if stack_section(stack, "monitoring")["cloudWatch"]]
OPERATOR: Final = End(namespace="amazon-cloudwatch", address="10.48.33.30")
CONTROL_PLANE: Final = End(address="10.48.32.7")
TRAINING: Final = End(namespace="ml-training", address="10.48.1.10")
S3: Final = End(address="52.216.1.1")


def spec(*, logs: bool, insights: bool) -> CloudWatchSpec:
    edits = {"monitoring.cloudWatch.containerLogs": logs, "monitoring.cloudWatch.containerInsights": insights}
    found = settings_of(changed(edits)).monitoring.cloud_watch
    assert found is not None
    return found


def groups(recorded: Recorded) -> dict[str, dict[str, Any]]:
    """Log groups of the agents, by what follows the cluster's name."""
    prefix = f"/aws/containerinsights/slipway-{recorded.stack}/"
    found = {item.inputs["name"]: item.inputs for item in recorded.of_type(GROUP)}
    return {name.removeprefix(prefix): inputs for name, inputs in found.items() if name.startswith(prefix)}


def test_staging_rehearses_what_prod_sends_and_the_others_send_nothing() -> None:
    assert OBSERVING == ["staging", "prod"]
    for stack in set(STACKS) - set(OBSERVING):
        registered = [item for item in record_program(stack).resources if item.name.startswith("cloudwatch")]
        assert [item.type for item in registered] == ["slipway:cloudwatch:CloudWatch"]


@pytest.mark.parametrize("stack", OBSERVING)
def test_every_log_group_has_the_key_of_the_environment_and_an_end_before_an_agent_can_write(stack: str) -> None:
    recorded = record_program(stack)
    assert tuple(groups(recorded)) == KINDS
    days = stack_section(stack, "monitoring")["cloudWatch"]["logRetentionDays"]
    addon = recorded.one(ADDON, "cloudwatch-addon")
    for group in recorded.of_type(GROUP):
        if group.name.startswith("cloudwatch-"):
            assert group.inputs["kmsKeyId"] == recorded.exports["keyArn"]
            assert group.inputs["retentionInDays"] == days
            assert recorded.depends_path(addon, group)


@pytest.mark.parametrize(
    ("off", "kept", "abilities"),
    [
        ("containerInsights", {"application", "dataplane", "host"}, {"write-logs"}),
        ("containerLogs", {"performance"}, {"write-logs", "see-node"}),
    ],
)
def test_what_is_not_sent_has_neither_a_log_group_nor_a_right(off: str, kept: set[str], abilities: set[str]) -> None:
    recorded = record_changed({f"monitoring.cloudWatch.{off}": False})
    assert groups(recorded).keys() == kept
    role = recorded.one("aws:iam/role:Role", "cloudwatch-role")
    granted = [item for item in recorded.of_type("aws:iam/rolePolicy:RolePolicy") if item.name.startswith("cloudwatch")]
    assert {item.inputs["name"] for item in granted} == abilities
    assert {item.inputs["role"] for item in granted} == {role.inputs["name"]}
    for item in granted:
        text = json.dumps(item.policy())
        assert {kind for kind in KINDS if f"/{kind}" in text} <= kept


def test_a_switch_turns_on_what_it_names_and_nothing_looks_into_applications() -> None:
    both, logs, metrics = (
        addon_values(spec(logs=logs, insights=insights))
        for logs, insights in ((True, True), (True, False), (False, True))
    )
    assert [each["containerLogs"]["enabled"] for each in (both, logs, metrics)] == [True, True, False]
    assert [each["containerInsights"]["enabled"] for each in (both, logs, metrics)] == [True, False, True]
    # An agent without anything to collect is started again and again.
    assert ["agents" in each for each in (both, logs, metrics)] == [False, True, False]
    assert logs["agents"] == []
    for each in (both, logs, metrics):
        assert [each[part] for part in ("applicationSignals", "dcgmExporter", "neuronMonitor")] == [
            {"enabled": False}
        ] * 3


def test_the_operator_runs_on_system_nodes_and_every_pod_within_its_memory() -> None:
    values = addon_values(spec(logs=True, insights=True))
    assert on_system_nodes().items() <= values["manager"].items()
    for part in (values["manager"], values["agent"], values["containerLogs"]["fluentBit"]):
        assert part["resources"]["requests"].keys() == {"cpu", "memory"}
        assert part["resources"]["limits"].keys() == {"memory"}


def test_the_role_is_for_the_service_account_of_the_agents_alone() -> None:
    prod = record_program("prod")
    (statement,) = prod.one("aws:iam/role:Role", "cloudwatch-role").policy("assumeRolePolicy")["Statement"]
    issuer = next(iter(statement["Condition"]["StringEquals"])).rpartition(":")[0]
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer}:sub": "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent",
            f"{issuer}:aud": "sts.amazonaws.com",
        }
    }
    addon = prod.one(ADDON, "cloudwatch-addon")
    assert addon.property_dependencies["serviceAccountRoleArn"] == [
        prod.one("aws:iam/role:Role", "cloudwatch-role").urn
    ]


def test_the_operator_reaches_the_api_server_only_and_only_the_control_plane_asks_it() -> None:
    policies = Policies([item.inputs for item in record_program("prod").of_type(NETWORK_POLICY)])
    ports = (22, 80, 443, 8080, 8081, 9443, 10250)
    assert [port for port in ports if policies.permit(OPERATOR, CONTROL_PLANE, port)] == [443]
    assert [port for port in ports if policies.permit(CONTROL_PLANE, OPERATOR, port)] == [9443]
    assert not [port for port in ports if policies.permit(OPERATOR, S3, port)]
    assert not [port for port in ports if policies.permit(TRAINING, OPERATOR, port)]


def test_the_key_encrypts_the_groups_of_its_own_cluster_only() -> None:
    labels = Labels(settings_of(decoded()).environment)
    names = cloudwatch_objects.log_groups(labels, spec(logs=True, insights=True))
    assert names == {kind: f"/aws/containerinsights/slipway-prod/{kind}" for kind in KINDS}
    (logs,) = [
        statement
        for statement in record_program("prod").one("aws:kms/key:Key").policy()["Statement"]
        if statement["Sid"] == "EncryptLogGroups"
    ]
    patterns = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    ours = [pattern for pattern in patterns if "containerinsights" in pattern]
    assert [pattern.rpartition("log-group:")[2] for pattern in ours] == ["/aws/containerinsights/slipway-prod/*"]
