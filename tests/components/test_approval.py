"""Who may read, bring and approve versions of models: of the roles around the registry, and across accounts."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from tests.support.iam_evaluator import holds, inline_policies, like, listed, may
from tests.support.recorded import ROOT, STACKS, record_program, stack_section

if TYPE_CHECKING:
    from tests.support.recorded import Recorded

ACCOUNTS = {"local": "123456789012", "dev": "111122223333", "staging": "444455556666", "prod": "777788889999"}
CHAIN = [("dev", "staging"), ("staging", "prod")]


def package(stack: str, version: str = "3") -> str:
    return f"arn:aws:sagemaker:us-east-1:{ACCOUNTS[stack]}:model-package/slipway-{stack}-flight-delay/{version}"


def group(stack: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{ACCOUNTS[stack]}:model-package-group/slipway-{stack}-flight-delay"


def artefact(stack: str, key: str = "flight-delay/jobs/j/output/model.tar.gz") -> str:
    return f"arn:aws:s3:::slipway-{stack}-{ACCOUNTS[stack]}-us-east-1-models/{key}"


def repository(stack: str) -> str:
    return f"arn:aws:ecr:us-east-1:{ACCOUNTS[stack]}:repository/slipway-{stack}/flight-delay"


def status(value: str) -> dict[str, str]:
    return {"sagemaker:ModelApprovalStatus": value}


PROMOTED = "flight-delay/promoted/3/model.tar.gz"
KEY = {"kms:ViaService": "s3.us-east-1.amazonaws.com"}
STAGINGS_KEY = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"

CALLS: list[tuple[str, str, str, dict[str, str], bool]] = [
    ("approval", "sagemaker:UpdateModelPackage", package("prod"), status("Approved"), True),
    ("approval", "sagemaker:UpdateModelPackage", package("prod"), status("Rejected"), True),
    ("approval", "sagemaker:UpdateModelPackage", package("prod"), status("PendingManualApproval"), False),
    ("approval", "sagemaker:UpdateModelPackage", package("prod"), {}, False),
    ("approval", "sagemaker:UpdateModelPackage", package("staging"), status("Approved"), False),
    ("approval", "sagemaker:CreateModelPackage", group("prod"), status("Approved"), False),
    ("approval", "sagemaker:DeleteModelPackage", package("prod"), {}, False),
    ("approval", "s3:GetObject", artefact("prod", "flight-delay/reports/j/evaluation.json"), {}, True),
    ("approval", "s3:GetObject", artefact("prod"), {}, False),
    ("promotion", "sagemaker:DescribeModelPackage", package("staging"), {}, True),
    ("promotion", "sagemaker:ListModelPackages", group("staging"), {}, True),
    ("promotion", "sagemaker:DescribeModelPackage", package("dev"), {}, False),
    ("promotion", "s3:GetObject", artefact("staging"), {}, True),
    ("promotion", "s3:GetObject", artefact("staging", PROMOTED), {}, True),
    ("promotion", "s3:GetObject", artefact("staging", "flight-delay/data/v/train/a.csv"), {}, False),
    ("promotion", "kms:Decrypt", STAGINGS_KEY, KEY, True),
    ("promotion", "kms:Decrypt", STAGINGS_KEY, {}, False),
    ("promotion", "kms:Decrypt", STAGINGS_KEY.replace("1234abcd", "00000000"), KEY, False),
    ("promotion", "ecr:BatchGetImage", repository("staging"), {}, True),
    ("promotion", "ecr:PutImage", repository("staging"), {}, False),
    ("promotion", "ecr:PutImage", repository("prod"), {}, True),
    ("promotion", "s3:PutObject", artefact("prod", PROMOTED), {}, True),
    ("promotion", "s3:PutObject", artefact("prod"), {}, False),
    ("promotion", "s3:PutObject", artefact("staging", PROMOTED), {}, False),
    ("promotion", "sagemaker:CreateModelPackage", group("prod"), status("PendingManualApproval"), True),
    ("promotion", "sagemaker:CreateModelPackage", package("prod"), status("Approved"), False),
    ("promotion", "sagemaker:UpdateModelPackage", package("prod"), status("Approved"), False),
]

ACTIONS = {
    "approval": {
        *("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage"),
        *("s3:GetObject", "s3:ListBucket", "kms:Decrypt"),
    },
    "promotion": {
        *("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages", "sagemaker:CreateModelPackage"),
        *("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "kms:Decrypt", "kms:GenerateDataKey"),
        *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"),
        *("ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"),
        *("ecr:CompleteLayerUpload", "ecr:PutImage"),
    },
}


@pytest.mark.parametrize(("role", "action", "resource", "context", "allowed"), CALLS)
def test_one_role_brings_versions_and_another_approves_them(
    role: str, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    assert may(record_program("prod"), f"slipway-prod-{role}", action, resource, context) is allowed


def commands() -> list[list[str]]:
    """Calls that the documentation has an approver type, those inside others among them, as their words."""
    section = (ROOT / "docs" / "registry.md").read_text().split("## Approving a version")[1].split("\n## ")[0]
    text = section.replace("\\\n", " ").replace('"$PACKAGE"', package("prod"))
    return [shlex.split(call) for call in re.findall(r"\baws ((?:sts|sagemaker) [^)\n]+)", text)]


def test_what_an_approver_is_told_to_type_is_known_to_aws_and_allowed_to_the_role() -> None:
    prod, session, seen = record_program("prod"), get_session(), list[str]()
    for service, operation, *words in commands():
        action = "".join(map(str.title, operation.split("-")))
        given = dict(zip(words[::2], words[1::2], strict=True))
        named = {"".join(map(str.title, word[2:].split("-"))) for word in given} - {"Query", "Output"}
        shape = session.get_service_model(service).operation_model(action).input_shape
        assert shape is not None
        assert set(shape.required_members) <= named <= shape.members.keys()
        if service == "sts":
            assert given["--role-arn"] in {f"arn:aws:iam::{ACCOUNTS['prod']}:role/{name}" for name in roles_of("prod")}
            continue
        resource = given.get("--model-package-arn") or given.get("--model-package-name") or group("prod")
        context = status(given.get("--model-approval-status", ""))
        assert may(prod, "slipway-prod-approval", f"sagemaker:{action}", resource, context), operation
        seen.append(given.get("--model-approval-status", operation))
    assert {"Approved", "Rejected", "PendingManualApproval", "describe-model-package"} <= set(seen)


@pytest.mark.parametrize("role", ACTIONS)
def test_a_role_around_the_registry_makes_these_calls_and_no_other(role: str) -> None:
    documents = inline_policies(record_program("prod"), f"slipway-prod-{role}")
    found = {action for each in documents for item in each["Statement"] for action in listed(item["Action"])}
    assert found == ACTIONS[role]


def test_below_prod_nobody_approves_and_nothing_comes_to_where_it_is_made() -> None:
    roles = {stack: roles_of(stack) for stack in STACKS}
    assert {stack for stack in STACKS if f"slipway-{stack}-approval" in roles[stack]} == {"prod"}
    assert {stack for stack in STACKS if f"slipway-{stack}-promotion" in roles[stack]} == {"staging", "prod"}


def roles_of(stack: str) -> set[str]:
    return {item.inputs["name"] for item in record_program(stack).of_type("aws:iam/role:Role")}


def test_each_environment_names_the_one_that_names_it() -> None:
    sections = {stack: stack_section(stack, "registry") for stack in STACKS}
    for origin, target in CHAIN:
        assert sections[origin]["promotesTo"] == place(target)
        assert sections[target]["promotesFrom"].items() >= place(origin).items()
    assert sections["prod"]["promotesTo"] is sections["dev"]["promotesFrom"] is None


def place(stack: str) -> dict[str, str]:
    return {"environment": stack, "accountId": ACCOUNTS[stack], "region": "us-east-1"}


READABLE = {
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": (
        "resourcePolicy",
        {"sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"},
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": (
        "policy",
        {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy", {"s3:GetObject"}),
    "aws:kms/key:Key": ("policy", {"kms:Decrypt"}),
}


def foreign(recorded: Recorded, token: str, document: str, role: str) -> list[dict[str, Any]]:
    """Statements of resource policies that allow something to a role of another account."""
    context = {"aws:PrincipalArn": role, **KEY}
    return [
        statement
        for resource in recorded.of_type(token)
        for statement in json.loads(resource.inputs[document])["Statement"]
        if statement["Effect"] == "Allow"
        and any(
            principal == "*" or like(role.split(":")[4], principal.split(":")[4]) for principal in principals(statement)
        )
        and holds(statement.get("Condition", {}), context)
    ]


def principals(statement: dict[str, Any]) -> list[str]:
    return listed(statement["Principal"].get("AWS", []))


@pytest.mark.parametrize(("origin", "target"), CHAIN)
@pytest.mark.parametrize("token", READABLE)
def test_the_next_environments_promotion_role_reads_what_it_needs_and_nobody_else_does(
    origin: str, target: str, token: str
) -> None:
    recorded, (document, actions) = record_program(origin), READABLE[token]
    role = f"arn:aws:iam::{ACCOUNTS[target]}:role/slipway-{target}-promotion"
    allowed = foreign(recorded, token, document, role)
    assert {action for statement in allowed for action in listed(statement["Action"])} == actions
    for stranger in (role.replace("promotion", "approval"), role.replace(ACCOUNTS[target], "999999999999")):
        assert foreign(recorded, token, document, stranger) == []


def test_nobody_outside_reads_the_last_environment() -> None:
    recorded = record_program("prod")
    with pytest.raises(LookupError):
        recorded.of_type("aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy")
    own = f"{ACCOUNTS['prod']}:"
    for token in ("aws:s3/bucketPolicy:BucketPolicy", "aws:kms/key:Key"):
        for resource in recorded.of_type(token):
            for statement in json.loads(resource.inputs["policy"])["Statement"]:
                assert all(each == "*" or own in each for each in principals(statement))
