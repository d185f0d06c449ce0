"""`python -m tools.chart_values --chart PATH --name CHART`: what a chart makes of each value that the program passes.

Renders a downloaded chart with the values of every release of it in every environment, once more without each value,
and compares. `tests/components/chart_values.yaml` keeps the answers: without `--write` the command says whether they
still hold, with it they are written anew. `docs/charts.md` says when. Needs Helm, and the development environment for
the values: they are what the recorded program passes.
"""

import argparse
import copy
import datetime
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
# `default` where the chart does the same by itself and something else with another value. `python -m tools.chart_values`
# writes this file, see docs/charts.md; a path is written as `helm --set` takes it, `[]` is any entry of a list and `*`
# any key that the stack file chooses.
"""
CHOSEN_KEYS: Mapping[str, frozenset[str]] = {
    "aws-ebs-csi-driver": frozenset({"controller.extraVolumeTags"}),
    "aws-load-balancer-controller": frozenset({"defaultTags", "vpcTags"}),
    "nvidia-device-plugin": frozenset({"config.map"}),
}
"""Mappings whose keys are no names of the chart's: the stack file chooses them."""
Steps = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""
Differs = Callable[[Mapping[str, Any]], bool]
"""Whether a release renders to other manifests with other values. A chart that refuses them has read them."""


class Effect(StrEnum):
    """What a value does."""

    CHANGES = "changes"
    DEFAULT = "default"
    UNREAD = "unread"
    """Nothing, whatever it is."""


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


def effects(releases: Sequence[Mapping[str, Any]], differs: Callable[[Mapping[str, Any]], Differs]) -> dict[str, Effect]:
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
    return {path: _together(known.values()) for path, known in sorted(found.items())}


def _together(found: Iterable[Effect]) -> Effect:
    """One value that nothing reads spoils the path; one that changes something is what the path is for."""
    return next(each for each in (Effect.UNREAD, Effect.CHANGES, Effect.DEFAULT) if each in set(found))


def comparison(helm: Helm, chart: Path, release: Mapping[str, Any]) -> Differs:
    """Compares manifests line by line, but for lines that two renderings of the same do not share: chance made them.

    Raises:
        ChartError: The chart refuses the values that the program passes.
    """

    def lines(values: Mapping[str, Any]) -> list[str]:
        name, namespace, crds = release["name"], release["namespace"], release["crds"]
        return helm.template(chart, json.dumps(values), name=name, namespace=namespace, crds=crds).splitlines()

    before, again = lines(release["values"]), lines(release["values"])
    fixed = [(number, line) for number, (line, other) in enumerate(zip(before, again, strict=True)) if line == other]

    def differs(values: Mapping[str, Any]) -> bool:
        try:
            after = lines(values)
        except ChartError:
            return True
        return len(after) != len(before) or any(after[number] != line for number, line in fixed)

    return differs


def entry(chart: str, version: str, found: Mapping[str, Effect], *, date: datetime.date, source: str) -> str:
    """The part of the file of answers that is about one chart."""
    lines = [f"{chart}:", f"  version: {json.dumps(version)}", f"  date: {date}", f"  source: {json.dumps(source)}"]
    lines += ["  values:", *(f"    {path}: {effect_}" for path, effect_ in found.items())]
    return "\n".join(lines) + "\n"


def entries(text: str) -> dict[str, str]:
    """The parts of the file of answers, by chart."""
    return {found[1]: found[0] for found in re.finditer(r"^([\w-]+):\n(?:[ ].*\n)+", text, re.MULTILINE)}


def answers(part: str) -> list[str]:
    """The lines of a part that the chart decides: its version and the effects."""
    return [line for line in part.splitlines() if not line.startswith(("  date:", "  source:"))]


def passed(chart: str) -> list[dict[str, Any]]:
    """Releases of a chart, each as it is in some environment or with some optional part; each different one once.

    Raises:
        SetupError: The program cannot be recorded, or has no such release, or several versions of it.
    """
    command = [sys.executable, "-m", "tests.support.releases"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode:
        raise SetupError(f"`python -m tests.support.releases` failed:\n{done.stderr.strip()}")
    every: list[dict[str, Any]] = json.loads(done.stdout)
    found = [release for release in every if release["chart"] == chart]
    if len({release["version"] for release in found}) != 1:
        known = ", ".join(sorted({release["chart"] for release in every}))
        raise SetupError(f"{chart}: no release with values, or several versions of it; there are: {known}")
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
    """Whether a chart is what the program installs: by its own version, of an EKS add-on by that of what it installs."""
    wanted, addon, _ = pinned.partition("-eksbuild")
    return versions.get("appVersion" if addon else "version", "").removeprefix("v") == wanted.removeprefix("v")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare with the file of answers or write it; 0 when every value is read and the file says the same."""
    parser = argparse.ArgumentParser(prog="python -m tools.chart_values", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chart", type=Path, required=True, help="folder or archive, as `helm pull` leaves it")
    parser.add_argument("--name", required=True, help="name of the chart, or of the EKS add-on")
    parser.add_argument("--write", metavar="SOURCE", help="write the answers; SOURCE says where the chart was read")
    given = parser.parse_args(arguments)
    try:
        return _check(given.name, given.chart, given.write)
    except (ChartError, SetupError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _check(chart: str, folder: Path, source: str | None) -> int:
    helm, releases = find_helm(), passed(chart)
    version, versions = releases[0]["version"], helm.versions(folder)
    if not is_version(version, versions):
        raise SetupError(f"{folder}: the program installs {chart} {version}, and this is {dict(versions)}")
    found = effects(releases, lambda release: comparison(helm, folder, release))
    for path in (path for path, effect_ in found.items() if effect_ is Effect.UNREAD):
        sys.stdout.write(f"{chart} {version}: nothing reads {path}\n")
    if Effect.UNREAD in found.values():
        return 1
    kept = entries(FACTS.read_text("utf-8")) if FACTS.exists() else {}
    made = entry(chart, version, found, date=datetime.datetime.now(tz=datetime.UTC).date(), source=source or "")
    if source is not None:
        FACTS.write_text("\n".join([HEAD, *(part for _, part in sorted({**kept, chart: made}.items()))]), "utf-8")
        sys.stdout.write(f"{chart} {version}: {len(found)} values, written to {FACTS.relative_to(ROOT)}\n")
        return 0
    before, after = answers(kept.get(chart, "")), answers(made)
    for line in [*(f"- {line.strip()}" for line in before if line not in after), *(f"+ {line.strip()}" for line in after if line not in before)]:
        sys.stdout.write(f"{chart} {version}: {line}\n")
    sys.stdout.write(f"{chart} {version}: {len(found)} values, {'as' if before == after else 'not as'} written\n")
    return 0 if before == after else 1


if __name__ == "__main__":
    sys.exit(main())
