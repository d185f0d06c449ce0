"""What pods carry, what their nodes cost, and how long a burst waits for more: `make capacity STACK=prod`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from costs.carrying import carrying
from costs.prices import price_table
from costs.usage import HOURS_PER_MONTH
from settings.check import load_file
from settings.problems import SettingsError
from settings.scale_up import CEILING_SECONDS, GOAL_SECONDS, NOTICED, has_headroom, seconds, steps
from settings.serving_capacity import nodes_for, pods_for, supply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from costs.band import Band
    from settings.model import EksServingSpec, Settings


SECONDS_PER_MONTH: Final = 3600 * HOURS_PER_MONTH
MILLION: Final = 1_000_000


def report(settings: Settings, on: date) -> Iterator[str]:
    """Yield the lines about every model that pods serve.

    Args:
        settings: Of the environment.
        on: The day that prices are asked for.
    """
    for model in settings.models:
        if (spec := model.pods) is not None:
            yield _carried(settings, model.name, spec)
            yield from _paid(settings, spec, on)
            yield from _waited(settings, spec)


def _carried(settings: Settings, name: str, spec: EksServingSpec) -> str:
    pods, nodes = pods_for(spec.target_requests_per_second, spec), supply(settings, spec)
    least, most = spec.autoscaling.min_pods, spec.autoscaling.max_pods
    return (
        f"{name}: {spec.target_requests_per_second} requests/s and {spec.reserve_percent} % in reserve need "
        f"{pods} pods, which fill {_nodes(nodes_for(pods, nodes))}; {least} to {most} pods fill at most "
        f"{_nodes(nodes_for(most, nodes))} and carry {most * spec.pod.requests_per_second} requests/s"
    )


def _nodes(filled: dict[str, int] | None) -> str:
    count = None if filled is None else sum(filled.values())
    return "1 node" if count == 1 else f"{count} nodes"


def _paid(settings: Settings, spec: EksServingSpec, on: date) -> Iterator[str]:
    """Yield what a month of the target load costs, and one in which all pods run that there may be."""
    target, prices = spec.target_requests_per_second, price_table()
    pods = pods_for(target, spec)
    for what, count, load in (("target load", pods, target), ("most pods", spec.autoscaling.max_pods, None)):
        found = carrying(settings, spec, count, prices, on)
        if found is None:
            continue
        each = found.monthly.expected * MILLION / (load * SECONDS_PER_MONTH) if load else None
        share = f", {each:.4f} for a million requests" if each is not None else ""
        yield f"  {what}, {count} pods: {_money(found.monthly)} US dollars a month for nodes{share}"
        yield from (f"    {_money(line.monthly):>10}  {line.what} in {line.resource}" for line in found.lines)
        yield from (f"    not priced: {gap.what} in {gap.resource} ({gap.why})" for gap in found.not_priced)
    yield (
        f"    list prices read on {prices.read}, of nodes that the pods fill: spread over zones they share more of "
        "them, which `make cost` counts, with control plane, load balancers and traffic"
    )


def _money(amount: Band) -> str:
    return f"{amount.expected:,.2f}" + ("" if amount.is_exact else f" ({amount.low:,.2f} to {amount.high:,.2f})")


def _waited(settings: Settings, spec: EksServingSpec) -> Iterator[str]:
    noticed = seconds(NOTICED)
    for headroom in (False, True) if has_headroom(settings, spec) else (False,):
        waits, bound = steps(spec, headroom=headroom), GOAL_SECONDS if headroom else CEILING_SECONDS
        way = "in the place of a placeholder" if headroom else "on a node that has to start"
        yield (
            f"  {way}: pending to ready {seconds(waits):.0f} s (at most {bound}), "
            f"load to ready {noticed + seconds(waits):.0f} s"
        )
        yield from (f"    {step.seconds:4.0f} s  {step.name} ({step.source})" for step in (*NOTICED, *waits))


def main(arguments: Sequence[str]) -> int:
    """Print the report of each file."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.capacity", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="stack files")
    today = datetime.now(tz=UTC).date()
    try:
        for path in parser.parse_args(arguments).files:
            sys.stdout.write("".join(f"{line}\n" for line in (path.name, *report(load_file(path), today))))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
