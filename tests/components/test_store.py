"""Key, buckets and repositories as they are registered."""

from __future__ import annotations

import json

import pytest

from tests.support.recorded import STACKS, Recorded, record_program, stack_section

SIDES = {
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
}


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def encryption(recorded: Recorded, kind: str) -> dict[str, object]:
    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"  # noqa: S105 - a type token
    return recorded.one(token, f"store-{kind}-encryption").inputs["rules"][0]


def test_the_three_buckets_have_every_side_resource(stack: str) -> None:
    recorded = record_program(stack)
    buckets = {bucket.inputs["bucket"] for bucket in recorded.of_type("aws:s3/bucket:Bucket")}
    account, region = recorded.exports["accountId"], recorded.exports["region"]
    assert buckets == {f"slipway-{stack}-{account}-{region}-{kind}" for kind in ("data", "models", "logs")}
    for token in SIDES:
        assert {side.inputs["bucket"] for side in recorded.of_type(token)} == buckets, token


def test_no_bucket_can_become_public(stack: str) -> None:
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    for block in record_program(stack).of_type("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"):
        assert [block.inputs[flag] for flag in flags] == [True] * 4
    for ownership in record_program(stack).of_type("aws:s3/bucketOwnershipControls:BucketOwnershipControls"):
        assert ownership.inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_data_and_models_are_encrypted_with_the_key_of_the_environment(stack: str) -> None:
    recorded = record_program(stack)
    key = recorded.exports["keyArn"]
    for kind in ("data", "models"):
        assert encryption(recorded, kind) == {
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key},
            "bucketKeyEnabled": True,
        }


def test_access_logs_are_encrypted_by_s3_because_s3_delivers_to_nothing_else(stack: str) -> None:
    recorded = record_program(stack)
    assert encryption(recorded, "logs")["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    assert recorded.one("aws:s3/bucket:Bucket", "store-logs-bucket").tags["Purpose"] == "logs"


def test_every_bucket_refuses_plain_text_and_old_tls(stack: str) -> None:
    for policy in record_program(stack).of_type("aws:s3/bucketPolicy:BucketPolicy"):
        arn = f"arn:aws:s3:::{policy.inputs['bucket']}"
        denials = [item for item in policy.policy()["Statement"] if item["Effect"] == "Deny"]
        assert [item["Condition"] for item in denials] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        ]
        assert all(item["Principal"] == {"AWS": "*"} and item["Resource"] == [arn, f"{arn}/*"] for item in denials)


