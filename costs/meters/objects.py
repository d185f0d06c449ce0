"""Kubernetes objects for which a controller makes something that AWS bills."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from costs.band import Band
from costs.meters.base import Context, Finding, Gap, Use, always
from costs.plan import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costs.meters.base import Meter
    from costs.plan import Planned

_GIB: Final = {"Gi": Decimal(1), "Ti": Decimal(1024), "Mi": Decimal(1) / 1024}
"""Suffix of a quantity → GiB."""


def service(resource: Planned, _context: Context) -> Iterator[Finding]:
    """A service of type LoadBalancer becomes a network load balancer; its load is left out."""
    if mapping(resource.inputs.get("spec")).get("type") == "LoadBalancer":
        yield always("balancer", "network load balancer", "elb.network")
        yield Gap(what="load of the load balancer", why="its capacity units are not assumed")


def ingress(_resource: Planned, _context: Context) -> Iterator[Finding]:
    """An ingress is served by the environment's load balancers, whose number is assumed as a whole."""
    yield from ()


def volume_claim(resource: Planned, _context: Context) -> Iterator[Finding]:
    """A claim becomes a gp3 volume, unless its class says otherwise."""
    spec = mapping(resource.inputs.get("spec"))
    asked = str(mapping(mapping(spec.get("resources")).get("requests")).get("storage", ""))
    kind = str(spec.get("storageClassName", "gp3"))
    try:
        size = Decimal(asked[:-2]) * _GIB[asked[-2:]]
    except (KeyError, InvalidOperation):
        yield Gap(what="volume", why=f"its size {asked or 'is missing'} cannot be read")
        return
    if kind != "gp3":
        yield Gap(what=f"volume of {asked}", why=f"no price for storage class {kind}")
        return
    yield Use(meter="volume", what=f"volume of {asked}, gp3", quantity=Band.exactly(size), price="ebs.gp3")


METERS: Final[dict[str, Meter]] = {
    "kubernetes:core/v1:Service": service,
    "kubernetes:networking.k8s.io/v1:Ingress": ingress,
    "kubernetes:core/v1:PersistentVolumeClaim": volume_claim,
}
"""Type token → meter."""
