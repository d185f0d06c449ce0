"""Charts rendered by the Helm that set-up built, and the question which values a chart reads."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from sandbox.manifests import read_manifests
from tests.kube.control_plane import programs
from tools.chart_values import leaves, reads
from tools.go_programs import required_version
from tools.helm import ChartError, Helm
from tools.kube_programs import KUBE_MODULE, KUBERNETES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.kube.api import Object


@functools.cache
def helm() -> Helm:
    """Helm for the Kubernetes version that the tests run."""
    return Helm(program=programs().path("helm"), kubernetes=required_version(KUBE_MODULE, KUBERNETES))


def rendered(
    chart: Path, values: Mapping[str, Any], *, name: str, namespace: str, crds: bool = False
) -> tuple[Object, ...]:
    """The objects that a release of a chart consists of; arguments and errors are those of `Helm.template`."""
    return _rendered(chart, json.dumps(values, sort_keys=True), name, namespace, crds=crds)


@functools.cache
def _rendered(chart: Path, values: str, name: str, namespace: str, *, crds: bool) -> tuple[Object, ...]:
    return tuple(read_manifests(helm().template(chart, values, name=name, namespace=namespace, crds=crds)))


def unread(chart: Path, values: Mapping[str, Any], *, name: str, namespace: str) -> list[str]:
    """Paths of values that a chart does not read: with another value there, it renders the very same objects."""
    before = rendered(chart, values, name=name, namespace=namespace)

    def differs(changed: Mapping[str, Any]) -> bool:
        try:
            return rendered(chart, changed, name=name, namespace=namespace) != before
        except ChartError:
            return True

    return [".".join(map(str, path)) for path, _ in leaves(values) if not reads(differs, values, path)]
