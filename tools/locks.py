"""The hash-pinned requirement locks: `make lock` writes them, `make check` holds them to their inputs.

python -m tools.locks            # resolve again, keeping what is locked and still fits
python -m tools.locks --upgrade  # take the newest that fits
python -m tools.locks --check    # offline; exit code 1 with every inconsistency
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.artefacts import Cache, cache_root
from tools.commands import Commands
from tools.environments import (
    BENCH_GROUPS,
    GROUPS,
    REQUIREMENTS,
    SDK_GROUP,
    SERVER_GROUPS,
    Environments,
    uv_environment,
)
from tools.progress import Board

PYTHON = "3.11"
"""Oldest Python that the locks must install on."""
ORDER = (
    *(("bootstrap", None), ("image", None), ("dev", "image"), ("program", "dev"), ("local", "dev")),
    (SDK_GROUP, "program"),
    *((group, None) for group in (*BENCH_GROUPS, *SERVER_GROUPS)),
)
"""Each group with the lock that constrains it: shared packages then have one version everywhere."""
FORBIDDEN = {
    r"--(?:extra-)?index-url|--find-links": "an index address; --no-emit-index-url keeps it out",
    r"\bhttps?://": "an address",
    r"\bfile:|(?:^|\s)/\w+/": "a path of one machine",
}


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package of a lock."""

    version: str
    hashes: int


def normalised(name: str) -> str:
    """Package name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(text: str) -> Iterator[tuple[str, str]]:
    """(package, version specifier) of every requirement in an `.in` file; extras and included files are left out."""
    for line in text.splitlines():
        bare = line.split("#", 1)[0].strip()
        if found := re.match(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*([^;]*)", bare):
            yield normalised(found[1]), found[2].strip()


def locked(text: str) -> dict[str, list[Pinned]]:
    """Packages of a lock; a package has several entries where platforms need different versions."""
    packages: dict[str, list[Pinned]] = {}
    for entry in re.split(r"\n(?=\S)", text):
        if found := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", entry):
            pinned = Pinned(found[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)))
            packages.setdefault(normalised(found[1]), []).append(pinned)
    return packages


def fits(version: str, specifier: str) -> bool:
    """Whether a locked version meets an exact (`==1.2`) or prefix (`==1.2.*`) pin; the rest is uv's to judge."""
    if not specifier.startswith("=="):
        return True
    pin = specifier.removeprefix("==").strip()
    return version == pin or (pin.endswith(".*") and f"{version}.".startswith(pin[:-1]))


def problems_of_group(group: str, source: str, lock: str) -> Iterator[str]:
    """What is wrong with one lock, taken by itself."""
    name, packages = f"requirements/{group}.txt", locked(lock)
    for package, specifier in wanted(source):
        if package not in packages:
            yield f"{name}: {package} of {group}.in is missing; run `make lock`"
        yield from (
            f"{name}: {package} is {pinned.version}, {group}.in wants {specifier}; run `make lock`"
            for pinned in packages.get(package, ())
            if not fits(pinned.version, specifier)
        )
    for package, pins in packages.items():
        yield from (f"{name}: {package} {p.version} has no SHA-256; run `make lock`" for p in pins if not p.hashes)
    for number, line in enumerate(lock.splitlines(), start=1):
        for pattern, what in FORBIDDEN.items():
            if re.search(pattern, line):
                yield f"{name}:{number}: names {what}: {line.strip()}"


def disagreements(locks: Mapping[str, str]) -> Iterator[str]:
    """Packages that two groups lock in different versions."""
    versions: dict[str, dict[str, tuple[str, ...]]] = {}
    for group, text in locks.items():
        for package, pins in locked(text).items():
            versions.setdefault(package, {})[group] = tuple(sorted(pin.version for pin in pins))
    for package, by_group in sorted(versions.items()):
        if len(set(by_group.values())) > 1:
            found = ", ".join(f"{group} {'/'.join(pins)}" for group, pins in by_group.items())
            yield f"requirements: {package} differs between groups ({found}); run `make lock`"


def problems(folder: Path) -> Iterator[str]:
    """Everything that is wrong with the locks in `folder`, judged without an index."""
    read = {group: [folder / f"{group}.{kind}" for kind in ("in", "txt")] for group, _ in ORDER}
    absent = [path for paths in read.values() for path in paths if not path.is_file()]
    yield from (f"requirements/{path.name}: missing" for path in absent)
    if absent:
        return
    texts = {group: [path.read_text(encoding="utf-8") for path in paths] for group, paths in read.items()}
    for group, (source, lock) in texts.items():
        yield from problems_of_group(group, source, lock)
    yield from disagreements({group: texts[group][1] for group in GROUPS})


def compile_command(uv: Path, group: str, constraint: str | None, options: Iterable[str]) -> list[str]:
    """How uv writes one lock, to be run inside `requirements/` so that no path gets into it."""
    return [
        *[str(uv), "pip", "compile", "--universal", "--python-version", PYTHON, "--generate-hashes"],
        *["--no-emit-index-url", "--no-emit-find-links", f"{group}.in"],
        *(["-c", f"{constraint}.txt"] if constraint else []),
        *["-o", f"{group}.txt", "--quiet", *options],
    ]


def write(options: Sequence[str]) -> int:
    """Resolve every group again, in an order in which each constraint is already new; returns uv's exit code."""
    uv = Environments(Cache(cache_root(), Board()), Commands()).uv()
    env = uv_environment(uv) | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
    for group, constraint in ORDER:
        sys.stdout.write(f"  requirements/{group}.txt\n")
        sys.stdout.flush()
        command = compile_command(uv, group, constraint, options)
        done = subprocess.run(command, cwd=REQUIREMENTS, env=env, check=False)  # noqa: S603 - our own uv, no shell
        if done.returncode:
            return done.returncode
    return os.EX_OK


def main(arguments: Sequence[str]) -> int:
    """Write the locks, or check them."""
    parser = argparse.ArgumentParser(prog="python -m tools.locks")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="report inconsistencies, change nothing, ask no index")
    choice.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    parsed = parser.parse_args(arguments)
    if not parsed.check and (code := write(["--upgrade"] if parsed.upgrade else [])):
        return code
    found = list(problems(REQUIREMENTS))
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
