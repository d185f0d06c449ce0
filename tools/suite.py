"""The parts of `make test` and `make check`, one after the other, each with its time; a failing part stops no other.

python -m tools.suite test          # unit, program, engine, loop
python -m tools.suite test unit
python -m tools.suite kube
python -m tools.suite sdk
python -m tools.suite check
"""

import argparse
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.environments import ROOT, import_path
from tools.progress import elapsed

WORKERS = "2"
QUIET_PYRIGHT = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
"""Keeps the wrapper from asking the network whether a newer pyright exists."""


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a suite."""

    name: str
    command: tuple[str, ...]
    """Options of the interpreter, or a script of the environment followed by its arguments."""

    def words(self) -> list[str]:
        """The command as it is started."""
        return [sys.executable, *self.command] if self.command[0].startswith("-") else self._script()

    def _script(self) -> list[str]:
        return [str(Path(sys.executable).parent / self.command[0]), *self.command[1:]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a part ended."""

    name: str
    code: int
    seconds: float


def python_paths(root: Path = ROOT) -> list[str]:
    """Existing files and folders of ours that hold Python, as pyright's `include` in pyproject.toml lists them."""
    include = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pyright"]["include"]
    return [path for path in include if (root / path).exists()]


def parts_of_test() -> list[Part]:
    """Unit and program parts need nothing but Python; the engine part a Pulumi CLI; the loop part trains and serves."""
    pytest, quick = ("-m", "pytest"), "not engine and not loop and not kube"
    return [
        Part("unit", (*pytest, "-m", f"not program and {quick}", "-n", WORKERS)),
        Part("program", (*pytest, "-m", f"program and {quick}", "-n", WORKERS)),
        Part("engine", (*pytest, "-m", "engine", "-n", WORKERS, "--dist", "loadscope")),
        Part("loop", (*pytest, "-m", "loop and not engine and not kube")),
    ]


def parts_of_kube() -> list[Part]:
    """Apart from the other tests: what these talk to is built from source first, which needs Go and minutes."""
    return [Part("kube", ("-m", "pytest", "-m", "kube"))]


def parts_of_sdk() -> list[Part]:
    """In the environment of group `sdk`, which has none of the packages that the other tests share."""
    return [Part("sdk", ("-m", "pytest", "--confcutdir=tests/sdk", "tests/sdk"))]


def parts_of_check() -> list[Part]:
    """Everything that can be said about the code without running it."""
    return [
        Part("format", ("-m", "ruff", "format", "--check", ".")),
        Part("lint", ("-m", "ruff", "check", ".")),
        Part("types", ("-m", "pyright")),
        Part("imports", ("lint-imports",)),
        Part("lost strings", ("-m", "tools.lost_strings", *python_paths())),
        Part("settings schema", ("-m", "settings.schema", "--check")),
        Part("policy documents", ("-m", "guardrails.docs", "--check")),
        Part("requirement locks", ("-m", "tools.locks", "--check")),
        Part("bill of materials", ("-m", "sbom", "--check")),
        Part("Dockerfile", ("hadolint", "--failure-threshold", "style", "model_image/Dockerfile")),
    ]


SUITES: Mapping[str, Callable[[], list[Part]]] = {
    "test": parts_of_test,
    "kube": parts_of_kube,
    "sdk": parts_of_sdk,
    "check": parts_of_check,
}


def run(part: Part) -> Outcome:
    """Run one part in the checkout; its output goes straight through."""
    sys.stdout.write(f"\n── {part.name}\n")
    sys.stdout.flush()
    started = time.monotonic()
    env = os.environ | QUIET_PYRIGHT | {"PYTHONPATH": import_path()}
    done = subprocess.run(part.words(), cwd=ROOT, env=env, check=False)  # noqa: S603 - no shell
    return Outcome(part.name, done.returncode, time.monotonic() - started)


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line per part, failed ones marked."""
    width = max(len(outcome.name) for outcome in outcomes)
    lines = (
        f"  {'✗' if outcome.code else '✓'} {outcome.name:<{width}}  {elapsed(outcome.seconds)}"
        + (f"  (exit code {outcome.code})" if outcome.code else "")
        for outcome in outcomes
    )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run a suite, or the named parts of it; 1 when any part failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.suite")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these; default: all")
    parsed = parser.parse_args(arguments)
    parts = SUITES[parsed.suite]()
    names = [part.name for part in parts]
    if unknown := set(parsed.parts) - set(names):
        parser.error(f"{parsed.suite} has no part {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    outcomes = [run(part) for part in parts if not parsed.parts or part.name in parsed.parts]
    sys.stdout.write(f"\n{summary(outcomes)}\n")
    return 1 if any(outcome.code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
