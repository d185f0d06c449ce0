"""A model whose version and target change, under the real engine: the next endpoint exists before the last one goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pytest

from components.alarm_handle import AlarmsHandle
from components.handles import EndpointsHandle, NetworkHandle, StoreHandle
from components.inference_endpoints import InferenceEndpoints, InferenceEndpointsArgs
from components.labels import Labels
from components.registry import ModelRegistry, ModelRegistryArgs
from settings.model import EnvironmentSpec, ModelSpec
from tests.support.recorded import stack_section
from tests.support.targets import model_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine import Engine

    Open = Callable[[Callable[[], None]], Engine]
    Agree = Callable[[Engine], None]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
MODEL = "aws:sagemaker/model:Model"


def program(target: str, version: int) -> Callable[[], None]:
    labels = Labels(EnvironmentSpec.model_validate_json(json.dumps(stack_section("prod", "environment"))))
    models = (ModelSpec.model_validate_json(json.dumps(model_of("flights", serving(target), version))),)

    def run() -> None:
        known = pulumi.Output.from_input
        provider = aws.Provider("aws", region="us-east-1", allowed_account_ids=["777788889999"])
        on_aws, own = pulumi.ResourceOptions(providers=[provider]), pulumi.ResourceOptions(provider=provider)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=own)
        subnet = aws.ec2.Subnet(
            "subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", availability_zone="us-east-1a", opts=own
        )
        group = aws.ec2.SecurityGroup("endpoints", description="Endpoints", vpc_id=vpc.id, opts=own)
        store = StoreHandle(
            key_arn=known("arn:aws:kms:us-east-1:777788889999:key/01234567-89ab-cdef-0123-456789abcdef"),
            data_bucket=known("data"),
            models_bucket=known("models"),
            logs_bucket=known("logs"),
            repositories={},
        )
        network = NetworkHandle(
            vpc_id=vpc.id,
            private_subnets={"us-east-1a": subnet.id},
            public_subnets={},
            private_route_tables={},
            ready=(),
        )
        endpoints = EndpointsHandle(security_group=group.id, s3_prefix_list=known("pl-63a5400a"), ready=())
        registry = ModelRegistry(
            "registry",
            ModelRegistryArgs(
                labels=labels, models=models, store=store, network=network, endpoints=endpoints, promotes_to=None
            ),
            opts=on_aws,
        )
        InferenceEndpoints(
            "inference",
            InferenceEndpointsArgs(
                labels=labels,
                models=models,
                store=store,
                registry=registry.handle,
                alarms=AlarmsHandle(actions=("arn:aws:sns:us-east-1:777788889999:alarms",)),
            ),
            opts=on_aws,
        )

    return run


def calls(engine: Engine, since: int) -> list[tuple[str, str]]:
    return [(verb, urn.rpartition("::")[2]) for verb, urn in engine.world().calls()[since:]]


def before(found: list[tuple[str, str]], first: tuple[str, str], then: tuple[str, str]) -> bool:
    return found.index(first) < found.index(then)


def test_a_version_moves_the_endpoint_and_a_switch_makes_another_before_the_last_one_goes(
    open_engine: Open, agree: Agree
) -> None:
    engine = open_engine(program("real-time", 1))
    engine.up()
    (endpoint,) = [record for record in engine.world().all() if record.type == ENDPOINT]
    done = len(engine.world().calls())

    engine = open_engine(program("real-time", 2))
    engine.up()
    moved = calls(engine, done)
    assert [verb for verb, name in moved if name == "inference-flights"] == ["update"]
    for made in ("registry-flights-approved", "inference-flights-configuration"):
        assert before(moved, ("create", made), ("update", "inference-flights"))
        assert before(moved, ("update", "inference-flights"), ("delete", made))
    (same,) = [record for record in engine.world().all() if record.type == ENDPOINT]
    assert same.id == endpoint.id
    agree(engine)

    done = len(engine.world().calls())
    engine = open_engine(program("serverless", 2))
    engine.up()
    switched = calls(engine, done)
    assert before(switched, ("create", "inference-flights"), ("delete", "inference-flights"))
    assert ("delete", "inference-flights-instances") in switched
    found: dict[str, Any] = {record.type: record for record in engine.world().all()}
    assert "-serverless-" in found[ENDPOINT].id
    assert "vpcConfig" not in found[MODEL].inputs
    assert engine.up().unchanged
    agree(engine)
    engine.destroy()
    assert engine.world().all() == []
