"""How amounts stand in a report for people: dollars with cents, ranges, columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from costs.band import Band


def dollars(amount: Decimal) -> str:
    """An amount with cents."""
    return f"{amount:,.2f}"


def signed(amount: Decimal) -> str:
    """A difference with its sign."""
    return f"{amount:+,.2f}"


def bounds(band: Band) -> str:
    """The least and the most; empty where nothing is between them."""
    return "" if band.is_exact else f"{dollars(band.low)} to {dollars(band.high)}"


def sums(amounts: Mapping[str, Band]) -> str:
    """A row for each amount: its name, what is expected, its bounds."""
    rows: list[tuple[str, ...]] = [(name, dollars(band.expected), bounds(band)) for name, band in amounts.items()]
    return columns(rows) or "  none"


def columns(rows: list[tuple[str, ...]]) -> str:
    """Return rows as text: columns of numbers to the right, others to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join(_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(cell: str, width: int) -> str:
    number = cell.strip("+-").replace(",", "").replace(".", "").isdigit()
    return cell.rjust(width) if number else cell.ljust(width)
