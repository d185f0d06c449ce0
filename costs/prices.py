"""The price table: what AWS asks for a unit, in US dollars, with the source of every price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, model_validator

from costs.band import Band
from costs.data import Amount, Record, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

FILE: Final = Path(__file__).with_name("prices.yaml")


class Source(Record):
    """Where prices were read."""

    title: str
    """What it is, as exactly as it can be named."""
    address: Annotated[str, Field(pattern=r"^https://")]
    """Where it is."""
    published: date | None
    """Day of the publication; null where it was not to be had."""
    read: date
    """Day on which the prices were taken from it."""


class Discount(Record):
    """Share of the on-demand price that spot capacity saves."""

    least: Annotated[Amount, Field(le=1)]
    """The least that is plausible."""
    expected: Annotated[Amount, Field(le=1)]
    """What the estimate counts with."""
    most: Annotated[Amount, Field(le=1)]
    """The most that is plausible."""
    source: str
    """Source of the range."""

    @property
    def paid(self) -> Band:
        """Share of the on-demand price that is left to pay."""
        return Band(1 - self.most, 1 - self.expected, 1 - self.least)


class Group(Record):
    """Prices of one unit from one source."""

    regions: Annotated[tuple[str, ...], Field(min_length=1)]
    """Regions in which they hold."""
    source: str
    """Key of the source."""
    unit: str
    """What one of each price buys."""
    amounts: dict[str, Amount]
    """Key of the price → US dollars."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one unit."""

    amount: Band
    """US dollars; a band where it is spot capacity."""
    unit: str
    """What it buys."""
    source: str
    """Key of its source."""


class Prices(Record):
    """The table."""

    sources: dict[str, Source]
    """Where prices were read, by key."""
    discounts: dict[str, Discount]
    """What spot capacity saves, by key."""
    prices: tuple[Group, ...]
    """The prices."""

    @model_validator(mode="after")
    def _names_sources_and_prices_once(self) -> Self:
        """Refuse a price without a source and a second price of the same thing in one region."""
        used = {item.source for item in (*self.prices, *self.discounts.values())}
        if stray := used - self.sources.keys():
            raise ValueError(f"no such source: {', '.join(sorted(stray))}")
        seen: set[tuple[str, str]] = set()
        for region, key, _group in self._entries():
            if (region, key) in seen:
                raise ValueError(f"{key} has two prices in {region}")
            seen.add((region, key))
        return self

    def _entries(self) -> Iterator[tuple[str, str, Group]]:
        return ((region, key, group) for group in self.prices for region in group.regions for key in group.amounts)

    def of(self, region: str, key: str, discount: str = "") -> Price | None:
        """Return the price of `key` in `region`, or None where the table has none.

        Args:
            region: AWS region.
            key: Key of the price.
            discount: Key of a discount that is taken off; none when empty.
        """
        for place, name, group in self._entries():
            if (place, name) == (region, key):
                amount = Band.exactly(group.amounts[key])
                paid = self.discounts[discount].paid if discount else Band.exactly(1)
                return Price(amount * paid, group.unit, group.source)
        return None

    def names(self) -> frozenset[str]:
        """Return the keys of all prices, in whichever region."""
        return frozenset(key for _region, key, _group in self._entries())

    @property
    def read(self) -> date:
        """The day on which the last price was read."""
        return max(source.read for source in self.sources.values())


@cache
def price_table() -> Prices:
    """Return the table of this package."""
    return Prices.model_validate(read(FILE))
