"""The order on the real engine: what others need comes before them, and goes only when they are gone.

The order is a table of what stands on what. It is held while the platform comes up, and whenever an update or a destroy
stops midway: whatever still stands has what it stands on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from sandbox.chaos import Chaos
from sandbox.engine import ROOT, Engine, EngineError
from tests.support.optional import PEERING

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("state_written_once")]

_RELEASE: Final = "kubernetes:helm.sh/v3:Release::"
_NAMESPACE: Final = "kubernetes:core/v1:Namespace::"
_NODES: Final = ("aws:eks/nodeGroup:NodeGroup::pools-system",)
_POD_NETWORK: Final = ("aws:eks/addon:Addon::pod-network-vpc-cni", "aws:eks/addon:Addon::pod-network-kube-proxy")
_LOAD_BALANCING: Final = (
    f"{_RELEASE}load-balancing-controller",
    "aws:iam/rolePolicy:RolePolicy::load-balancing-controller-change-load-balancers",
    "kubernetes:networking.k8s.io/v1:IngressClass::load-balancing-class",
)
_DISKS: Final = ("aws:eks/addon:Addon::storage-ebs", "aws:iam/rolePolicy:RolePolicy::storage-ebs-encrypt-volumes")
_GAUGES: Final = (f"{_RELEASE}monitoring-definitions",)

STANDS_ON: Final[dict[str, tuple[str, ...]]] = {
    # Nodes join when pods have a network, and a way to the registries.
    "aws:eks/nodeGroup:NodeGroup::": (
        *_POD_NETWORK,
        "aws:ec2/securityGroup:SecurityGroup::cluster-nodes",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment::pools-node-role-AmazonEKSWorkerNodePolicy",
    ),
    # A controller needs a node to run on and the definitions of what it watches.
    f"{_RELEASE}karpenter-controller": (*_NODES, *_GAUGES, f"{_RELEASE}karpenter-definitions"),
    f"{_RELEASE}load-balancing-controller": _NODES,
    f"{_RELEASE}monitoring-stack": (
        *_NODES,
        *_GAUGES,
        *_DISKS,
        "kubernetes:storage.k8s.io/v1:StorageClass::storage-gp3",
        f"{_NAMESPACE}monitoring-monitoring",
    ),
    f"{_RELEASE}accelerators-plugin": (*_NODES, f"{_NAMESPACE}accelerators-namespace"),
    f"{_RELEASE}accelerators-exporter": (*_GAUGES, f"{_NAMESPACE}accelerators-namespace"),
    "aws:eks/addon:Addon::addons-coredns": _NODES,
    "aws:eks/addon:Addon::storage-ebs": _NODES,
    # The nodes of a pool are ended by the controller, with its rights, and hear of interruptions by the queue.
    "kubernetes:karpenter.sh/v1:NodePool::": (
        f"{_RELEASE}karpenter-definitions",
        f"{_RELEASE}karpenter-controller",
        "aws:iam/instanceProfile:InstanceProfile::karpenter-node-profile",
        "aws:iam/rolePolicy:RolePolicy::karpenter-controller-end-nodes",
        "aws:eks/accessEntry:AccessEntry::karpenter-node",
        "aws:sqs/queue:Queue::karpenter-interruptions-queue",
    ),
    "kubernetes:karpenter.sh/v1:NodePool::karpenter-batch-gpu": (
        "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass::karpenter-batch-gpu-class",
    ),
    "kubernetes:apps/v1:Deployment::headroom-burst-cpu": (
        "kubernetes:karpenter.sh/v1:NodePool::karpenter-burst-cpu",
        "kubernetes:scheduling.k8s.io/v1:PriorityClass::priorities-headroom",
        f"{_NAMESPACE}headroom",
    ),
    # Load balancers are removed by the controller, with its rights.
    "kubernetes:networking.k8s.io/v1:IngressClass::": (
        f"{_RELEASE}load-balancing-controller",
        "aws:iam/rolePolicy:RolePolicy::load-balancing-controller-change-load-balancers",
        "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams::load-balancing-parameters",
    ),
    # What teams bring into their namespaces is cleaned up by the controllers that made it: load balancers, disks.
    f"{_NAMESPACE}tenancy-": (*_POD_NETWORK, *_LOAD_BALANCING, *_DISKS),
    # A rule names a group of another VPC, and a route leads there, only while the two are connected.
    **dict.fromkeys(
        (
            "aws:ec2/route:Route::peerings-jobs-",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule::peerings-jobs-",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::peerings-jobs-",
        ),
        ("aws:ec2/vpcPeeringConnection:VpcPeeringConnection::peerings-jobs",),
    ),
    "kubernetes:core/v1:ResourceQuota::tenancy-ml-training": (f"{_NAMESPACE}tenancy-ml-training",),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding::tenancy-ml-inference": (f"{_NAMESPACE}tenancy-ml-inference",),
}
"""Beginning of a resource, as type and logical name → what has to exist as long as it does."""
NO_PEERINGS: Final = "peerings: []"
FAILURES: Final = (3, 40, 90)
"""Deletions after which one fails, in three destroys in a row."""


def calls(engine: Engine, verb: str) -> list[str]:
    """Resources of the calls of one verb, in their order, as type and logical name."""
    return [_short(urn) for each, urn in engine.world().calls() if each == verb]


def _short(urn: str) -> str:
    return urn.rpartition("$")[2] if "$" in urn else "::".join(urn.split("::")[2:])


def unsupported(standing: set[str]) -> list[str]:
    """What stands without what it stands on."""
    return [
        f"{name} without {support}"
        for beginning, supports in STANDS_ON.items()
        for name in sorted(standing)
        if name.startswith(beginning)
        for support in supports
        if support not in standing
    ]


def standing(engine: Engine) -> set[str]:
    return {_short(record.urn) for record in engine.world().all()}


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    """Environment `local`, connected to another VPC."""
    text = (ROOT / "Pulumi.local.yaml").read_text(encoding="utf-8")
    assert text.count(NO_PEERINGS) == 1
    file = tmp_path / "Pulumi.connected.yaml"
    file.write_text(text.replace(NO_PEERINGS, f"peerings: {json.dumps([PEERING])}"), encoding="utf-8")
    return file


def test_everything_comes_after_what_it_stands_on_and_goes_before_it_also_when_a_destroy_fails_midway(
    tmp_path: Path, stack_file: Path
) -> None:
    folder = tmp_path / "sandbox"
    Engine(folder, "local", stack_file=stack_file).up()
    engine = Engine(folder, "local", stack_file=stack_file)
    created = calls(engine, "create")
    for beginning, supports in STANDS_ON.items():
        assert [name for name in created if name.startswith(beginning)], beginning
        assert set(supports) <= set(created), beginning
    for place in range(len(created)):
        new = created[place]
        if any(new.startswith(beginning) for beginning in STANDS_ON):
            assert unsupported({*created[: place + 1]}) == []

    for after in FAILURES:
        before = standing(engine)
        Chaos(fail_call=len(engine.world().calls()) + after).save(folder)
        with pytest.raises(EngineError, match="ThrottlingException"):
            Engine(folder, "local", stack_file=stack_file).destroy()
        assert standing(engine) < before
        assert unsupported(standing(engine)) == []

    Engine(folder, "local", stack_file=stack_file).destroy()
    assert engine.world().all() == []
    # A call that failed is in the list too; what counts is the last one for each resource.
    deleted = {name: place for place, name in enumerate(calls(engine, "delete"))}
    for beginning, supports in STANDS_ON.items():
        latest = max(place for name, place in deleted.items() if name.startswith(beginning))
        assert latest < min(deleted[support] for support in supports), beginning


def test_an_update_that_fails_midway_leaves_nothing_without_what_it_stands_on_and_the_next_one_finishes_it(
    tmp_path: Path, stack_file: Path
) -> None:
    folder = tmp_path / "sandbox"
    Chaos(fail_call=180).save(folder)
    with pytest.raises(EngineError, match="ThrottlingException"):
        Engine(folder, "local", stack_file=stack_file).up()
    engine = Engine(folder, "local", stack_file=stack_file)
    assert standing(engine)
    assert unsupported(standing(engine)) == []
    Chaos().save(folder)
    assert set(Engine(folder, "local", stack_file=stack_file).up().changes) <= {"create", "same", "update"}
    assert unsupported(standing(engine)) == []
    assert {name for name in STANDS_ON if not any(each.startswith(name) for each in standing(engine))} == set()
