"""The table of actions that accept no resource, against what the reference says about well-known ones."""

import importlib
import warnings
from typing import Any

import pytest

from guardrails.iam_actions import accepts_resource, without_resource
from guardrails.identity_policies import unscoped

with warnings.catch_warnings():
    # The linter finds its data through an interface that setuptools is giving up, and leaves the files open.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    warnings.simplefilter("ignore", ResourceWarning)
    LINTER = importlib.import_module("parliament")

NAMED_SINCE = {
    "bedrock": "CreateGuardrail InvokeBlueprintRecommendationAsync",
    "config": "PutConfigurationRecorder",
    "ec2": (
        "AcceptReservedInstancesExchangeQuote CreateSubnetCidrReservation DeleteQueuedReservedInstances "
        "GetAssociatedIpv6PoolCidrs GetReservedInstancesExchangeQuote"
    ),
    "ecr": "BatchImportUpstreamImage",
    "ecs": "CreateCapacityProvider CreateTaskSet",
    "glue": "DescribeConnectionType TestConnection",
    "redshift": "DescribeClusters ModifyClusterMaintenance",
    "servicediscovery": (
        "DiscoverInstances DiscoverInstancesRevision GetInstance GetInstancesHealthStatus GetOperation "
        "ListInstances UpdateInstanceCustomHealthStatus"
    ),
    "servicequotas": (
        "GetServiceQuota GetServiceQuotaIncreaseRequestFromTemplate ListRequestedServiceQuotaChangeHistoryByQuota"
    ),
}
"""Actions of which the linter's data, which are older, know no resource, and the reference of November 2026 does."""

UNNAMED_SINCE = {
    "cloudfront": (
        "CreateAnycastIpList CreateCachePolicy CreateCloudFrontOriginAccessIdentity "
        "CreateContinuousDeploymentPolicy CreateDistribution CreateFunction CreateKeyValueStore "
        "CreateOriginRequestPolicy CreateRealtimeLogConfig CreateResponseHeadersPolicy "
        "CreateStreamingDistribution CreateStreamingDistributionWithTags"
    ),
    "ec2": "DescribeCapacityBlockExtensionHistory DescribeClientVpnEndpoints DescribeVpcEndpointAssociations",
    "iam": "ListInstanceProfiles",
}
"""The other way about: what CloudFront makes has no name before it is made, and the others list or describe."""

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


def test_the_linter_s_data_say_the_same_of_every_action_but_those_that_changed_since() -> None:
    table, compared = without_resource(), 0
    named: set[str] = set()
    unnamed: set[str] = set()
    services: list[dict[str, Any]] = LINTER.iam_definition
    for service in services:
        prefix = service["prefix"]
        for action in service["privileges"] if prefix in table else ():
            compared += 1
            name = f"{prefix}:{action['privilege']}"
            has = any(each["resource_type"] for each in action["resource_types"])
            if not has and accepts_resource(name):
                named.add(name)
            elif has and not accepts_resource(name):
                unnamed.add(name)
    assert compared > 5000
    assert named == {f"{service}:{name}" for service, names in NAMED_SINCE.items() for name in names.split()}
    assert unnamed == {f"{service}:{name}" for service, names in UNNAMED_SINCE.items() for name in names.split()}
