"""The table of AWS resource types, held against the SDK, botocore and the program's own resources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import botocore.session
import pytest
from botocore.model import StructureShape

from sandbox.chaos import Chaos
from sandbox.providers.aws import AwsBackend
from sandbox.providers.aws_kinds import KINDS
from sandbox.providers.aws_kinds.shared import PEERING
from sandbox.providers.kinds import Birth, Place
from sandbox.providers.plugin import ProviderError
from sandbox.providers.resources import changed_paths, is_immutable
from sandbox.schema import resource_schema
from sandbox.wire import UNKNOWN, Properties
from sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

PLACE = Place("aws", "123456789012", "eu-west-1")


def birth(inputs: Properties, number: int = 1) -> Birth:
    return Birth("urn:pulumi:s::p::t::n", inputs, PLACE, number)


@pytest.mark.parametrize("token", sorted(KINDS))
def test_a_row_names_only_inputs_that_the_sdk_has(token: str) -> None:
    kind, inputs = KINDS[token], resource_schema(token).inputs
    named = {name.split(".")[0] for name in kind.immutable} | set(kind.needs)
    named |= {kind.autoname} if kind.autoname else set()
    assert named <= set(inputs), named - set(inputs)


@pytest.mark.parametrize("token", sorted(KINDS))
def test_a_row_answers_only_outputs_that_the_sdk_has(token: str) -> None:
    schema, kind = resource_schema(token), KINDS[token]
    inputs: Properties = dict.fromkeys(schema.inputs, "x")
    computed = kind.compute(birth(inputs), kind.identify(birth(inputs)))
    assert set(computed) <= set(schema.outputs), set(computed) - set(schema.outputs)


@pytest.mark.parametrize("token", sorted(token for token, kind in KINDS.items() if kind.api))
def test_a_row_names_an_operation_that_aws_has(token: str) -> None:
    service, operation, inside = KINDS[token].api or ("", "", "")
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    assert not inside or inside in shape.members


def test_ids_and_arns_have_the_shape_that_aws_documents() -> None:
    vpc = birth({"cidrBlock": "10.0.0.0/16"})
    id_ = KINDS["aws:ec2/vpc:Vpc"].identify(vpc)
    assert re.fullmatch(r"vpc-0[0-9a-f]{16}", id_)
    assert KINDS["aws:ec2/vpc:Vpc"].compute(vpc, id_)["arn"] == f"arn:aws:ec2:eu-west-1:123456789012:vpc/{id_}"
    cluster = birth({"name": "plat"})
    outputs = KINDS["aws:eks/cluster:Cluster"].compute(cluster, "plat")
    assert outputs["arn"] == "arn:aws:eks:eu-west-1:123456789012:cluster/plat"
    assert re.fullmatch(r"https://[0-9A-F]{32}\.gr7\.eu-west-1\.eks\.amazonaws\.com", str(outputs["endpoint"]))
    repository = KINDS["aws:ecr/repository:Repository"].compute(birth({"name": "a/b"}), "a/b")
    assert repository["repositoryUrl"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b"


def test_a_queue_is_called_by_its_url_and_a_rule_of_the_default_bus_by_its_name() -> None:
    queue, rule = KINDS["aws:sqs/queue:Queue"], KINDS["aws:cloudwatch/eventRule:EventRule"]
    url = queue.identify(birth({"name": "events"}))
    assert url == "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
    assert queue.compute(birth({"name": "events"}), url) == {
        "arn": "arn:aws:sqs:eu-west-1:123456789012:events",
        "url": url,
    }
    for inputs, id_ in (({"name": "r"}, "r"), ({"name": "r", "eventBusName": "own"}, "own/r")):
        event: Properties = {**inputs}
        assert rule.identify(birth(event)) == id_
        assert rule.compute(birth(event), id_) == {"arn": f"arn:aws:events:eu-west-1:123456789012:rule/{id_}"}


def test_a_target_that_the_program_does_not_name_gets_an_id_of_its_own() -> None:
    target = KINDS["aws:cloudwatch/eventTarget:EventTarget"]
    named, nameless = birth({"rule": "r", "targetId": "t"}), birth({"rule": "r"})
    assert target.identify(named) == "r-t"
    made = target.compute(nameless, "")["targetId"]
    assert re.fullmatch(r"terraform-[0-9a-f]{26}", str(made))
    assert target.identify(nameless) == f"r-{made}"


def test_a_route_stands_in_a_table_that_exists_unless_it_leads_back_through_a_peering(tmp_path: Path) -> None:
    world = World(tmp_path / "world.db")
    backend = AwsBackend("0", world, Chaos())
    connection, _ = backend.create(f"urn:pulumi:s::p::{PEERING}::there", {"peerVpcId": "vpc-1", "autoAccept": True})
    route: Properties = {"routeTableId": "rtb-1", "destinationCidrBlock": "10.0.0.0/16"}
    urn = "urn:pulumi:s::p::aws:ec2/route:Route::back"
    for inputs in (route, {**route, "vpcPeeringConnectionId": "pcx-1"}):
        with pytest.raises(ProviderError, match="NotFound"):
            backend.create(urn, inputs)
    backend.create(urn, {**route, "vpcPeeringConnectionId": connection})
    with pytest.raises(ProviderError, match=f"DependencyViolation: {PEERING}"):
        backend.delete(f"urn:pulumi:s::p::{PEERING}::there", connection)
    world.close()


@pytest.mark.parametrize(("accepted", "status"), [(True, "active"), (False, "pending-acceptance")])
def test_a_peering_is_active_only_when_it_is_accepted(*, accepted: bool, status: str) -> None:
    assert KINDS[PEERING].compute(birth({"autoAccept": accepted}), "pcx-1")["acceptStatus"] == status


def test_ids_are_the_same_in_every_run_and_never_come_back() -> None:
    identify = KINDS["aws:ec2/subnet:Subnet"].identify
    assert identify(birth({})) == identify(birth({}))
    assert identify(birth({})) != identify(birth({}, number=2))


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": None}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({}, {"a": {"b": 1}}, ["a"]),
        ({"a": UNKNOWN}, {"a": UNKNOWN}, ["a"]),
    ],
)
def test_a_difference_is_named_by_its_path(old: Properties, new: Properties, paths: list[str]) -> None:
    assert list(changed_paths(old, new, "")) == paths


@pytest.mark.parametrize(
    ("path", "replaces"),
    [
        ("vpcId", True),
        ("launchTemplate.id", True),
        ("launchTemplate", True),
        ("launchTemplate.version", False),
        ("subnetIds[2]", True),
        ("vpcIdent", False),
    ],
)
def test_a_change_below_or_above_an_immutable_input_replaces(path: str, *, replaces: bool) -> None:
    assert is_immutable(path, frozenset({"vpcId", "launchTemplate.id", "subnetIds"})) is replaces
