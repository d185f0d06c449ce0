"""`python -m tools.chart_values --chart PATH --name CHART`: what a chart makes of each value that the program passes.

Renders a downloaded chart with the values of every release of it in every environment, once more without each value,
and compares. `tests/components/chart_values.yaml` keeps the answers: without `--write` the command says whether they
still hold, with it they are written anew. `docs/charts.md` says when. Needs Helm, and the development environment for
the values: they are what the recorded program passes.
"""

import argparse
import copy
import datetime as dt
import difflib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from tools.artefacts import Cache, cache_root
from tools.commands import Commands, SetupError
from tools.environments import ROOT
from tools.go_programs import required_version
from tools.helm import ChartError, Helm
from tools.kube_programs import KUBE_MODULE, KUBERNETES, KubePrograms
from tools.progress import Board

FACTS = ROOT / "tests" / "components" / "chart_values.yaml"
"""The answers, by chart."""
HEAD = """\
# What the charts make of each value that the program passes: `changes` where the manifests are others without it,
# `default` where the chart does the same by itself and something else with another value. A path is written as
# `helm --set` takes it; `[]` is any entry of a list and `*` any key that the stack file chooses. `images` are those of
# the first environment. `python -m tools.chart_values` writes this file, see docs/charts.md.
"""
CHOSEN_KEYS: Mapping[str, frozenset[str]] = {
    "aws-ebs-csi-driver": frozenset({"controller.extraVolumeTags"}),
    "aws-load-balancer-controller": frozenset({"defaultTags", "vpcTags"}),
    "nvidia-device-plugin": frozenset({"config.map"}),
}
"""Mappings whose keys are no names of the chart's: the stack file chooses them."""
NEEDS_CLUSTER: Mapping[str, frozenset[str]] = {"aws-load-balancer-controller": frozenset({"keepTLSSecret"})}
"""Values that templates read only after they have found an object in the cluster (Helm's function `lookup`)."""
IMAGE = re.compile(
    r"(?<![\w./:@-])((?:[a-z0-9-]+\.)+[a-z]{2,}/[\w./-]+)(?::[\w.-]+)(?:@sha256:[0-9a-f]{64})?(?![\w./:-])"
)
"""An image with its registry and a tag: in a field, or in an argument of an operator that runs others."""
Steps = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""
Differs = Callable[[Mapping[str, Any]], bool]
"""Whether a release renders to other manifests with other values. A chart that refuses them has read them."""


class Effect(StrEnum):
    """What a value does."""

    CHANGES = "changes"
    DEFAULT = "default"
    CLUSTER = "cluster"
    """Changes what is upgraded, and nothing of what is rendered without a cluster."""
    UNREAD = "unread"
    """Nothing, whatever it is."""


def leaves(value: object, path: Steps = ()) -> Iterator[tuple[Steps, object]]:
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


