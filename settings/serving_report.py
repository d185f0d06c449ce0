"""What pods carry, and how long a burst waits for more: `python -m settings.serving_report Pulumi.prod.yaml …`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from settings.check import load_file
from settings.scale_up import CEILING_SECONDS, GOAL_SECONDS, NOTICED, has_headroom, seconds, steps
from settings.serving_capacity import nodes_for, pods_for, supply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from settings.model import EksServingSpec, Settings


def report(settings: Settings) -> Iterator[str]:
    """Yield the lines about every model that pods serve."""
    for model in settings.models:
        if model.serving is not None and (spec := model.serving.eks) is not None:
            yield _carried(settings, model.name, spec)
            yield from _waited(settings, spec)


def _carried(settings: Settings, name: str, spec: EksServingSpec) -> str:
    pods, nodes = pods_for(spec.target_requests_per_second, spec), supply(settings, spec)
    least, most = spec.autoscaling.min_pods, spec.autoscaling.max_pods
    return (
        f"{name}: {spec.target_requests_per_second} requests/s and {spec.reserve_percent} % in reserve need "
        f"{pods} pods, which fill {_nodes(nodes_for(pods, nodes))}; {least} to {most} pods fill at most "
        f"{_nodes(nodes_for(most, nodes))} and carry {most * spec.pod.requests_per_second} requests/s"
    )


def _nodes(count: int | None) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


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
    parser = argparse.ArgumentParser(prog="python -m settings.serving_report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="stack files")
    for path in parser.parse_args(arguments).files:
        sys.stdout.write("".join(f"{line}\n" for line in (path.name, *report(load_file(path)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
