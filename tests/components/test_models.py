"""Training, registry and the approved model as they are registered."""

from __future__ import annotations

import json

import pytest

from tests.support.recorded import STACKS, Recorded, record_program, stack_section

DIGEST = "sha256:" + "ab" * 32
ARTEFACT = "s3://slipway-prod-777788889999-us-east-1-models/flight-delay/jobs/job-1/output/model.tar.gz"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def approved(version: int) -> Recorded:
    (model,) = stack_section("prod", "models")
    package = {"version": version, "imageDigest": DIGEST, "modelData": ARTEFACT}
    serving = {**model["serving"], "eks": {**model["serving"]["eks"], "frontEnd": None, "rollout": None}}
    changes = {"models": [{**model, "approved": package, "serving": serving}]}
    return record_program("prod", overrides=json.dumps(changes))


def test_every_model_has_a_package_group_and_a_repository(stack: str) -> None:
    recorded = record_program(stack)
    models = [model["name"] for model in stack_section(stack, "models")]
    assert models
    assert recorded.exports["modelPackageGroups"] == {model: f"slipway-{stack}-{model}" for model in models}
    assert list(recorded.exports["modelEcrRepo"]) == models


def test_without_an_approved_version_there_is_no_sagemaker_model() -> None:
    recorded = record_program("prod")
    assert recorded.exports["sageMakerModelArn"] == {}
    with pytest.raises(LookupError):
        recorded.of_type("aws:sagemaker/model:Model")


def test_an_approved_version_is_served_by_digest_from_our_repository_inside_the_vpc() -> None:
    recorded = approved(3)
    model = recorded.one("aws:sagemaker/model:Model")
    assert model.inputs["primaryContainer"] == {
        "image": f"777788889999.dkr.ecr.us-east-1.amazonaws.com/slipway-prod/flight-delay@{DIGEST}",
        "modelDataUrl": ARTEFACT,
    }
    assert model.inputs["enableNetworkIsolation"] is True
    private = {item.urn for item in recorded.of_type("aws:ec2/subnet:Subnet") if "-private-" in item.name}
    group = recorded.one("aws:ec2/securityGroup:SecurityGroup", "registry-models").urn
    assert set(model.property_dependencies["vpcConfig"]) == {*private, group}
    (arn,) = recorded.exports["sageMakerModelArn"].values()
    assert arn.startswith("arn:aws:sagemaker:us-east-1:777788889999:model/slipway-prod-flight-delay-v3-")


def test_the_role_of_a_served_model_has_its_rights_before_the_model_exists() -> None:
    recorded = approved(3)
    model = recorded.one("aws:sagemaker/model:Model")
    policies = [
        item
        for item in recorded.of_type("aws:iam/rolePolicy:RolePolicy")
        if item.inputs["role"] == "slipway-prod-model"
    ]
    assert len(policies) >= 5
    assert all(recorded.depends_path(model, policy) for policy in policies)


def test_the_next_version_can_exist_beside_the_one_in_service() -> None:
    third, fourth = (approved(version).one("aws:sagemaker/model:Model") for version in (3, 4))
    assert third.urn == fourth.urn
    assert third.inputs["name"] != fourth.inputs["name"]


def test_training_jobs_and_served_models_reach_aws_services_and_nothing_else(stack: str) -> None:
    recorded = record_program(stack)
    endpoints = recorded.one("aws:ec2/securityGroup:SecurityGroup", "endpoints-group").urn
    s3 = recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "endpoints-s3").urn
    for name in ("training-jobs", "registry-models"):
        group = recorded.one("aws:ec2/securityGroup:SecurityGroup", name).urn
        outwards = [
            rule
            for rule in recorded.of_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
            if rule.property_dependencies["securityGroupId"] == [group]
        ]
        peers = {
            urn
            for rule in outwards
            for peer in ("referencedSecurityGroupId", "prefixListId")
            for urn in rule.property_dependencies.get(peer, [])
        }
        assert peers - {group} == {endpoints, s3}
        assert not [rule for rule in outwards if "cidrIpv4" in rule.inputs]


def test_only_hosts_of_the_same_job_reach_a_training_host(stack: str) -> None:
    recorded = record_program(stack)
    group = recorded.one("aws:ec2/securityGroup:SecurityGroup", "training-jobs").urn
    inwards = [
        rule
        for rule in recorded.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if rule.property_dependencies["securityGroupId"] == [group]
    ]
    assert [rule.property_dependencies["referencedSecurityGroupId"] for rule in inwards] == [[group]]
