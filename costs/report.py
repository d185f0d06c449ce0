"""An estimate as data for tools, as a table for people, and beside an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from costs.band import CENT, NOTHING
from costs.layout import bounds, columns, dollars, signed, sums
from costs.plan import mapping
from costs.units import endpoints, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costs.band import Band
    from costs.estimate import Estimate, Line
    from costs.prices import Prices

CURRENCY: Final = "USD"
TOP_LINES: Final = 15
"""Lines of the table for people; the data holds all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of two estimates."""

    component: str
    """Component that it belongs to."""
    resource: str
    """Logical name of the resource."""
    what: str
    """What is counted now, or was counted before where it is gone."""
    before: Decimal
    """US dollars a month; zero where the line is new."""
    after: Decimal
    """US dollars a month; zero where the line is gone."""

    @property
    def difference(self) -> Decimal:
        """What the line costs more."""
        return self.after - self.before


class BaseError(Exception):
    """The earlier estimate cannot be read; the text says what to give."""


def to_json(found: Estimate, prices: Prices) -> dict[str, Any]:
    """Return an estimate as JSON: amounts in US dollars a month as numbers, quantities and prices as text."""
    return {
        "environment": found.place.environment,
        "region": found.place.region,
        "currency": CURRENCY,
        "on": found.on.isoformat(),
        "pricesRead": prices.read.isoformat(),
        "monthly": _money(found.monthly),
        "fixed": _money(found.fixed),
        "usage": _money(found.usage),
        "byComponent": {name: _money(band) for name, band in found.by_component.items()},
        "byCostCenter": {name: _money(band) for name, band in found.by_cost_center.items()},
        "byRun": {name: _money(band) for name, band in runs(found).items()},
        "byEndpoint": {name: _money(band) for name, band in endpoints(found).items()},
        "lines": [_line(line) for line in found.lines],
        "notPriced": [
            {"component": gap.component, "resource": gap.resource, "what": gap.what, "why": gap.why}
            for gap in found.not_priced
        ],
        "assumptions": {key: item.model_dump(mode="json") for key, item in found.assumptions.items()},
        "sources": {
            key: prices.sources[key].model_dump(mode="json") for key in sorted({line.source for line in found.lines})
        },
    }


def comparison(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return two estimates of `to_json` side by side, as a report on a pull request takes them.

    Returns:
        `before` and `after`, the expected sums; `lines`, each with component, resource, what, before, after and
        difference, the largest difference first and lines without one left out; `estimate`, the later estimate.
    """
    changes = changed(before["lines"], after["lines"])
    return {
        "environment": after["environment"],
        "currency": CURRENCY,
        "before": before["monthly"]["expected"],
        "after": after["monthly"]["expected"],
        "difference": float(_cents(after["monthly"]["expected"]) - _cents(before["monthly"]["expected"])),
        "lines": [
            {
                "component": change.component,
                "resource": change.resource,
                "what": change.what,
                "before": float(change.before),
                "after": float(change.after),
                "difference": float(change.difference),
            }
            for change in changes
        ],
        "estimate": dict(after),
    }


def changed(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[Change]:
    """Return the lines whose expected amount differs, the largest difference first."""
    old, new = _by_identity(before), _by_identity(after)
    changes = [
        Change(
            component=key[0],
            resource=key[1],
            what=(new.get(key) or old[key])["what"],
            before=_cents(old[key]["monthly"]["expected"]) if key in old else Decimal(0),
            after=_cents(new[key]["monthly"]["expected"]) if key in new else Decimal(0),
        )
        for key in sorted({*old, *new})
    ]
    return sorted((change for change in changes if change.difference), key=lambda change: -abs(change.difference))


def earlier(content: object) -> Mapping[str, Any]:
    """Return the estimate that an earlier output holds, be it an estimate or a comparison.

    Raises:
        BaseError: It is neither.
    """
    given = mapping(content)
    found = mapping(given.get("estimate", given))
    if {"monthly", "lines"} <= found.keys():
        return found
    raise BaseError("neither an estimate that `make cost OUT=…` wrote nor a plan that `make plan` wrote")


def table(found: Estimate, prices: Prices) -> str:
    """Return an estimate for people: sums, the largest lines, assumptions, what is not priced."""
    rows = sorted(found.lines, key=lambda line: (-line.monthly.expected, line.identity))
    top = [(_where(line), line.what, dollars(line.monthly.expected), bounds(line.monthly)) for line in rows[:TOP_LINES]]
    if rest := rows[TOP_LINES:]:
        others = sum((line.monthly for line in rest), start=NOTHING)
        top.append((f"{len(rest)} more", "", dollars(others.expected), bounds(others)))
    whole = [
        ("a month", dollars(found.monthly.expected), bounds(found.monthly)),
        ("  fixed by the plan", dollars(found.fixed.expected), bounds(found.fixed)),
        ("  by assumed usage", dollars(found.usage.expected), bounds(found.usage)),
    ]
    parts = [
        _headline(found, prices),
        columns(whole),
        "By component\n" + sums(found.by_component),
        "By cost centre\n" + sums(found.by_cost_center),
        "A run of a model's pipeline, at most\n" + sums(runs(found)),
        "An endpoint of SageMaker, a month\n" + sums(endpoints(found)),
        "Largest lines\n" + columns(top),
        "Assumptions: least, expected, most\n"
        + columns(
            [(key, f"{item.low}, {item.expected}, {item.high}", item.why) for key, item in found.assumptions.items()]
        ),
        "Not priced\n"
        + (
            columns([(f"{gap.component} {gap.resource}", gap.what, gap.why) for gap in found.not_priced]) or "  nothing"
        ),
    ]
    return "\n\n".join(parts)


def _headline(found: Estimate, prices: Prices) -> str:
    place = found.place
    return (
        f"Environment {place.environment} in {place.region}, US dollars a month, "
        f"list prices read until {prices.read.isoformat()}"
    )


def change_table(compared: Mapping[str, Any]) -> str:
    """Return a comparison for people: one row per changed line."""
    rows = [
        (
            f"{line['component']} {line['resource']}",
            line["what"],
            dollars(_cents(line["before"])),
            dollars(_cents(line["after"])),
            signed(_cents(line["difference"])),
        )
        for line in compared["lines"]
    ]
    whole = ("sum", "", *(dollars(_cents(compared[key])) for key in ("before", "after")))
    return "Change: before, after, difference\n" + columns([*rows, (*whole, signed(_cents(compared["difference"])))])


def _line(line: Line) -> dict[str, Any]:
    return {
        "component": line.component,
        "resource": line.resource,
        "meter": line.meter,
        "what": line.what,
        "kind": "fixed" if line.fixed else "usage",
        "quantity": _text(line.quantity),
        "unit": line.unit,
        "price": _text(line.price),
        "monthly": _money(line.monthly),
        "assumption": line.assumption or None,
        "costCenter": line.cost_center,
        "source": line.source,
    }


def _by_identity(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    return {(line["component"], line["resource"], line["meter"]): line for line in lines}


def _money(band: Band) -> dict[str, float]:
    rounded = band.in_cents()
    return {"low": float(rounded.low), "expected": float(rounded.expected), "high": float(rounded.high)}


def _text(band: Band) -> dict[str, str]:
    return {"low": f"{band.low:f}", "expected": f"{band.expected:f}", "high": f"{band.high:f}"}


def _cents(number: float) -> Decimal:
    return Decimal(str(number)).quantize(CENT)


def _where(line: Line) -> str:
    return f"{line.component} {line.resource}"