def test_only_s3_for_our_buckets_and_elastic_load_balancing_may_write_access_logs(stack: str) -> None:
    recorded = record_program(stack)
    allowed = [
        (policy.name, item)
        for policy in recorded.of_type("aws:s3/bucketPolicy:BucketPolicy")
        for item in policy.policy()["Statement"]
        if item["Effect"] == "Allow"
    ]
    (name, statement), (balanced_name, balanced) = [found for found in allowed if found[0] == "store-logs-policy"]
    assert all(item["Action"] == "s3:GetObject" for other, item in allowed if other != name)
    assert name == balanced_name
    assert balanced["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert balanced["Action"] == "s3:PutObject"
    assert balanced["Resource"].endswith(f"-logs/load-balancers/AWSLogs/{recorded.exports['accountId']}/*")
    assert statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": recorded.exports["accountId"]}
    sources = [f"arn:aws:s3:::{recorded.exports[bucket]}" for bucket in ("dataBucket", "modelsBucket")]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": sources}
    logged = {item.inputs["bucket"]: item.inputs for item in recorded.of_type("aws:s3/bucketLogging:BucketLogging")}
    assert set(logged) == {recorded.exports["dataBucket"], recorded.exports["modelsBucket"]}
    target = {item["targetBucket"] for item in logged.values()}
    assert [f"arn:aws:s3:::{target.copy().pop()}/{bucket}/*" for bucket in logged] == statement["Resource"]


def test_versions_are_kept_and_old_ones_and_unfinished_uploads_are_not_kept_for_ever(stack: str) -> None:
    recorded, settings = record_program(stack), stack_section(stack, "store")
    for versioning in recorded.of_type("aws:s3/bucketVersioning:BucketVersioning"):
        assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
    for lifecycle in recorded.of_type("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"):
        rule, *expiring = lifecycle.inputs["rules"]
        assert bool(expiring) is ("-models-" in lifecycle.name)
        assert rule["status"] == "Enabled"
        assert rule["noncurrentVersionExpiration"]["noncurrentDays"] == settings["noncurrentVersionDays"]
        assert rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"] > 0
        expires = rule.get("expiration", {}).get("days")
        assert expires == (settings["accessLogDays"] if "-logs-" in lifecycle.name else None)


def test_what_no_version_needs_expires_and_what_serves_one_never_does(stack: str) -> None:
    recorded = record_program(stack)
    (model,) = stack_section(stack, "models")
    days = {
        rule["filter"]["and"]["prefix"]: rule["expiration"]["days"]
        for lifecycle in recorded.of_type("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
        if "-models-" in lifecycle.name
        for rule in lifecycle.inputs["rules"][1:]
    }
    passing = {f"flight-delay/{each}/" for each in ("data", "checkpoints", "rows", "answers", "failures", "batches")}
    assert {prefix for prefix, kept in days.items() if kept == model["pipeline"]["keepDays"]} >= passing
    assert {*days} <= passing | {"flight-delay/captures/", "flight-delay/truth/"}
    for kept in ("jobs", "promoted", "champion", "reports", "drift", "proofs", "erasures", "sources"):
        assert not [prefix for prefix in days if f"flight-delay/{kept}/x".startswith(prefix)]


def test_new_data_is_announced_to_event_bridge(stack: str) -> None:
    recorded = record_program(stack)
    notification = recorded.one("aws:s3/bucketNotification:BucketNotification")
    assert notification.inputs == {"bucket": recorded.exports["dataBucket"], "eventbridge": True}


def test_the_key_rotates_and_waits_before_it_is_gone(stack: str) -> None:
    recorded = record_program(stack)
    key = recorded.one("aws:kms/key:Key")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == stack_section(stack, "store")["keyDeletionDays"]
    assert recorded.one("aws:kms/alias:Alias").inputs["name"] == f"alias/slipway-{stack}"


def test_the_key_lets_logs_encrypt_exactly_the_log_groups_of_the_environment(stack: str) -> None:
    recorded = record_program(stack)
    by_sid = {item["Sid"]: item for item in recorded.one("aws:kms/key:Key").policy()["Statement"]}
    patterns = by_sid["EncryptLogGroups"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    groups = recorded.of_type("aws:cloudwatch/logGroup:LogGroup")
    assert {"cluster-logs", "network-flow-logs"} <= {group.name for group in groups}
    for group in groups:
        place = f"{recorded.exports['region']}:{recorded.exports['accountId']}"
        arn = f"arn:aws:logs:{place}:log-group:{group.inputs['name']}"
        assert [pattern for pattern in patterns if arn.startswith(pattern.removesuffix("*"))], arn
    assert all(f"slipway-{stack}" in pattern or f"/slipway/{stack}/" in pattern for pattern in patterns)


def test_images_are_immutable_scanned_encrypted_and_tagged_ones_never_expire(stack: str) -> None:
    recorded = record_program(stack)
    for repository in recorded.of_type("aws:ecr/repository:Repository"):
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": recorded.exports["keyArn"]}
        ]
    for lifecycle in recorded.of_type("aws:ecr/lifecyclePolicy:LifecyclePolicy"):
        selections = [rule["selection"] for rule in json.loads(lifecycle.inputs["policy"])["rules"]]
        assert [selection["tagStatus"] for selection in selections] == ["untagged"]
        assert selections[0]["countNumber"] == stack_section(stack, "store")["untaggedImageDays"]


def test_destroying_deletes_objects_and_images_only_where_settings_say_so(stack: str) -> None:
    recorded, expected = record_program(stack), stack_section(stack, "store")["forceDestroy"]
    assert {item.inputs["forceDestroy"] for item in recorded.of_type("aws:s3/bucket:Bucket")} == {expected}
    assert {item.inputs["forceDelete"] for item in recorded.of_type("aws:ecr/repository:Repository")} == {expected}
    assert not (stack == "prod" and expected)
