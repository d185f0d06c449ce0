"""What nodes have and Fargate has not, as data, and as a page: `python -m settings.fargate_limits [--check]`.

Writes `docs/fargate.md`, or with `--check` compares it and ends with exit code 1 if it is not up to date.

Sources, read 2026-11-22: Amazon EKS user guide, "Simplify compute management with AWS Fargate", "Understand Fargate Pod
configuration details", "Define which Pods use AWS Fargate when launched", "Start AWS Fargate logging for your cluster",
"Assign security groups to individual Pods"; Amazon GuardDuty user guide, "Runtime Monitoring".
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from settings.generated import write_or_check

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "fargate.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One control or ability that pods lose on Fargate."""

    subject: str
    """What it is."""
    nodes: str
    """How nodes have it."""
    fargate: str
    """What there is instead."""
    held_by: str
    """What refuses the contradiction: rules in `settings.rules`, checks of a pod in `components.fargate_objects`, or
    nothing, where it is for a person to weigh."""


LIMITS: Final = (
    Limit(
        subject="Network policies",
        nodes="the CNI's agent enforces them",
        fargate="not enforced; a security group per profile closes the pods",
        held_by="rule `isolation_survives_without_network_policies`",
    ),
    Limit(
        subject="Runtime threat detection (GuardDuty Runtime Monitoring)",
        nodes="an agent per node",
        fargate="none for EKS; the audit log of the cluster is still watched",
        held_by="a person: do not run there what must be watched at run time",
    ),
    Limit(
        subject="DaemonSets: log and metric agents, volume drivers, security agents",
        nodes="one pod per node",
        fargate="none; logs take the built-in router, metrics of the host do not exist",
        held_by="rule `volumes_of_nodes_stay_there`; the log route comes with the profile",
    ),
    Limit(
        subject="GPUs and Inferentia",
        nodes="pools with role gpu",
        fargate="none",
        held_by="rule `training_stays_on_nodes`; pod check `accelerator`",
    ),
    Limit(
        subject="Spot capacity",
        nodes="pools with capacity spot",
        fargate="none for EKS",
        held_by="rule `training_stays_on_nodes`; pod check `placement`",
    ),
    Limit(
        subject="arm64",
        nodes="pools with architecture arm64",
        fargate="none for EKS",
        held_by="pod check `placement`",
    ),
    Limit(
        subject="Placement: node selectors, affinity, tolerations, topology spread",
        nodes="the scheduler follows them",
        fargate="the profile decides; pods are spread over its subnets without a guarantee",
        held_by="pod check `placement`",
    ),
    Limit(
        subject="Host access: privileged, hostNetwork, hostPort, hostPath",
        nodes="possible where Pod Security allows it",
        fargate="refused",
        held_by="Pod Security `restricted` of every namespace; pod check `host`",
    ),
    Limit(
        subject="EBS, FSx for Lustre, Mountpoint for S3",
        nodes="their drivers",
        fargate="none; 20 GiB of encrypted scratch space, more by a request of ephemeral-storage up to 175 GiB",
        held_by="rule `volumes_of_nodes_stay_there`; pod check `volume`",
    ),
    Limit(
        subject="EFS",
        nodes="storage class `efs`, a directory per claim",
        fargate="volumes that exist already; none per claim",
        held_by="pod check `volume`",
    ),
    Limit(
        subject="More than was asked for",
        nodes="a container may use idle processors",
        fargate="requests are limits; size is rounded up to what is sold, plus 256 MiB of memory",
        held_by="pod check `size`",
    ),
    Limit(
        subject="Node credentials and metadata",
        nodes="out of reach at hop limit 1",
        fargate="there are none: region and rights come from the pod's own role",
        held_by="nothing to hold: this is stricter",
    ),
    Limit(
        subject="Kernel shared with other pods",
        nodes="shared",
        fargate="one virtual machine per pod, patched by AWS, which may evict it for that",
        held_by="nothing to hold: this is stricter; a disruption budget bounds the evictions",
    ),
    Limit(
        subject="System pods: DNS, controllers",
        nodes="on the system nodes",
        fargate="stay on the system nodes",
        held_by="rule `selectors_name_namespaces_of_workloads`",
    ),
)
"""In the order of what an auditor asks first."""

_TOP: Final = """\
# Pods without nodes: what Fargate has not

`slipway:fargate` puts pods of inference namespaces on AWS Fargate. Nobody then looks after their machines, and some
controls that nodes have do not exist. Generated from `settings/fargate_limits.py`; `python -m settings.fargate_limits`
writes it again.

| subject | on nodes | on Fargate | held by |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = (f"| {limit.subject} | {limit.nodes} | {limit.fargate} | {limit.held_by} |\n" for limit in LIMITS)
    return _TOP + "".join(rows)


def main(arguments: Sequence[str]) -> int:
    """Write or compare the page and return the exit code."""
    return write_or_check(PAGE, page(), module="settings.fargate_limits", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
