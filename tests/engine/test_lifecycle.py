"""The sandbox under the real engine: plan, update, change, drift, removal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pytest

from sandbox.engine import Engine, EngineError

from .small_platform import SIZE, SmallPlatform

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[[Callable[[], None]], Engine]
    Agree = Callable[[Engine], None]

pytestmark = pytest.mark.engine

PLATFORM = SmallPlatform()


def operations(outcome_steps: list[tuple[str, str]], name: str) -> set[str]:
    return {operation for operation, urn in outcome_steps if urn.endswith(f"::{name}")}


def test_a_plan_creates_nothing_and_an_update_creates_what_the_plan_said(open_engine: Open, agree: Agree) -> None:
    engine = open_engine(PLATFORM)
    planned = engine.preview()
    assert engine.world().all() == []
    done = engine.up()
    assert planned.changes == done.changes
    assert len(engine.world().all()) == SIZE
    agree(engine)


def test_a_second_update_changes_nothing_and_destroy_leaves_nothing(open_engine: Open) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    before = engine.world().calls()
    assert engine.up().unchanged
    assert engine.refresh().unchanged
    assert engine.world().calls() == before, "an update without a change called the provider"
    engine.destroy()
    assert engine.world().all() == []


def test_a_mutable_value_updates_in_place_and_an_immutable_one_replaces(open_engine: Open, agree: Agree) -> None:
    open_engine(PLATFORM).up()
    updated = open_engine(replace(PLATFORM, retention_days=60)).up()
    assert operations(updated.steps, "logs") == {"update"}
    assert updated.changes["update"] == 1
    replaced = open_engine(replace(PLATFORM, retention_days=60, third_octet=10)).up()
    assert "replace" in operations(replaced.steps, "subnet-a")
    assert "replace" in operations(replaced.steps, "nat-a"), "a gateway cannot move to another subnet"
    assert operations(replaced.steps, "vpc") == {"same"}
    agree(open_engine(PLATFORM))


def test_a_named_resource_is_deleted_before_its_replacement_is_created(open_engine: Open, agree: Agree) -> None:
    def role(path: str) -> Callable[[], None]:
        def program() -> None:
            provider = aws.Provider("aws", region="eu-west-1", allowed_account_ids=["123456789012"])
            trust = '{"Version": "2012-10-17", "Statement": []}'
            opts = pulumi.ResourceOptions(provider=provider)
            aws.iam.Role("role", name="fixed", path=path, assume_role_policy=trust, opts=opts)

        return program

    open_engine(role("/a/")).up()
    engine = open_engine(role("/b/"))
    engine.up()
    assert [verb for verb, _ in engine.world().calls()] == ["create", "delete", "create"]
    agree(engine)


def test_refresh_shows_a_change_made_behind_the_engines_back_and_the_next_update_mends_it(open_engine: Open) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    engine.world().tamper("aws:cloudwatch/logGroup:LogGroup", "/test/logs", "retentionInDays", 1)
    assert engine.refresh().changes["update"] == 1
    assert engine.up().changes["update"] == 1
    record = engine.world().get("aws:cloudwatch/logGroup:LogGroup", "/test/logs")
    assert record is not None
    assert record.outputs["retentionInDays"] == PLATFORM.retention_days


def test_a_resource_deleted_behind_the_engines_back_comes_back(open_engine: Open, agree: Agree) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    engine.world().delete("aws:s3/bucketVersioning:BucketVersioning", "test-123456789012-data")
    assert engine.refresh().changes["delete"] == 1
    assert engine.up().changes["create"] == 1
    agree(engine)


def test_secrets_are_encrypted_in_the_state(open_engine: Open) -> None:
    engine = open_engine(PLATFORM)
    engine.up()
    state = engine.state_file.read_text()
    assert PLATFORM.secret not in state
    assert str(engine.outputs()["vpc"].value) in state, "the state is readable, so the search would have found it"
    assert engine.outputs()["password"].value == PLATFORM.secret
    assert engine.outputs()["password"].secret


def test_unknown_missing_and_wrong_properties_are_refused_before_anything_is_created(open_engine: Open) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
        group: dict[str, object] = {"clusterName": "c", "nodeRoleArn": "r", "subnetIds": "s", "capacityType": "SPOTS"}
        pulumi.CustomResource("aws:eks/nodeGroup:NodeGroup", "pool", {**group, "diskSise": 20}, opts)

    engine = open_engine(program)
    with pytest.raises(EngineError) as refusal:
        engine.up()
    text = str(refusal.value)
    assert "diskSise" in text
    assert "unknown property" in text
    assert "scalingConfig" in text
    assert "missing required property" in text
    assert "subnetIds" in text
    assert "expected a list" in text
    assert "expected one of ON_DEMAND, SPOT" in text
    assert "Traceback" not in text
    assert engine.world().all() == []


def test_a_type_whose_behaviour_is_not_known_is_refused_by_name(open_engine: Open) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region="eu-west-1"))
        aws.kinesis.Stream("stream", shard_count=1, opts=opts)

    with pytest.raises(EngineError, match=r"has no row in sandbox/providers/aws_kinds: add how it behaves"):
        open_engine(program).preview()
