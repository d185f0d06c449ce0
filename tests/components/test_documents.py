"""Policy documents, names and the kubeconfig as pure functions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi import ResourceOptions, ResourceTransformArgs, RunError

from components import grants, iam, resource_policies
from components.kubeconfig import exec_kubeconfig
from components.labels import Labels, fingerprint, fitted
from components.transforms import no_access_for_creator
from settings.model import DataClassification, EnvironmentSpec, Partition

ACCOUNT = iam.Account(Partition.AWS, "123456789012", "eu-west-1")
CHINA = iam.Account(Partition.CHINA, "123456789012", "cn-north-1")
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"

environments = st.builds(
    EnvironmentSpec.model_construct,
    name=st.from_regex(r"[a-z][a-z0-9]{0,11}", fullmatch=True),
    account_id=st.from_regex(r"[0-9]{12}", fullmatch=True),
    partition=st.just(Partition.AWS),
    region=st.sampled_from(["us-east-1", "ap-northeast-1", "ap-southeast-3", "us-gov-west-1"]),
    owner=st.just("team"),
    cost_center=st.just("ml"),
    data_classification=st.just(DataClassification.INTERNAL),
    protect_data=st.just(True),
)


def test_a_service_account_role_trusts_one_subject_and_one_audience_of_one_issuer() -> None:
    (statement,) = json.loads(iam.service_account_trust(PROVIDER, ISSUER, "ml", "scorer"))["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": PROVIDER}
    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:sub": "system:serviceaccount:ml:scorer", f"{ISSUER}:aud": "sts.amazonaws.com"}
    }


def test_a_service_may_assume_a_role_only_on_behalf_of_the_account() -> None:
    (statement,) = json.loads(iam.service_trust(ACCOUNT, "sagemaker.amazonaws.com"))["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_the_key_serves_other_principals_than_the_account_only_under_conditions_of_the_account() -> None:
    first, *others = json.loads(resource_policies.key_policy(ACCOUNT, ["/slipway/dev/"]))["Statement"]
    assert first["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert len(others) == 3
    for statement in others:
        conditions = json.dumps(statement["Condition"])
        assert "123456789012" in conditions, statement["Sid"]
        assert statement["Action"] != "kms:*"
    assert json.dumps(others).count('"*"') == len(others) + 2  # three resources, two principals


def test_arns_and_principals_follow_the_partition() -> None:
    assert CHINA.role("r") == "arn:aws-cn:iam::123456789012:role/r"
    assert CHINA.bucket("b", "k/*") == "arn:aws-cn:s3:::b/k/*"
    assert CHINA.service("logs") == "logs.cn-north-1.amazonaws.com.cn"
    assert CHINA.registry == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert "ec2.amazonaws.com.cn" in iam.instance_trust(CHINA)


def test_a_document_that_outgrows_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"exceeds the 2048 that AWS accepts"):
        iam.document(*grants.put_metrics("namespace") * 100, limit=iam.MAX_TRUST_POLICY)


def test_policies_of_one_role_are_measured_together() -> None:
    def policies(models: int) -> dict[str, object]:
        prefixes = [f"model-with-a-long-name-{index}/" for index in range(models)]
        read, write = (grant(ACCOUNT, "bucket", prefixes) for grant in (grants.read_objects, grants.write_objects))
        return dict(grants.inline_policies({"read": read, "write": write}))

    assert policies(0) == {}
    assert policies(50).keys() == {"read", "write"}
    with pytest.raises(RunError, match=r"policies read, write of one role .* allowed: 10240 · list fewer"):
        policies(90)


def test_the_room_kept_for_the_use_of_the_key_is_enough() -> None:
    arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-12345678-1234-1234-1234-123456789012"
    assert len(grants.use_key(arn)) <= grants._USE_KEY_CHARACTERS  # pyright: ignore[reportPrivateUsage] - the bound under test


@given(environments, st.from_regex(r"[a-z][a-z0-9]{31}", fullmatch=True))
def test_the_longest_names_that_settings_admit_fit_what_aws_accepts(environment: EnvironmentSpec, model: str) -> None:
    labels = Labels(environment)
    assert len(labels.bucket("models")) <= 63
    assert len(labels.role("flow-logs")) <= 64
    assert len(labels.package_group(model)) <= 63
    assert len(labels.model(model, 99_999)) <= 63
    assert len(labels.node_group(model, "x")) <= 63
    assert len(labels.launch_template(model)) <= 128


def test_a_name_that_is_too_long_is_refused() -> None:
    assert fitted("four", 4) == "four"
    with pytest.raises(ValueError, match=r"'fives' has 5 characters, the service allows 4; shorten"):
        fitted("fives", 4)


@given(st.lists(st.text(), min_size=1), st.integers(0), st.text(min_size=1))
def test_a_fingerprint_changes_with_every_part(parts: list[str], index: int, suffix: str) -> None:
    changed = list(parts)
    changed[index % len(parts)] += suffix
    assert fingerprint(*parts) == fingerprint(*parts)
    assert fingerprint(*parts) != fingerprint(*changed)


def test_a_fingerprint_tells_where_a_part_ends() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(["a", "b"]) != fingerprint("a", "b")


def test_the_kubeconfig_names_cluster_region_endpoint_and_authority() -> None:
    config = json.loads(exec_kubeconfig("slipway-dev", "eu-west-1", "https://api", "Q0E="))
    assert config["clusters"] == [
        {"name": "slipway-dev", "cluster": {"server": "https://api", "certificate-authority-data": "Q0E="}}
    ]
    call = config["users"][0]["user"]["exec"]
    assert [call["command"], *call["args"]] == (
        ["aws", "eks", "get-token", "--cluster-name", "slipway-dev", "--region", "eu-west-1", "--output", "json"]
    )


def test_the_creator_of_the_cluster_gets_no_access_and_nothing_else_is_touched() -> None:
    def transformed(token: str) -> object:
        props = {"name": "c", "accessConfig": {"bootstrapClusterCreatorAdminPermissions": True}}
        options = ResourceOptions(protect=True)
        args = ResourceTransformArgs(custom=True, type_=token, name="c", props=props, opts=options)
        result = no_access_for_creator(args)
        return None if result is None else (dict(result.props), result.opts is options)

    assert transformed("aws:iam/role:Role") is None
    assert transformed("aws:eks/cluster:Cluster") == (
        {
            "name": "c",
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        },
        True,
    )
