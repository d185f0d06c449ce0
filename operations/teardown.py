"""An orderly end: what controllers made is gone before the controllers go, and addresses before their subnets.

The engine runs these hooks before it deletes the resource that they are bound to; a hook that fails stops the deletion,
and the next `pulumi destroy --run-program` goes on from there. Without `--run-program` the engine refuses to delete
such a resource, so nobody leaves load balancers or instances behind by accident (Pulumi documentation, "Resource
hooks").
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi

from operations.remains import Remains

if TYPE_CHECKING:
    from collections.abc import Callable

    from settings.model import EnvironmentSpec

PATIENCE_SECONDS: Final = 900.0
"""How long to wait for a controller to remove what it made; an Application Load Balancer takes a minute or two."""
INTERVAL_SECONDS: Final = 10.0


class RemainsError(Exception):
    """Something is left; the text says what, and how it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teardown:
    """Hooks for `pulumi.ResourceHookBinding(before_delete=…)`."""

    load_balancers: pulumi.ResourceHook
    """For the load balancer controller: waits until the load balancers that it made are gone."""
    nodes: pulumi.ResourceHook
    """For Karpenter's controller: waits until the nodes that it started are gone."""
    addresses: pulumi.ResourceHook
    """For a subnet: deletes the interfaces that the VPC CNI left in it, which would keep the subnet."""

    @classmethod
    def of(cls, environment: EnvironmentSpec, cluster: str) -> Teardown:
        """The hooks of one environment; nothing is asked of AWS before the engine runs one."""

        def connect() -> Remains:
            return Remains.connect(cluster, environment.account_id, environment.region)

        def load_balancers(_: pulumi.ResourceHookArgs) -> None:
            wait_until_gone(
                connect().load_balancers,
                "load balancers",
                "delete the Ingresses, Gateways and Services of type LoadBalancer in the cluster",
            )

        def nodes(_: pulumi.ResourceHookArgs) -> None:
            wait_until_gone(
                connect().nodes, "nodes of Karpenter", "delete its NodePools (kubectl delete nodepools --all)"
            )

        def addresses(args: pulumi.ResourceHookArgs) -> None:
            remains = connect()
            for interface in remains.free_interfaces(args.id):
                remains.ec2.delete_network_interface(NetworkInterfaceId=interface)

        return cls(
            load_balancers=pulumi.ResourceHook("load-balancers-are-gone", load_balancers),
            nodes=pulumi.ResourceHook("nodes-are-gone", nodes),
            addresses=pulumi.ResourceHook("addresses-are-free", addresses),
        )


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
