"""An orderly end: what controllers made is gone before the controllers go, and addresses before their subnets.

The engine runs the hook before it deletes a resource that it is bound to; a hook that fails stops the deletion, and the
next `pulumi destroy --run-program` goes on from there. Without `--run-program` the engine refuses to delete such a
resource, so nobody leaves load balancers or instances behind by accident (Pulumi documentation, "Resource hooks").
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi

from operations.remains import Remains

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settings.model import EnvironmentSpec

PATIENCE_SECONDS: Final = 900.0
"""How long to wait for a controller to remove what it made; an Application Load Balancer takes a minute or two."""
INTERVAL_SECONDS: Final = 10.0


class RemainsError(Exception):
    """Something is left; the text says what, and how it goes."""


@dataclass(frozen=True, slots=True)
class _Duty:
    """What a controller has to remove before it goes."""

    look: Callable[[Remains], list[str]]
    what: str
    remedy: str


_SUBNET: Final = "aws:ec2/subnet:Subnet"
CONTROLLERS: Final[Mapping[str, _Duty]] = {
    "karpenter": _Duty(Remains.nodes, "nodes of Karpenter", "delete its NodePools (kubectl delete nodepools --all)"),
    "aws-load-balancer-controller": _Duty(
        Remains.load_balancers,
        "load balancers",
        "delete the Ingresses, Gateways and Services of type LoadBalancer in the cluster",
    ),
}
"""By the name of the controller's release."""


def orderly_end(environment: EnvironmentSpec, cluster: str) -> pulumi.ResourceHook:
    """Make the one hook of subnets and controllers; it asks nothing of AWS before a deletion.

    A controller's release waits until what the controller made is gone. A subnet loses the interfaces that the VPC CNI
    left in it, which would keep it. It is one hook because hooks that register side by side each start a gRPC server.
    """

    def before_delete(args: pulumi.ResourceHookArgs) -> None:
        remains = Remains.connect(cluster, environment.account_id, environment.region)
        if args.type == _SUBNET:
            for interface in remains.free_interfaces(args.id):
                remains.ec2.delete_network_interface(NetworkInterfaceId=interface)
        else:
            duty = CONTROLLERS[(args.old_inputs or {})["name"]]
            wait_until_gone(lambda: duty.look(remains), duty.what, duty.remedy)

    return pulumi.ResourceHook("orderly-end", before_delete)


def wait_until_gone(
    look: Callable[[], list[str]],
    what: str,
    remedy: str,
    *,
    patience: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once `look` finds nothing.

    Args:
        look: Names what is left.
        what: What that is, in the plural.
        remedy: What the user can do, as an instruction.
        patience: Seconds after which to give up, `PATIENCE_SECONDS` when not given.
        sleep: Waits.
        clock: Tells the time in seconds.

    Raises:
        RemainsError: something is still there when patience ends.
    """
    patience = PATIENCE_SECONDS if patience is None else patience
    deadline = clock() + patience
    while left := look():
        if clock() >= deadline:
            raise RemainsError(
                f"{len(left)} {what} are left after {patience:.0f} s: {', '.join(left)}; {remedy}, then destroy again"
            )
        sleep(INTERVAL_SECONDS)
