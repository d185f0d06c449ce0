"""A quantity or an amount that is known within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Self

CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Band:
    """Three values of one quantity, none below zero and none below the one before it."""

    low: Decimal
    """The least that is plausible."""
    expected: Decimal
    """What the estimate counts with."""
    high: Decimal
    """The most that is plausible."""

    def __post_init__(self) -> None:
        """Refuse disorder.

        Raises:
            ValueError: The values do not ascend from zero.
        """
        if not Decimal(0) <= self.low <= self.expected <= self.high:
            raise ValueError(f"{self.low}, {self.expected}, {self.high} do not ascend from zero")

    @classmethod
    def exactly(cls, value: Decimal | int | str) -> Self:
        """Return the band of a quantity that is known."""
        known = Decimal(value)
        return cls(known, known, known)

    @property
    def is_exact(self) -> bool:
        """Whether there is nothing between the bounds."""
        return self.low == self.high

    def __add__(self, other: Band) -> Band:
        """Return the sum, bound by bound."""
        return Band(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, other: Band) -> Band:
        """Return the product, bound by bound."""
        return Band(self.low * other.low, self.expected * other.expected, self.high * other.high)

    def times(self, factor: Decimal | int) -> Band:
        """Return `factor` times this band; the factor is not negative."""
        return self * Band.exactly(factor)

    def beyond(self, amount: int) -> Band:
        """Return what is left of each bound above `amount`."""
        return Band(*(max(value - amount, Decimal(0)) for value in (self.low, self.expected, self.high)))

    def in_cents(self) -> Band:
        """Return the band with each bound rounded to cents, halves away from zero."""
        return Band(*(value.quantize(CENT, ROUND_HALF_UP) for value in (self.low, self.expected, self.high)))


NOTHING: Final = Band.exactly(0)
ONE: Final = Band.exactly(1)


def total(bands: list[Band]) -> Band:
    """Return the sum of `bands`; zero of none."""
    return sum(bands, start=NOTHING)
