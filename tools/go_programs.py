"""Programs that set-up builds from Go modules whose versions and hashes the checkout commits.

A folder with `go.mod` and `go.sum` names the modules; Go itself, through whatever module proxy it is set up for,
fetches and verifies them. Nothing else is needed: no C compiler, no version control, no system package.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.commands import Commands, SetupError, answer
from tools.progress import Step

OLDEST_GO = (1, 21)
"""First Go that fetches the toolchain that go.mod asks for by itself."""


def go_refusal() -> str | None:
    """Why no Go module can be built here; None when one can."""
    if shutil.which("go") is None:
        return "no `go` on PATH"
    found = answer(["go", "env", "GOVERSION"]) or ""
    numbers = re.match(r"go(\d+)\.(\d+)", found)
    if numbers is None:
        return f"`go env GOVERSION` answers {found!r}"
    if (int(numbers[1]), int(numbers[2])) < OLDEST_GO:
        return f"Go on PATH is {found.removeprefix('go')}, older than {OLDEST_GO[0]}.{OLDEST_GO[1]}"
    return None


def required_version(folder: Path, module: str) -> str:
    """The version, such as `1.35.4`, that the `go.mod` of a folder requires of a module.

    Raises:
        SetupError: It requires none.
    """
    file = folder / "go.mod"
    if found := re.search(
        rf"^\s*(?:require )?{re.escape(module)} v(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE
    ):
        return found[1]
    raise SetupError(f"{file}: no line requires {module}")


def pins_key(folder: Path) -> str:
    """Hash of everything that a folder pins, for names of artefacts that are made of it."""
    return hashlib.sha256((folder / "go.mod").read_bytes() + (folder / "go.sum").read_bytes()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """One executable and where its source is pinned."""

    folder: Path
    """Holds `go.mod` and `go.sum`."""
    package: str
    """Import path of its package main."""
    variables: Mapping[str, str]
    """String variables that the linker sets, by import path and name: how a program learns its own version."""
    tags: tuple[str, ...] = ()
    """Build tags: what of its source is left out."""

    def build(self, executable: Path, *, commands: Commands, log: Path, step: Step) -> None:
        """Build it; what Go's own cache holds is not compiled again.

        Raises:
            SetupError: A module cannot be fetched or is not the pinned one, or the build fails.
        """
        env = go_environment()
        progress = GoProgress(step)
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        listing: list[str | Path] = ["go", "list", "-deps", *tags, self.package]
        commands.run(listing, log=log, on_line=progress.listed, env=env, cwd=self.folder)
        flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables.items())])
        commands.run(
            ["go", "build", "-v", "-buildvcs=false", *tags, "-ldflags", flags, "-o", executable, self.package],
            log=log,
            on_line=progress.built,
            env=env,
            cwd=self.folder,
        )


def go_environment() -> dict[str, str]:
    """Variables of a build: no C compiler needed, a binary that runs on any libc, no workspace of the user's."""
    env = os.environ | {"CGO_ENABLED": "0"}
    env.pop("GOWORK", None)
    return env


class GoProgress:
    """Turns the output of `go list -deps` and `go build -v` into counts; packages in Go's own cache are not built."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._modules = 0
        self._packages = 0
        self._compiled = 0

    def listed(self, line: str) -> None:
        """One line of `go list -deps`: a download, or a package that the program is made of."""
        if line.startswith("go: "):
            self._modules += "downloading" in line
            self._step.detail = f"{self._modules} Go modules downloaded"
        else:
            self._packages += 1

    def built(self, line: str) -> None:
        """One line of `go build -v`: a package whose compilation began."""
        if not line.startswith(("go: ", "#")):
            self._compiled += 1
            self._step.detail = f"building it from Go, package {self._compiled} of at most {self._packages}"
