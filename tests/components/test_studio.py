"""Notebooks: in the VPC, encrypted, shut down when idle, and with their own prefix only."""

from __future__ import annotations

import json

import pytest

from tests.support.iam_evaluator import may
from tests.support.optional import STUDIO
from tests.support.recorded import STACKS, Recorded, record_program

DOMAIN = "aws:sagemaker/domain:Domain"
ROLE = "slipway-prod-studio"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:777788889999:"
BUCKETS = "arn:aws:s3:::slipway-prod-777788889999-us-east-1-"
MINE = {
    "sagemaker:OwnerUserProfileArn": f"{SAGEMAKER}user-profile/${{sagemaker:DomainId}}/${{sagemaker:UserProfileName}}",
    "sagemaker:SpaceSharingType": "Private",
    "sagemaker:InstanceTypes": "ml.t3.medium",
}
SPACE, APP = (
    f"{SAGEMAKER}space/${{sagemaker:DomainId}}/x",
    f"{SAGEMAKER}app/${{sagemaker:DomainId}}/x/JupyterLab/default",
)
CALLS: list[tuple[str, str, dict[str, str], bool]] = [
    ("sagemaker:CreateApp", APP, MINE, True),
    ("sagemaker:CreateApp", APP, {**MINE, "sagemaker:InstanceTypes": "ml.p5.48xlarge"}, False),
    ("sagemaker:CreateApp", APP, {**MINE, "sagemaker:SpaceSharingType": "Shared"}, False),
    ("sagemaker:CreateSpace", SPACE, {**MINE, "sagemaker:OwnerUserProfileArn": f"{SAGEMAKER}user-profile/d/o"}, False),
    ("sagemaker:CreateSpace", SPACE, MINE, True),
    ("sagemaker:CreatePresignedDomainUrl", f"{SAGEMAKER}user-profile/d/explorer", {}, False),
    ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}training-job/x", {}, False),
    ("sagemaker:UpdateModelPackage", f"{SAGEMAKER}model-package/slipway-prod-flight-delay/1", {}, False),
    ("sagemaker:DescribeModelPackage", f"{SAGEMAKER}model-package/slipway-prod-flight-delay/1", {}, True),
    ("s3:GetObject", f"{BUCKETS}data/flight-delay/train/2013-01.csv", {}, True),
    ("s3:PutObject", f"{BUCKETS}data/flight-delay/train/2013-01.csv", {}, False),
    ("s3:PutObject", f"{BUCKETS}models/experiments/x", {}, True),
    ("s3:PutObject", f"{BUCKETS}models/flight-delay/champion/model.tar.gz", {}, False),
    ("iam:PassRole", "arn:aws:iam::777788889999:role/slipway-prod-studio", {}, False),
]


@pytest.fixture
def on() -> Recorded:
    return record_program("prod", overrides=json.dumps({"studio": {"domain": STUDIO}}))


def test_notebooks_exist_where_the_settings_ask_for_them_and_nowhere_else() -> None:
    found = {stack for stack in STACKS for each in record_program(stack).resources if each.type == DOMAIN}
    assert found == {"dev"}


def test_a_domain_is_in_the_vpc_alone_encrypted_and_shuts_idle_notebooks_down(on: Recorded) -> None:
    domain = on.one(DOMAIN).inputs
    settings = domain["defaultUserSettings"]
    idle = settings["jupyterLabAppSettings"]["appLifecycleManagement"]["idleSettings"]
    assert (domain["appNetworkAccessType"], domain["authMode"]) == ("VpcOnly", "IAM")
    assert domain["kmsKeyId"] == on.exports["keyArn"]
    assert len(domain["subnetIds"]) == 3
    assert domain["retentionPolicy"] == {"homeEfsFileSystem": "Retain"}
    assert on.one(DOMAIN).protect
    assert domain["domainSettings"]["dockerSettings"]["enableDockerAccess"] == "DISABLED"
    assert settings["sharingSettings"]["notebookOutputOption"] == settings["autoMountHomeEfs"] == "Disabled"
    assert (idle["lifecycleManagement"], idle["idleTimeoutInMinutes"]) == ("ENABLED", 120)
    assert idle["maxIdleTimeoutInMinutes"] == 120, "nobody chooses a longer one"
    assert record_program("dev").one(DOMAIN).inputs["retentionPolicy"] == {"homeEfsFileSystem": "Delete"}


def test_a_domain_comes_after_the_rights_of_its_notebooks_and_each_user_has_a_profile(on: Recorded) -> None:
    policies = [each for each in on.of_type("aws:iam/rolePolicy:RolePolicy") if each.inputs["role"] == ROLE]
    assert len(policies) == 5
    assert all(on.depends_path(on.one(DOMAIN), each) for each in policies)
    profiles = on.of_type("aws:sagemaker/userProfile:UserProfile")
    assert [each.inputs["userProfileName"] for each in profiles] == STUDIO["users"]


@pytest.mark.parametrize(("stack", "internet"), [("prod", False), ("dev", True)])
def test_notebooks_reach_the_internet_only_where_the_settings_say_so(
    on: Recorded, stack: str, *, internet: bool
) -> None:
    recorded = on if stack == "prod" else record_program(stack)
    rules = [
        each.inputs
        for each in recorded.of_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
        if each.name.startswith("studio-")
    ]
    assert ("0.0.0.0/0" in {each.get("cidrIpv4") for each in rules}) is internet
    assert {each["fromPort"] for each in rules} == {443, 2049}


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), CALLS)
def test_a_notebook_runs_in_its_own_space_and_writes_where_no_pipeline_reads(
    on: Recorded, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(on, ROLE, action, resource, context) is allowed
