"""Charts rendered by the real Helm, without a cluster, and the question which values a chart reads."""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, cast

from tests.kube.control_plane import programs
from tests.kube.manifests import read_manifests
from tools.go_programs import required_version
from tools.kube_programs import KUBE_MODULE, PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.kube.api import Object

SECONDS = 60.0
SERVED = (
    "monitoring.coreos.com/v1",
    *(f"monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule", "ServiceMonitor")),
)
"""What a cluster serves beside Kubernetes' own when charts are installed; some leave out objects where it does not."""
Steps = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""


class ChartError(Exception):
    """Helm does not render a chart with these values; says why."""


def rendered(
    chart: Path, values: Mapping[str, Any], *, name: str, namespace: str, crds: bool = False
) -> tuple[Object, ...]:
    """The objects that a release of a chart consists of, for the Kubernetes version that the tests run.

    Args:
        chart: Folder with the chart, dependencies included.
        values: Values of the release.
        name: Name of the release.
        namespace: Namespace of the release.
        crds: Whether the chart's folder `crds/` is part of it.

    Raises:
        ChartError: Helm refuses the values, or the chart's templates do.
    """
    return _rendered(chart, json.dumps(values, sort_keys=True), name, namespace, crds=crds)


@functools.cache
def _rendered(chart: Path, values: str, name: str, namespace: str, *, crds: bool) -> tuple[Object, ...]:
    kubernetes = required_version(KUBE_MODULE, PROGRAMS["kube-apiserver"].module)
    with tempfile.TemporaryDirectory() as home:
        command = [str(programs().path("helm")), "template", name, str(chart), f"--namespace={namespace}", "--values=-"]
        command += [f"--api-versions={served}" for served in SERVED]
        command += [f"--kube-version=v{kubernetes}", *(["--include-crds"] if crds else ["--skip-crds"])]
        done = subprocess.run(
            command,
            input=values,
            # What a user's Helm is set up with plays no part.
            env={"PATH": os.environ["PATH"], "HOME": home},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    if done.returncode:
        raise ChartError(done.stderr.strip())
    return tuple(read_manifests(done.stdout))


def leaves(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, object]]:
    """Every value that is no container, or an empty one, with the path to it."""
    inside: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        inside = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        inside = enumerate(cast("list[Any]", value))
    for step, inner in inside:
        yield from leaves(inner, (*path, step))
    if not inside or not value:
        yield path, value


def another(value: object) -> object:
    """A value of the same type that is not the same."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}9"
        case list():
            return ["probe"]
        case _:
            return {"probe": "probe"}


def unread(chart: Path, values: Mapping[str, Any], *, name: str, namespace: str) -> list[str]:
    """Paths of values that a chart does not read: with another value there, it renders the very same objects.

    A chart that refuses the other value has read it.
    """
    before = rendered(chart, values, name=name, namespace=namespace)
    found: list[str] = []
    for path, value in leaves(values):
        changed = copy.deepcopy(dict(values))
        holder: Any = changed
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = another(value)
        try:
            after = rendered(chart, changed, name=name, namespace=namespace)
        except ChartError:
            continue
        if after == before:
            found.append(".".join(map(str, path)))
    return found
