"""Charts at hand: what Helm would install, as resources below their releases, so that the policies judge it too.

A folder holds charts by name, as `helm pull --untar` leaves them. A release whose chart is not there stays what its
values say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox.manifests import Object, read_manifests
from tools.helm import ChartError, Helm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RELEASE: Final = "kubernetes:helm.sh/v3:Release"


def with_charts(recorded: Mapping[str, Any], folder: Path, helm: Helm) -> tuple[dict[str, Any], dict[str, int]]:
    """A deployment with the objects of every release whose chart is in `folder`.

    Args:
        recorded: A deployment in the format of `pulumi stack export`.
        folder: Charts by name.
        helm: Renders them.

    Returns:
        The deployment, and how many objects each rendered chart has.

    Raises:
        ChartError: A chart refuses the values.
    """
    resources: list[dict[str, Any]] = list(recorded["deployment"]["resources"])
    counts: dict[str, int] = {}
    for release in [each for each in resources if each["type"] == _RELEASE]:
        chart = str(release["inputs"]["chart"]).rpartition("/")[2]
        if (folder / chart).exists():
            objects = _objects(helm, folder / chart, release)
            counts[chart] = len(objects)
            resources += objects
    return {**recorded, "deployment": {**recorded["deployment"], "resources": resources}}, counts


def refuse_other_versions(recorded: Mapping[str, Any], folder: Path, helm: Helm) -> None:
    """Refuse charts in `folder` of other versions than the releases ask for.

    Raises:
        ChartError: There is one; names all of them.
    """
    problems: list[str] = []
    for inputs in (each["inputs"] for each in recorded["deployment"]["resources"] if each["type"] == _RELEASE):
        chart = folder / str(inputs["chart"]).rpartition("/")[2]
        if chart.exists():
            found, wanted = helm.versions(chart).get("version", "none"), str(inputs["version"])
            if found.removeprefix("v") != wanted.removeprefix("v"):
                problems.append(f"{chart} is version {found}, the release asks for {wanted}: pull that one")
    if problems:
        raise ChartError("\n".join(problems))


def _objects(helm: Helm, chart: Path, release: Mapping[str, Any]) -> list[Object]:
    inputs = release["inputs"]
    text = helm.template(
        chart,
        json.dumps(inputs.get("values") or {}),
        name=inputs["name"],
        namespace=inputs["namespace"],
        crds=not inputs.get("skipCrds"),
    )
    return [_resource(held, release) for held in read_manifests(text)]


def _resource(held: Object, release: Mapping[str, Any]) -> Object:
    metadata: Object = held.get("metadata") or {}
    version = str(held["apiVersion"])
    group = version if "/" in version else f"core/{version}"
    token = f"kubernetes:{group}:{held['kind']}"
    place = metadata.get("namespace") or release["inputs"]["namespace"]
    head, _, name = str(release["urn"]).rpartition("::")
    filled: Object = {**held, "metadata": {"namespace": place, **metadata}}
    return {
        "urn": f"{head}${token}::{name}/{place}/{metadata.get('name', '')}",
        "type": token,
        "custom": True,
        "parent": release["urn"],
        "provider": release.get("provider", ""),
        "inputs": filled,
        "outputs": filled,
    }
