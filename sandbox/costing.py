"""`make cost`: what a plan costs a month, held against the ceiling of its environment and against an earlier plan."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costs.estimate import estimate
from costs.plan import PlanError, from_export, mapping
from costs.prices import price_table
from costs.report import BaseError, change_table, comparison, earlier, table, to_json
from costs.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costs.estimate import Estimate
    from costs.plan import Planned
    from sandbox.console import Console
    from settings.model import Settings


class CostError(Exception):
    """The estimate cannot be made, or is above the ceiling; the text says what to do."""


def read_plan(file: str) -> tuple[Planned, ...]:
    """Return the resources of a plan that `make plan` or `pulumi stack export` wrote.

    Raises:
        CostError: The file is no such plan.
    """
    try:
        return from_export(_content(file))
    except PlanError as error:
        raise CostError(f"{file}: {error}") from error


def report_costs(console: Console, settings: Settings, resources: Sequence[Planned], *, base: str, out: str) -> None:
    """Print what a plan costs, and write it as JSON.

    Args:
        console: Where to print.
        settings: Settings of the environment.
        resources: Its plan.
        base: File of an earlier estimate or plan to compare with; none when empty.
        out: File to write; none when empty. With `base` it holds the comparison.

    Raises:
        CostError: A file cannot be read, the environment has no assumptions, or the estimate is above the ceiling.
    """
    prices = price_table()
    found = _estimate(settings, resources)
    data = to_json(found, prices) | {"ceiling": settings.budget.monthly_usd}
    console.info(f"\n{table(found, prices)}")
    if base:
        data = comparison(_earlier(settings, base), data)
        console.info(f"\n{change_table(data)}")
    if out:
        _write(Path(out), data)
        console.info(f"\nwrote {out}")
    _hold(settings, found)
    console.info(f"\nThe ceiling of {settings.budget.monthly_usd:,} is kept.")


def _estimate(settings: Settings, resources: Sequence[Planned]) -> Estimate:
    try:
        usage = usage_of(settings.environment.name)
    except FileNotFoundError as error:
        raise CostError(str(error)) from error
    return estimate(resources, settings, usage, price_table(), on=datetime.now(tz=UTC).date())


def _earlier(settings: Settings, file: str) -> Mapping[str, Any]:
    """Return an earlier estimate; an earlier plan is priced with today's settings, assumptions and prices."""
    content = _content(file)
    if "deployment" in mapping(content):
        return to_json(_estimate(settings, read_plan(file)), price_table())
    try:
        return earlier(content)
    except BaseError as error:
        raise CostError(f"{file}: {error}") from error


def _hold(settings: Settings, found: Estimate) -> None:
    ceiling, expected = settings.budget.monthly_usd, found.monthly.expected
    if expected > ceiling:
        raise CostError(
            f"environment {found.place.environment} is expected to cost {expected:,.2f} a month, and its ceiling is "
            f"{ceiling:,}: make it cheaper, or raise slipway:budget.monthlyUsd with a reason"
        )


def _content(file: str) -> object:
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CostError(f"{file} cannot be read: {error}") from error


def _write(target: Path, data: Mapping[str, Any]) -> None:
    if not target.parent.is_dir():
        raise CostError(f"{target}: the folder {target.parent} does not exist; create it or name another file")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(target)
