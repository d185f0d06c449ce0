"""How each type of resource is counted: a row per type, here or in `costs.meters.free`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from costs.meters import events, machines, network, objects, serving, storage

if TYPE_CHECKING:
    from costs.meters.base import Meter

METERS: Final[dict[str, Meter]] = {
    **machines.METERS,
    **serving.METERS,
    **network.METERS,
    **storage.METERS,
    **events.METERS,
    **objects.METERS,
}
"""Type token → meter."""
