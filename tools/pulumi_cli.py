"""A Pulumi CLI that fits the pinned SDK: the one on PATH, else the official release, else built from its Go module."""

import functools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import pulumi_release
from tools.artefacts import Artefact, Cache
from tools.commands import Commands, SetupError, answer
from tools.environments import REQUIREMENTS, ROOT
from tools.go_programs import OLDEST_GO, GoProgram, go_refusal
from tools.progress import Step

GO_MODULE = ROOT / "tools" / "pulumi_module"
GO_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
"""What the linker sets; without it the Automation API takes the binary for version 0 and refuses it."""
THREE_WAYS = """\
There are three ways to a Pulumi CLI, and one is enough:
  1. a `pulumi` on PATH, version {version} or newer of the same major version;
  2. the official release, which set-up downloads where the internet is reachable;
  3. Go {go} or newer on PATH, with which set-up builds the CLI from its Go module."""

Version = tuple[int, int, int]


def pinned_version() -> str:
    """The version of the Pulumi SDK that `requirements/program.in` pins; the CLI is held to the same."""
    pins = (REQUIREMENTS / "program.in").read_text(encoding="utf-8")
    if found := re.search(r"^pulumi==(\d+\.\d+\.\d+)\s*$", pins, re.MULTILINE):
        return found[1]
    raise SetupError("requirements/program.in: no line `pulumi==X.Y.Z`; the CLI takes its version from there")


def parse_version(text: str) -> Version | None:
    """`v3.250.0` or `3.250.0-dev.1` as three numbers."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def version_of(executable: Path) -> str | None:
    """What `pulumi version` answers; None when it does not answer."""
    # Without this a CLI asks the internet for its newest version first.
    return answer([executable, "version"], env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"})


def refusal(found: str | None, pinned: str) -> str | None:
    """Why a CLI that calls itself `found` does not fit the pinned SDK; None when it does."""
    version, wanted = parse_version(found or ""), parse_version(pinned)
    if version is None or wanted is None:
        return f"it answers `pulumi version` with {found!r}"
    if version[0] != wanted[0]:
        return f"it is {found}, another major version than the SDK's {pinned}"
    if version < wanted:
        return f"it is {found}, older than the SDK's {pinned}"
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """A CLI on PATH and whether it fits."""

    path: Path
    version: str | None
    refused: str | None


def on_path(pinned: str) -> Found | None:
    """The `pulumi` on PATH, if there is one."""
    where = shutil.which("pulumi")
    if where is None:
        return None
    version = version_of(Path(where))
    return Found(Path(where), version, refusal(version, pinned))


def three_ways(pinned: str) -> str:
    """What a user without a CLI can do."""
    return THREE_WAYS.format(version=pinned, go=f"{OLDEST_GO[0]}.{OLDEST_GO[1]}")


class PulumiCli:
    """Finds or makes the CLI."""

    def __init__(self, cache: Cache, commands: Commands, opener: pulumi_release.Opener = pulumi_release.fetch) -> None:
        self._cache = cache
        self._commands = commands
        self._opener = opener

    def artefact(self) -> Artefact:
        """The cached CLI of the pinned version."""
        version = pinned_version()
        return Artefact(
            name=f"pulumi-{version}",
            title=f"installing the Pulumi CLI {version}",
            probe="bin/pulumi",
            build=functools.partial(self._build, version),
            adopt=lambda folder: parse_version(version_of(folder / "bin" / "pulumi") or "") == parse_version(version),
        )

    def ensure(self) -> Path:
        """Path of a CLI that fits.

        Raises:
            SetupError: None of the three ways leads to one; says why for each.
        """
        version = pinned_version()
        found = on_path(version)
        if found is not None and found.refused is None:
            return found.path
        artefact = self.artefact()
        if found is not None and not self._cache.ready(artefact):
            self._cache.board.say(f"not using {found.path}: {found.refused}")
        return self._cache.ensure(artefact) / "bin" / "pulumi"

    def _build(self, version: str, folder: Path, log: Path, step: Step) -> None:
        def tell(detail: str) -> None:
            step.detail = detail

        tell("asking for the official release")
        try:
            pulumi_release.install(version, folder, tell, self._opener)
        except SetupError as error:
            unreached = str(error)
            self._cache.board.say(f"official release not used: {unreached}")
        else:
            return
        if without_go := go_refusal():
            found = on_path(version)
            path_reason = f"{found.path}: {found.refused}" if found else "no `pulumi` on PATH"
            reasons = f"Tried: (1) {path_reason}; (2) {unreached}; (3) {without_go}."
            raise SetupError(f"No Pulumi CLI {version}. {three_ways(version)}\n{reasons}")
        program = GoProgram(folder=GO_MODULE, package=GO_PACKAGE, variables={VERSION_VARIABLE: f"v{version}"})
        program.build(folder / "bin" / "pulumi", commands=self._commands, log=log, step=step)