def spelled(chart: str, path: Steps) -> str:
    """A path as `helm --set` takes it, with `[]` for any position and `*` for any key that the stack file chooses."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += "[]"
        elif text in CHOSEN_KEYS.get(chart, frozenset()):
            text += ".*"
        else:
            text += ("." if text else "") + step.replace(".", "\\.")
    return text


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


def reads(differs: Differs, values: Mapping[str, Any], path: Steps) -> bool:
    """Whether something changes when the value at a path does."""
    changed, holder = _copied(values, path)
    holder[path[-1]] = another(holder[path[-1]])
    return differs(changed)


def effect(differs: Differs, values: Mapping[str, Any], path: Steps) -> Effect:
    """What the value at a path does: compared with values that lack it, then with another one there."""
    changed, holder = _copied(values, path)
    del holder[path[-1]]
    if differs(changed):
        return Effect.CHANGES
    return Effect.DEFAULT if reads(differs, values, path) else Effect.UNREAD


def _copied(values: Mapping[str, Any], path: Steps) -> tuple[Mapping[str, Any], Any]:
    """A copy of values, and the container in it that holds the value at a path."""
    changed = copy.deepcopy(dict(values))
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    return changed, holder


def effects(
    releases: Sequence[Mapping[str, Any]], differs: Callable[[Mapping[str, Any]], Differs]
) -> dict[str, Effect]:
    """Effect of every path that releases of one chart pass; of a value that several pass, the first that is not unread.

    Args:
        releases: Objects as `tests.support.releases` writes them, all of one chart.
        differs: Makes the comparison for one of them.
    """
    found: dict[str, dict[str, Effect]] = {}
    for release in releases:
        compare = differs(release)
        for path, value in leaves(release["values"]):
            known = found.setdefault(spelled(release["chart"], path), {})
            written = json.dumps(value)
            if known.get(written, Effect.UNREAD) is Effect.UNREAD:
                known[written] = effect(compare, release["values"], path)
    elsewhere = NEEDS_CLUSTER.get(releases[0]["chart"], frozenset())
    return {
        path: Effect.CLUSTER if path in elsewhere else _together(set(known.values()))
        for path, known in sorted(found.items())
    }


def _together(found: set[Effect]) -> Effect:
    """One value that nothing reads spoils the path; one that changes something is what the path is for."""
    return next(each for each in (Effect.UNREAD, Effect.CHANGES, Effect.DEFAULT) if each in found)


def template(helm: Helm, chart: Path, release: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """The manifests of a release with values that need not be its own.

    Raises:
        ChartError: The chart refuses them.
    """
    name, namespace, crds = release["name"], release["namespace"], release["crds"]
    return helm.template(chart, json.dumps(values), name=name, namespace=namespace, crds=crds)


def images_in(manifests: str) -> list[str]:
    """The images that manifests name with their registry, each once and without its tag."""
    return sorted({match[1] for match in IMAGE.finditer(manifests)})


def comparison(helm: Helm, chart: Path, release: Mapping[str, Any]) -> Differs:
    """Compares manifests line by line, but for lines that two renderings of the same do not share: chance made them.

    Raises:
        ChartError: The chart refuses the values that the program passes.
    """

    def lines(values: Mapping[str, Any]) -> list[str]:
        return template(helm, chart, release, values).splitlines()

    before, again = lines(release["values"]), lines(release["values"])
    fixed = [(number, line) for number, (line, other) in enumerate(zip(before, again, strict=True)) if line == other]

    def differs(values: Mapping[str, Any]) -> bool:
        try:
            after = lines(values)
        except ChartError:
            return True
        return len(after) != len(before) or any(after[number] != line for number, line in fixed)

    return differs


def entry(
    chart: str,
    version: str,
    found: Mapping[str, Effect],
    *,
    images: Sequence[str],
    date: dt.date,
    source: str,
) -> str:
    """The part of the file of answers that is about one chart.

    Args:
        chart: Its name.
        version: Version by which the program installs it.
        found: What values do.
        images: Images of its pods.
        date: When it was rendered.
        source: Where it was read.
    """
    lines = [f"{chart} {version}:", f"  date: {date}", f"  source: {json.dumps(source)}"]
    lines += ["  images:", *(f"    - {image}" for image in images)] if images else ["  images: []"]
    lines += ["  values:", *(f"    {path}: {effect_}" for path, effect_ in found.items())]
    return "\n".join(lines) + "\n"


def entries(text: str) -> dict[str, str]:
    """The parts of the file of answers, by chart and version."""
    return {found[1]: found[0] for found in re.finditer(r"^(\S+ \S+):\n(?:[ ].*\n)+", text, re.MULTILINE)}


def answers(part: str) -> list[str]:
    """The lines of a part that the chart decides: images and effects."""
    return [line.strip() for line in part.splitlines() if line.startswith("    ")]


def recorded() -> str:
    """What the program passes, as `tests.support.releases` writes it.

    Raises:
        SetupError: The program cannot be recorded.
    """
    command = [sys.executable, "-m", "tests.support.releases"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode:
        raise SetupError(f"`python -m tests.support.releases` failed:\n{done.stderr.strip()}")
    return done.stdout


def select(every: Sequence[Mapping[str, Any]], chart: str, versions: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The releases of a chart at the version that was downloaded.

    Args:
        every: All releases that the program can make.
        chart: Name of the chart or EKS add-on.
        versions: What the downloaded chart says of itself.

    Raises:
        SetupError: There is none.
    """
    found = [release for release in every if release["chart"] == chart and is_version(release["version"], versions)]
    if not found:
        known = sorted({f"{release['chart']} {release['version']}" for release in every})
        raise SetupError(f"{chart} {dict(versions)} is nothing that the program installs. It does: {', '.join(known)}")
    return found


