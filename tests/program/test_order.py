"""The order of controllers on the real engine: what they need comes before them and goes after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from sandbox.chaos import Chaos
from sandbox.engine import Engine, EngineError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

NODE_POOL: Final = "kubernetes:karpenter.sh/v1:NodePool"
UPWARDS: Final = (
    "aws:ec2/securityGroup:SecurityGroup::cluster-nodes",
    "aws:eks/nodeGroup:NodeGroup::pools-system",
    "kubernetes:helm.sh/v3:Release::karpenter-controller",
    "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass::karpenter-batch-gpu-class",
    "kubernetes:karpenter.sh/v1:NodePool::karpenter-batch-gpu",
    "kubernetes:apps/v1:Deployment::headroom-burst-cpu",
)
"""Each is created after the one before it, and deleted before it."""
SUPPORTS: Final = (
    "aws:iam/instanceProfile:InstanceProfile::karpenter-node-profile",
    "aws:iam/rolePolicy:RolePolicy::karpenter-controller-end-nodes",
    "aws:eks/accessEntry:AccessEntry::karpenter-node",
    "aws:sqs/queue:Queue::karpenter-interruptions-queue",
    "kubernetes:helm.sh/v3:Release::karpenter-definitions",
    "kubernetes:helm.sh/v3:Release::karpenter-controller",
)
"""What a pool needs until its last node is gone."""
BALANCING: Final = (
    "aws:ec2/securityGroup:SecurityGroup::cluster-nodes",
    "aws:iam/rolePolicy:RolePolicy::load-balancing-controller-change-load-balancers",
    "kubernetes:helm.sh/v3:Release::load-balancing-controller",
    "kubernetes:elbv2.k8s.aws/v1beta1:IngressClassParams::load-balancing-parameters",
    "kubernetes:networking.k8s.io/v1:IngressClass::load-balancing-class",
)
"""The same for load balancers: an Ingress waits for the last, so it goes while the controller may still clean up."""


def calls(engine: Engine, verb: str) -> list[str]:
    """Resources of the calls of one verb, in their order, as type and logical name."""
    return [urn.rpartition("$")[2] for each, urn in engine.world().calls() if each == verb]


def test_controllers_come_after_what_they_need_and_a_destroy_that_fails_midway_leaves_nothing_without_them(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path / "sandbox", "local")
    engine.up()
    created = calls(engine, "create")
    for chain in (UPWARDS, BALANCING):
        assert sorted(chain, key=created.index) == list(chain)
    pools = [name for name in created if name.startswith(NODE_POOL)]
    assert len(pools) == 4
    assert max(map(created.index, SUPPORTS)) < min(map(created.index, pools))

    # One of the first deletions fails: pools are going, and their nodes may still be there.
    Chaos(fail_call=len(engine.world().calls()) + 3).save(tmp_path / "sandbox")
    with pytest.raises(EngineError, match="ThrottlingException"):
        Engine(tmp_path / "sandbox", "local").destroy()
    left = {record.urn.rpartition("$")[2] for record in engine.world().all()}
    assert set(SUPPORTS) <= left
    assert len(left) < len(created)

    Engine(tmp_path / "sandbox", "local").destroy()
    assert engine.world().all() == []
    # The call that failed is in the list too; what counts is the last one for each resource.
    deleted = {name: place for place, name in enumerate(calls(engine, "delete"))}
    for chain in (UPWARDS, BALANCING):
        assert sorted(chain, key=lambda name: -deleted[name]) == list(chain)
    assert min(deleted[name] for name in SUPPORTS) > max(deleted[name] for name in pools)
