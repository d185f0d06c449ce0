"""What a meter says about a resource: what it uses of what has a price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from costs.band import ONE, Band
from costs.usage import HOURS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from costs.plan import Planned
    from costs.usage import Quantity, Usage

HOURS: Final = Band.exactly(HOURS_PER_MONTH)
"""Hours that something runs which always runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A month's use of one thing that has a price."""

    meter: str
    """What is counted, in a word that stays the same when sizes and types change."""
    what: str
    """What is counted, for people."""
    quantity: Band
    """How many units of the price."""
    price: str
    """Key of the price."""
    discount: str = ""
    """Key of the discount; none when empty."""
    assumption: str = ""
    """Key of the assumption that the quantity comes from; empty where the plan decides it."""
    run: Decimal = Decimal(0)
    """How many units one run of a pipeline takes at most; 0 of what belongs to no run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that costs money and cannot be told."""

    what: str
    """What is not counted, for people."""
    why: str
    """What is missing."""


Finding = Use | Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a meter may look at beside the resource."""

    usage: Usage
    """Assumptions of the environment."""
    on: date
    """The day that the estimate is for."""
    resources: Mapping[str, Planned] = field(default_factory=dict[str, "Planned"])
    """All resources of the plan, by URN."""

    def assume(
        self,
        quantity: Quantity,
        name: str,
        *,
        meter: str,
        what: str,
        price: str,
        per: Band = ONE,
        discount: str = "",
        run: Decimal = Decimal(0),
    ) -> Iterator[Finding]:
        """Yield the use of an assumed quantity, each unit of which uses `per` units of the price."""
        found = self.usage.of(quantity, name)
        if found is None:
            yield Gap(what=what, why=f"no assumption {quantity} for {name}")
            return
        key, assumption = found
        yield Use(
            meter=meter,
            what=what,
            quantity=assumption.band * per,
            price=price,
            discount=discount,
            assumption=key,
            run=run,
        )

    def made_of(self, resource: Planned, property_: str, token: str) -> Planned | None:
        """Return the resource of type `token` that an input of `resource` was made of."""
        for urn in resource.property_dependencies.get(property_, ()):
            found = self.resources.get(urn)
            if found is not None and found.type == token:
                return found
        return None


Meter = Callable[["Planned", Context], Iterator[Finding]]
"""Says what a resource uses; nothing for one that uses nothing."""


def always(meter: str, what: str, price: str) -> Use:
    """Return what something uses that is paid by the hour and always there."""
    return Use(meter=meter, what=what, quantity=HOURS, price=price)


def monthly(meter: str, what: str, price: str, count: int = 1) -> Use:
    """Return what something uses that is paid by the month."""
    return Use(meter=meter, what=what, quantity=Band.exactly(count), price=price)