def find_helm() -> Helm:
    """The Helm on PATH, else the one that set-up built.

    Raises:
        SetupError: There is neither.
    """
    found = shutil.which("helm")
    program = Path(found) if found else KubePrograms(Cache(cache_root(), Board()), Commands()).path("helm")
    return Helm(program=program, kubernetes=required_version(KUBE_MODULE, KUBERNETES))


def is_version(pinned: str, versions: Mapping[str, str]) -> bool:
    """Whether a chart is what the program installs: by its version; of an EKS add-on, also by that of what it runs."""
    wanted, addon, _ = pinned.partition("-eksbuild")
    named = versions.values() if addon else [versions.get("version", "")]
    return wanted.removeprefix("v") in {each.removeprefix("v") for each in named}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare with the file of answers or write it; 0 when every value is read and the file says the same."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.chart_values", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--chart", type=Path, required=True, help="folder or archive, as `helm pull` leaves it")
    parser.add_argument("--name", required=True, help="name of the chart, or of the EKS add-on")
    parser.add_argument("--write", metavar="SOURCE", help="write the answers; SOURCE says where the chart was read")
    parser.add_argument("--releases", type=Path, help="what tests.support.releases wrote; otherwise recorded now")
    given = parser.parse_args(arguments)
    try:
        return _check(given.name, given.chart, given.releases, given.write)
    except (ChartError, SetupError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _check(chart: str, folder: Path, releases: Path | None, source: str | None) -> int:
    helm = find_helm()
    every = json.loads(releases.read_text("utf-8") if releases else recorded())
    selected = select(every, chart, helm.versions(folder))
    found = effects(selected, lambda release: comparison(helm, folder, release))
    version = selected[0]["version"]
    unread = [path for path, what in found.items() if what is Effect.UNREAD]
    for path in unread:
        sys.stdout.write(f"{chart} {version}: nothing reads {path}\n")
    if unread:
        return 1
    kept = entries(FACTS.read_text("utf-8")) if FACTS.exists() else {}
    made = entry(
        chart,
        version,
        found,
        # EKS keeps the images of its add-ons in registries of its own.
        images=[] if "-eksbuild" in version else images_in(template(helm, folder, selected[0], selected[0]["values"])),
        date=dt.datetime.now(tz=dt.UTC).date(),
        source=source or "",
    )
    if source is not None:
        FACTS.write_text(
            "\n".join([HEAD, *dict(sorted({**kept, f"{chart} {version}": made}.items())).values()]), "utf-8"
        )
        sys.stdout.write(f"{chart} {version}: {len(found)} values, written to {FACTS.name}\n")
        return 0
    changes = difflib.unified_diff(answers(kept.get(f"{chart} {version}", "")), answers(made), lineterm="", n=0)
    listed = [line for line in changes if not line.startswith(("---", "+++", "@@"))]
    sys.stdout.write("".join(f"{chart} {version}: {line}\n" for line in listed))
    sys.stdout.write(f"{chart} {version}: {len(found)} values, {len(listed)} lines not as written\n")
    return 1 if listed else 0


if __name__ == "__main__":
    sys.exit(main())
