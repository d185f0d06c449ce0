"""Domains as they are registered: records and certificates where the settings ask for them, and nothing elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from components.domain_objects import publish_records
from components.iam import Account
from settings.model import Partition, RecordsSpec
from tests.support.recorded import STACKS, Recorded, Resource, record_program

if TYPE_CHECKING:
    from collections.abc import Mapping

RELEASE = "kubernetes:helm.sh/v3:Release"
ISSUER = "kubernetes:cert-manager.io/v1:ClusterIssuer"
ZONES = [
    {"id": "Z0123456789ABCDEFGHIJ", "domain": "ml.example.com"},
    {"id": "Z9876543210ABCDEFGHIJ", "domain": "ml.example.org"},
]
RECORDS = {"policy": "sync", "intervalMinutes": 5, "cpuMillis": 50, "memoryMib": 128}
CERTIFICATES = {
    "directory": "https://acme-v02.api.letsencrypt.org/directory",
    "email": "ml-platform@example.com",
    "replicas": 2,
    "cpuMillis": 50,
    "memoryMib": 128,
}
ON = json.dumps({"domains": {"hostedZones": ZONES, "records": RECORDS, "certificates": CERTIFICATES}})
ZONE_ARNS = [f"arn:aws:route53:::hostedzone/{zone['id']}" for zone in ZONES]


@pytest.fixture(name="recorded")
def recorded_with_both() -> Recorded:
    return record_program("prod", overrides=ON)


def values(recorded: Recorded, release: str) -> dict[str, Any]:
    return recorded.one(RELEASE, f"domains-{release}").inputs["values"]


def own(recorded: Recorded) -> list[Resource]:
    """Resources inside the component."""
    return [item for item in recorded.resources if "slipway:domains:Domains$" in item.urn]


def statements(recorded: Recorded, controller: str) -> dict[str, dict[str, Any]]:
    policy = recorded.one("aws:iam/rolePolicy:RolePolicy", f"domains-{controller}-write-zones").policy()
    return {statement["Action"]: statement for statement in policy["Statement"]}


def changes(statement: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the condition of a statement lets through, by the last part of the key."""
    return {
        key.removeprefix("route53:ChangeResourceRecordSets"): allowed
        for keys in statement["Condition"].values()
        for key, allowed in keys.items()
    }


@pytest.mark.parametrize("stack", STACKS)
def test_an_environment_without_a_domain_has_none_of_it(stack: str) -> None:
    recorded = record_program(stack)
    assert own(recorded) == []
    assert recorded.one("slipway:domains:Domains").outputs == {}


def test_both_switches_bring_two_roles_two_releases_and_an_issuer_and_change_nothing_else(recorded: Recorded) -> None:
    without = {item.urn: item for item in record_program("prod").resources}
    added = [item for item in recorded.resources if item.urn not in without]
    assert {item.name for item in added if item.custom} == {
        "domains-external-dns-role",
        "domains-external-dns-write-zones",
        "domains-records",
        "domains-cert-manager-role",
        "domains-cert-manager-write-zones",
        "domains-certificates",
        "domains-issuer",
    }
    changed = {
        item.type for item in recorded.resources if item.urn in without and item.inputs != without[item.urn].inputs
    }
    assert changed == set()


def test_one_switch_brings_its_own_part_only() -> None:
    only = json.dumps({"domains": {"hostedZones": ZONES, "records": RECORDS, "certificates": None}})
    names = {item.name for item in own(record_program("prod", overrides=only)) if item.custom}
    assert names == {"domains-external-dns-role", "domains-external-dns-write-zones", "domains-records"}


def test_charts_have_one_exact_version_and_come_after_role_and_system_nodes(recorded: Recorded) -> None:
    expected = {
        "records": ("external-dns", "https://kubernetes-sigs.github.io/external-dns", "1.21.1"),
        "certificates": ("cert-manager", "https://charts.jetstack.io", "v1.21.1"),
    }
    for name, (chart, repository, version) in expected.items():
        release = recorded.one(RELEASE, f"domains-{name}")
        given = release.inputs
        assert (given["chart"], given["repositoryOpts"]["repo"], given["version"]) == (chart, repository, version)
        assert given["atomic"] is given["skipCrds"] is True
        grant = recorded.one("aws:iam/rolePolicy:RolePolicy", f"domains-{chart}-write-zones")
        assert recorded.depends_path(release, grant)
        assert recorded.depends_path(release, recorded.one("aws:eks/nodeGroup:NodeGroup", "pools-system"))


