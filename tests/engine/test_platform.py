"""The platform itself on the real engine with the real policy pack, from its real stack files."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from sandbox.chain import report, schedule, steps
from sandbox.engine import ROOT, Engine, Outcome, PolicyPack

from .small_platform import SmallPlatform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]

CLUSTER = "aws:eks/cluster:Cluster"
STACK_FILE = ROOT / "Pulumi.local.yaml"


def pack(stack: str) -> PolicyPack:
    return PolicyPack(ROOT / "policies", ROOT / "policies" / "config" / f"{stack}.json")


def touched(outcome: Outcome) -> dict[str, set[str]]:
    """Operation → logical names, of every resource that does not stay as it is."""
    names: dict[str, set[str]] = defaultdict(set)
    for operation, urn in outcome.steps:
        if operation != "same":
            names[operation].add(urn.rsplit("::", 1)[-1])
    return names


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Outcome]]:
    """Environment `local`, brought up once for this module and destroyed at its end."""
    engine = Engine(tmp_path_factory.mktemp("local") / "sandbox", "local")
    outcome = engine.up(pack("local"))
    yield engine, outcome
    engine.destroy()
    assert engine.world().all() == [], "destroy left something behind"


def with_change(engine: Engine, tmp_path: Path, old: str, new: str) -> Engine:
    """Opens the same sandbox with one value of the stack file changed."""
    text = STACK_FILE.read_text()
    assert text.count(old) == 1
    changed = tmp_path / "Pulumi.changed.yaml"
    changed.write_text(text.replace(old, new))
    return Engine(engine.folder, "local", stack_file=changed)


def test_the_whole_platform_comes_up_without_a_violation(deployed: tuple[Engine, Outcome]) -> None:
    engine, outcome = deployed
    assert outcome.mandatory == []
    assert set(outcome.changes) == {"create"}
    types = {record.type for record in engine.world().all()}
    assert {"aws:ec2/vpc:Vpc", CLUSTER, "aws:eks/nodeGroup:NodeGroup", "kubernetes:core/v1:Namespace"} <= types


def test_a_second_update_changes_nothing(deployed: tuple[Engine, Outcome]) -> None:
    engine, _ = deployed
    calls = engine.world().calls()
    again = Engine(engine.folder, "local").up(pack("local"))
    assert again.unchanged, touched(again)
    assert engine.world().calls() == calls


def test_the_cluster_has_the_children_of_the_real_component(deployed: tuple[Engine, Outcome]) -> None:
    engine, _ = deployed
    resources = engine.export().resources
    component = next(r["urn"] for r in resources if r["type"] == "eks:index:Cluster")
    name = component.rsplit("::", 1)[-1]
    names = [r["urn"].rsplit("::", 1)[-1] for r in resources if r.get("parent") == component]
    children = {child.removeprefix(f"{name}-") for child in names}
    assert {"eksRole", "eksCluster", "eks-k8s"} <= children
    assert not {"kube-proxy", "vpc-cni", "coredns", "instanceRole"} & children, "add-ons and nodes are our own"


def test_the_creator_gets_no_cluster_administration(deployed: tuple[Engine, Outcome]) -> None:
    engine, _ = deployed
    (cluster,) = engine.world().of_type(CLUSTER)
    access = cluster.inputs["accessConfig"]
    assert isinstance(access, dict)
    assert access["bootstrapClusterCreatorAdminPermissions"] is False
    assert access["authenticationMode"] == "API"


def test_the_kubeconfig_is_a_secret_without_a_token(deployed: tuple[Engine, Outcome]) -> None:
    engine, _ = deployed
    output = engine.outputs()["kubeconfig"]
    assert output.secret
    user = json.loads(output.value)["users"][0]["user"]
    assert set(user) == {"exec"}
    stack = next(r for r in engine.export().resources if r["type"] == "pulumi:pulumi:Stack")
    assert "ciphertext" in stack["outputs"]["kubeconfig"]


def test_the_outputs_name_what_exists(deployed: tuple[Engine, Outcome]) -> None:
    engine, _ = deployed
    outputs = {name: output.value for name, output in engine.outputs().items()}
    world = engine.world()
    assert world.get("aws:s3/bucket:Bucket", outputs["dataBucket"])
    assert world.get("aws:s3/bucket:Bucket", outputs["modelsBucket"])
    (cluster,) = world.of_type(CLUSTER)
    assert (outputs["clusterName"], outputs["clusterEndpoint"]) == (cluster.id, cluster.outputs["endpoint"])
    roles = [record.outputs["arn"] for record in world.of_type("aws:iam/role:Role")]
    assert set(outputs["modelRoleArns"]["flight-delay"].values()) < set(roles)
    repositories = {str(record.outputs["repositoryUrl"]) for record in world.of_type("aws:ecr/repository:Repository")}
    assert {*outputs["modelEcrRepo"].values(), *outputs["teamEcrRepos"].values()} == repositories
    groups = {record.id for record in world.of_type("aws:sagemaker/modelPackageGroup:ModelPackageGroup")}
    assert set(outputs["modelPackageGroups"].values()) == groups
    assert outputs["sageMakerModelArn"] == {}


def test_a_retention_changes_in_place(deployed: tuple[Engine, Outcome], tmp_path: Path) -> None:
    planned = with_change(deployed[0], tmp_path, "noncurrentVersionDays: 7", "noncurrentVersionDays: 8").preview()
    changed = touched(planned)
    assert set(changed) == {"update"}
    assert changed["update"]
    assert all("lifecycle" in name for name in changed["update"]), changed


def test_another_service_range_replaces_the_cluster(deployed: tuple[Engine, Outcome], tmp_path: Path) -> None:
    planned = with_change(deployed[0], tmp_path, "serviceCidr: 172.20.0.0/16", "serviceCidr: 172.21.0.0/16").preview()
    replaced = touched(planned)["replace"]
    assert any(name.endswith("eksCluster") for name in replaced)
    assert not any(name.startswith("store-") for name in replaced), "no data is touched"


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_environment_is_planned_without_an_account_or_a_violation(tmp_path: Path, stack: str) -> None:
    planned = Engine(tmp_path / "sandbox", stack).preview(pack(stack))
    assert planned.mandatory == []
    assert set(planned.changes) == {"create"}
    assert planned.changes["create"] > 100


def test_prod_comes_up_within_a_tenth_of_the_chain_that_aws_imposes(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "sandbox", "prod")
    assert engine.up(pack("prod")).mandatory == []
    planned = steps(engine.export().resources)
    ours, theirs = schedule(planned), schedule(planned, imposed_only=True)
    assert theirs.seconds > 600, "control plane and nodes alone take longer"
    assert ours.seconds <= 1.1 * theirs.seconds, report(planned, ours, theirs)


def test_a_violation_is_named_with_its_resource_and_fix_before_anything_exists(
    open_engine: Callable[[Callable[[], None]], Engine],
) -> None:
    engine = open_engine(SmallPlatform())
    planned = engine.preview(pack("local"))
    found = {(violation.policy, violation.urn.rsplit("::", 1)[-1]) for violation in planned.mandatory}
    assert any("s3-public-access-block" in policy and name == "data" for policy, name in found), found
    assert any("s3-tls-only" in policy and name == "data" for policy, name in found), found
    assert engine.world().all() == []
