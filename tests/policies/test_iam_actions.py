"""The table of actions that accept no resource, against what the reference says about well-known ones."""

import pytest

from guardrails.iam_actions import accepts_resource, without_resource
from guardrails.identity_policies import unscoped

BARE = ("ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "sts:GetCallerIdentity", "PRICING:getproducts")
SCOPED = (
    "s3:GetObject",
    "sqs:SendMessage",
    "kms:Decrypt",
    "ec2:CreateFleet",
    "iam:PassRole",
)


@pytest.mark.parametrize("action", BARE)
def test_actions_that_can_only_be_granted_on_everything(action: str) -> None:
    assert accepts_resource(action) is False


@pytest.mark.parametrize("action", [*SCOPED, "ec2:Create*", "*"])
def test_actions_that_can_be_granted_on_less(action: str) -> None:
    assert accepts_resource(action) is True


def test_a_service_outside_the_table_is_not_judged() -> None:
    assert accepts_resource("no-such-service:Get") is None


def test_the_table_holds_the_services_of_the_platform() -> None:
    services = {"s3", "ec2", "ecr", "logs", "cloudwatch", "pricing", "sqs", "eks", "sagemaker", "iam", "kms", "lambda"}
    assert services <= set(without_resource())
    assert len(without_resource()["pricing"]) == 5
    assert sum(name.startswith("list") for name in without_resource()["sagemaker"]) > 50


@pytest.mark.parametrize(
    "arn",
    ["*", "arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:ec2:*:*:volume/*", "arn:aws:sqs:*:????????????:*", "arn:*"],
)
def test_patterns_that_leave_account_and_name_open(arn: str) -> None:
    assert unscoped(arn)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::slipway-*",
        "arn:aws:s3:::slipway/*",
        "arn:aws:ec2:*:111122223333:volume/*",
        "arn:aws:ec2:eu-west-1::image/*",
        "arn:aws:iam::aws:policy/*",
        "arn:aws:iam::*:role/slipway-*",
    ],
)
def test_patterns_that_name_an_account_or_a_thing(arn: str) -> None:
    assert not unscoped(arn)
