"""Every policy document of every environment, as an independent linter reads it.

Parliament knows the actions, resources and condition keys of the service reference. It has no mode for trust policies,
which are judged by the policy pack. What it says and is wrong about stands in `ACCEPTED` with the reason; an entry that
nothing needs any more fails the test.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import warnings
from dataclasses import dataclass
from typing import Any

import pytest

from components import iam
from tests.support.changes import record_changed
from tests.support.optional import EVERYTHING
from tests.support.recorded import STACKS, record_program

with warnings.catch_warnings():
    # The linter finds its data through an interface that setuptools is giving up, and leaves the files open.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    warnings.simplefilter("ignore", ResourceWarning)
    LINTER = importlib.import_module("parliament")

DOCUMENTS = {
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/policy:Policy": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "policy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "policy",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": "resourcePolicy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
}
"""Types that carry a policy document, and the input that is one."""
IMPLIED = {
    "aws:ecr/repositoryPolicy:RepositoryPolicy": {"Resource": "arn:aws:ecr:us-east-1:123456789012:repository/team"}
}
"""What the service reads into statements that must not say it: the linter asks every statement for a resource."""
SPECIFIC = re.compile(
    r"slipway-(local|dev|staging|prod)|\d{12}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z]{2}-[a-z]+-\d|-(data|models|logs)(?=[\"/])"
)
"""What differs between environments and between buckets, but not for the linter."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that is none."""

    issue: str
    detail: str
    """Regular expression on what the linter says."""
    reason: str


ACCEPTED = (
    Accepted(
        "MISMATCHED_TYPE",
        "s3:TlsVersion requires a value of type Numeric",
        "the linter takes whole numbers only, not 1.2",
    ),
    Accepted("UNKNOWN_CONDITION_FOR_ACTION", "s3:TlsVersion", "the deny covers actions that no TLS version applies to"),
    Accepted(
        "RESOURCE_STAR", "s3:", "the policy of an endpoint bounds whose buckets by a condition, not by their names"
    ),
    Accepted("RESOURCE_STAR", "kms:", "in a key's own policy the asterisk is that key"),
    Accepted(
        "UNKNOWN_CONDITION_FOR_ACTION",
        "kms:EncryptionContext:aws:logs:arn",
        "a context key of CloudWatch Logs; the same statement lets it describe the key, which has no context",
    ),
    Accepted("MISMATCHED_TYPE", "ArnLike requires a value of type Arn but given String", "the context holds an ARN"),
    Accepted(
        "RESOURCE_MISMATCH",
        "'ssm:GetParameter'",
        "the public parameters of AWS belong to no account: their ARN has none",
    ),
    Accepted(
        "RESOURCE_MISMATCH",
        "'ec2:(RunInstances|CreateFleet|CreateNetworkInterface|CreateSnapshot|AttachVolume)'",
        "the request names several resources, and each is allowed by a statement with conditions of its own",
    ),
    Accepted(
        "RESOURCE_MISMATCH",
        "'ec2:CreateSecurityGroup'",
        "the request names the group and its VPC, and each is allowed by a statement with conditions of its own",
    ),
    Accepted(
        "RESOURCE_MISMATCH",
        "'elasticloadbalancing:.*/net/",
        "the linter asks for every kind of load balancer; this platform has Application Load Balancers only",
    ),
    Accepted(
        "UNKNOWN_CONDITION_FOR_ACTION",
        "elasticloadbalancing:(Scheme|SecurityPolicy|CreateAction)",
        "three services have this prefix, and the linter looks the keys of the newest up in the oldest as well",
    ),
    Accepted(
        "RESOURCE_MISMATCH",
        r"'sagemaker:\w+(App|Domain|Space|UserProfile|Tags)'",
        "the linter takes the colon of the variable ${sagemaker:DomainId} for the end of the ARN's region or account",
    ),
    Accepted(
        "UNKNOWN_ACTION", "ecr:DescribeImageSigningStatus", "newer than the linter's copy of the service reference"
    ),
    Accepted("UNKNOWN_ACTION", "sagemaker:CallMlflowAppApi", "newer than the linter's copy of the service reference"),
    Accepted("RESOURCE_MISMATCH", "'logs:DescribeLogGroups'", "the service reference has a log group for it by now"),
)


@functools.cache
def statements() -> dict[str, tuple[str, str]]:
    """One statement of each shape, as a document of its own: shape → where it is from, and the document."""
    found: dict[str, tuple[str, str]] = {}
    recordings = [record_program(stack) for stack in STACKS]
    for recorded in (*recordings, record_changed(EVERYTHING)):
        for item in recorded.resources:
            document = item.inputs.get(DOCUMENTS.get(item.type, ""))
            for statement in json.loads(document)["Statement"] if document else ():
                text = json.dumps({"Version": "2012-10-17", "Statement": [{**IMPLIED.get(item.type, {}), **statement}]})
                found.setdefault(SPECIFIC.sub("x", text), (f"{recorded.stack}: {item.name}", text))
    return found


@functools.cache
def findings(document: str) -> tuple[tuple[str, str], ...]:
    """What the linter says of a document, as issue and detail."""
    raised: list[Any] = LINTER.analyze_policy_string(document).findings
    return tuple((finding.issue, str(finding.detail)) for finding in raised)


def accepted(issue: str, detail: str) -> Accepted | None:
    return next((entry for entry in ACCEPTED if entry.issue == issue and re.search(entry.detail, detail)), None)


def test_the_linter_finds_nothing_in_any_policy_of_any_environment() -> None:
    read = list(statements().values())
    assert len(read) >= 40
    found = [
        f"{name}: {issue} {detail}"
        for name, document in read
        for issue, detail in findings(document)
        if accepted(issue, detail) is None
    ]
    assert found == []


def test_every_accepted_finding_is_still_there() -> None:
    needed = {accepted(issue, detail) for _, document in statements().values() for issue, detail in findings(document)}
    assert [entry for entry in ACCEPTED if entry not in needed] == []


@pytest.mark.parametrize(
    ("action", "resource", "issue"),
    [
        ("s3:GetObjects", "arn:aws:s3:::bucket/key", "UNKNOWN_ACTION"),
        ("s3:GetObject", "arn:aws:s3:::bucket", "RESOURCE_MISMATCH"),
        ("s3:GetObject", "bucket/key", "INVALID_ARN"),
    ],
)
def test_the_linter_would_see_a_wrong_action_or_resource(action: str, resource: str, issue: str) -> None:
    document = iam.document({"Effect": "Allow", "Action": action, "Resource": resource})
    assert issue in {found for found, _ in findings(document)}
    assert all(accepted(*found) is None for found in findings(document))


@pytest.mark.parametrize("stack", STACKS)
def test_the_policies_of_a_role_fit_into_what_iam_accepts(stack: str) -> None:
    inline: dict[str, int] = {}
    for policy in record_program(stack).of_type("aws:iam/rolePolicy:RolePolicy"):
        # IAM counts no white space.
        size = len("".join(policy.inputs["policy"].split()))
        inline[policy.inputs["role"]] = inline.get(policy.inputs["role"], 0) + size
    assert inline
    assert {role: size for role, size in inline.items() if size > iam.MAX_ROLE_POLICY} == {}
    for role in record_program(stack).of_type("aws:iam/role:Role"):
        assert len(role.inputs["assumeRolePolicy"]) <= iam.MAX_TRUST_POLICY
        json.loads(role.inputs["assumeRolePolicy"])