def test_each_controller_has_the_role_that_trusts_its_service_account(recorded: Recorded) -> None:
    for release, name in (("records", "external-dns"), ("certificates", "cert-manager")):
        account = values(recorded, release)["serviceAccount"]
        role = recorded.one("aws:iam/role:Role", f"domains-{name}-role")
        assert account["name"] == name
        assert account["annotations"] == {
            "eks.amazonaws.com/role-arn": f"arn:aws:iam::777788889999:role/{role.inputs['name']}"
        }
        assert f"system:serviceaccount:kube-system:{name}" in role.inputs["assumeRolePolicy"]


def test_records_are_published_for_our_class_in_our_zones_and_those_of_others_are_left_alone(
    recorded: Recorded,
) -> None:
    given = values(recorded, "records")
    ingress_class = recorded.one("kubernetes:networking.k8s.io/v1:IngressClass").inputs["metadata"]["name"]
    assert given["extraArgs"] == {"zone-id-filter": [zone["id"] for zone in ZONES], "ingress-class": [ingress_class]}
    assert given["domainFilters"] == ["ml.example.com", "ml.example.org"]
    assert (given["sources"], given["policy"], given["registry"]) == (["ingress"], "sync", "txt")
    assert given["txtOwnerId"] == recorded.exports["clusterName"]


def test_definitions_of_cert_manager_follow_the_chart_and_outlive_it(recorded: Recorded) -> None:
    given = values(recorded, "certificates")
    assert given["crds"] == {"enabled": True, "keep": True}
    assert recorded.depends_path(recorded.one(ISSUER), recorded.one(RELEASE, "domains-certificates"))


def test_every_part_of_cert_manager_runs_twice_on_system_nodes(recorded: Recorded) -> None:
    given = values(recorded, "certificates")
    for part in (given, given["webhook"], given["cainjector"]):
        assert part["replicaCount"] == 2
        assert part["podDisruptionBudget"] == {"enabled": True, "maxUnavailable": 1}
    for part in (given, given["webhook"], given["cainjector"], given["startupapicheck"]):
        assert part["nodeSelector"]["slipway.dev/role"] == "system"
        assert part["resources"]["limits"] == {"memory": "128Mi"}


def test_nobody_asks_for_a_certificate_by_a_role_that_kubernetes_ships(recorded: Recorded) -> None:
    assert values(recorded, "certificates")["global"]["rbac"] == {"aggregateClusterRoles": False}


def test_proofs_are_looked_up_where_nodes_reach(recorded: Recorded) -> None:
    given = values(recorded, "certificates")
    vpc = recorded.one("aws:ec2/vpc:Vpc").inputs["cidrBlock"]
    assert vpc == "10.48.0.0/16"
    assert given["dns01RecursiveNameservers"] == "10.48.0.2:53"
    assert given["dns01RecursiveNameserversOnly"] is True


def test_the_issuer_proves_each_domain_in_its_own_zone_and_holds_no_credential(recorded: Recorded) -> None:
    acme = recorded.one(ISSUER).inputs["spec"]["acme"]
    assert (acme["server"], acme["email"]) == (CERTIFICATES["directory"], CERTIFICATES["email"])
    assert acme["solvers"] == [
        {"selector": {"dnsZones": [zone["domain"]]}, "dns01": {"route53": {"hostedZoneID": zone["id"]}}}
        for zone in ZONES
    ]


def test_external_dns_writes_records_of_load_balancers_to_the_zones_and_reads_no_others(recorded: Recorded) -> None:
    allowed = statements(recorded, "external-dns")
    write = allowed.pop("route53:ChangeResourceRecordSets")
    assert write["Resource"] == ZONE_ARNS
    assert changes(write) == {
        "RecordTypes": ["A", "AAAA", "CNAME", "TXT"],
        "Actions": ["CREATE", "UPSERT", "DELETE"],
    }
    assert {action: statement["Resource"] for action, statement in allowed.items()} == {
        "route53:ListResourceRecordSets": ZONE_ARNS,
        "route53:ListHostedZones": "*",
    }


def test_records_that_are_never_deleted_need_no_right_to_delete() -> None:
    keep = RecordsSpec.model_validate_json(json.dumps({**RECORDS, "policy": "upsert-only"}))
    write, *_ = publish_records(Account(Partition.AWS, "111122223333", "us-east-1"), keep, [])
    assert changes(write)["Actions"] == ["CREATE", "UPSERT"]


def test_cert_manager_writes_proofs_to_the_zones_and_nothing_else(recorded: Recorded) -> None:
    allowed = statements(recorded, "cert-manager")
    write = allowed.pop("route53:ChangeResourceRecordSets")
    assert write["Resource"] == ZONE_ARNS
    assert changes(write) == {"RecordTypes": ["TXT"], "NormalizedRecordNames": ["_acme-challenge.*"]}
    assert {action: statement["Resource"] for action, statement in allowed.items()} == {
        "route53:ListResourceRecordSets": ZONE_ARNS,
        "route53:GetChange": "arn:aws:route53:::change/*",
    }
