"""Secrets of a namespace as they are registered: places without values, and one role that reads them."""

from __future__ import annotations

import json

import pytest

from tests.support.changes import record_changed
from tests.support.iam_evaluator import may
from tests.support.optional import SECRET_FILES, SECRETS
from tests.support.recorded import STACKS, Recorded, record_program
from tests.support.teams import NOTHING

PLACE = "aws:secretsmanager/secret:Secret"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
CLASS = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"
DRIVER = "aws:eks/addon:Addon"
ROLE = "slipway-prod-team-ml-inference"
ARN = "arn:aws:secretsmanager:us-east-1:777788889999:secret:"
READ = "secretsmanager:GetSecretValue"


@pytest.fixture
def on() -> Recorded:
    return record_changed({"storage.secrets": SECRET_FILES, "teams.0.namespaces.1.secrets": SECRETS})


@pytest.mark.parametrize("stack", STACKS)
def test_no_environment_has_secrets_by_itself(stack: str) -> None:
    tokens = {item.type for item in record_program(stack).resources}
    assert not tokens & {PLACE, ROTATION, CLASS}


def test_secrets_only_add_resources_and_the_role_that_reads_them(on: Recorded) -> None:
    before = {item.urn: item for item in record_program("prod").resources}
    after = {item.urn: item for item in on.resources}
    assert before.keys() < after.keys()
    assert [urn for urn in before if before[urn].custom and before[urn].inputs != after[urn].inputs] == []


def test_a_secret_is_a_place_under_the_key_of_the_environment_and_no_value(on: Recorded) -> None:
    found = {item.inputs["name"]: item.inputs for item in on.of_type(PLACE)}
    assert found.keys() == {"slipway/prod/ml-inference/warehouse", "slipway/prod/ml-inference/partner-api"}
    assert {item["kmsKeyId"] for item in found.values()} == {on.exports["keyArn"]}
    assert {item["recoveryWindowInDays"] for item in found.values()} == {7, 30}
    assert not [item for item in on.resources if "secretVersion" in item.type]


def test_a_secret_rotates_where_a_function_is_named_and_not_while_it_is_empty(on: Recorded) -> None:
    rotation = on.one(ROTATION)
    assert rotation.property_dependencies["secretId"] == [
        next(item.urn for item in on.of_type(PLACE) if item.inputs["name"].endswith("partner-api"))
    ]
    assert rotation.inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert rotation.inputs["rotateImmediately"] is False


def test_pods_of_the_namespace_see_each_secret_as_a_file_of_its_name(on: Recorded) -> None:
    provided = on.one(CLASS)
    assert provided.inputs["metadata"] == {"name": "secrets", "namespace": "ml-inference"}
    assert provided.inputs["spec"]["provider"] == "aws"
    objects = json.loads(provided.inputs["spec"]["parameters"]["objects"])
    assert [(item["objectName"], item["objectAlias"]) for item in objects] == [
        ("slipway/prod/ml-inference/warehouse", "warehouse"),
        ("slipway/prod/ml-inference/partner-api", "partner-api"),
    ]
    assert {item["objectType"] for item in objects} == {"secretsmanager"}


def test_the_class_comes_after_the_driver_that_brings_its_definition(on: Recorded) -> None:
    driver = next(item for item in on.of_type(DRIVER) if "secrets-store" in item.inputs["addonName"])
    assert on.depends_path(on.one(CLASS), driver)
    values = json.loads(driver.inputs["configurationValues"])
    assert values["secrets-store-csi-driver"] == {"enableSecretRotation": True, "rotationPollInterval": "60m"}
    assert "serviceAccountRoleArn" not in driver.inputs, "it reads with the role of the pod"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("slipway/prod/ml-inference/warehouse-a1B2c3", True),
        ("slipway/prod/ml-inference/partner-api-a1B2c3", True),
        ("slipway/prod/ml-inference/warehouse-old-a1B2c3", False),
        ("slipway/prod/ml-training/warehouse-a1B2c3", False),
        ("slipway/dev/ml-inference/warehouse-a1B2c3", False),
    ],
)
def test_the_role_of_the_namespace_reads_its_secrets_and_no_other(on: Recorded, name: str, *, expected: bool) -> None:
    assert may(on, ROLE, READ, f"{ARN}{name}", {}) is expected
    for action in ("secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret", "secretsmanager:ListSecrets"):
        assert not may(on, ROLE, action, f"{ARN}{name}", {})


@pytest.mark.parametrize("service", ["secretsmanager", "s3", "ebs"])
def test_the_key_decrypts_for_the_role_through_the_services_that_it_uses(on: Recorded, service: str) -> None:
    through = {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}
    assert may(on, ROLE, "kms:Decrypt", on.exports["keyArn"], through) is (service != "ebs")
    assert not may(on, ROLE, "kms:Decrypt", on.exports["keyArn"], {})


def test_a_namespace_that_has_secrets_alone_has_a_role_for_them() -> None:
    recorded = record_changed(
        {
            "storage.secrets": SECRET_FILES,
            "teams.0.namespaces.1.secrets": SECRETS[:1],
            "teams.0.namespaces.1.buckets": NOTHING,
        }
    )
    account = recorded.one("kubernetes:core/v1:ServiceAccount", "tenancy-ml-inference-workload").inputs
    role_arn = f"arn:aws:iam::777788889999:role/{ROLE}"
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role_arn}
    policies = recorded.of_type("aws:iam/rolePolicy:RolePolicy")
    assert {item.inputs["name"] for item in policies if item.inputs["role"] == ROLE} == {
        "read-secrets",
        "decrypt-secrets",
    }
