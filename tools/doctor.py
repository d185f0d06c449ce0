"""What this machine has and what it lacks, for environment `local` and for real ones. Changes nothing.

Exit code 0 when `local` can run. No AWS call and no metadata call is made; the network is asked one question (is the
official Pulumi release reachable), and only where the answer decides.
"""

import configparser
import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from settings.versions import STANDARD_SUPPORT_ENDS, SUPPORT_LEFT, ending
from tools import pulumi_cli, pulumi_release
from tools.artefacts import Artefact, Cache, cache_root
from tools.commands import Commands, SetupError, answer
from tools.environments import GROUPS, Environments
from tools.go_programs import OLDEST_GO, go_refusal
from tools.kube_programs import PROGRAMS, KubePrograms
from tools.progress import Board

GIGABYTE = 10**9
INSTALLED_GIGABYTES = 1.5
"""Space for the environments and uv's cache."""
BUILD_GIGABYTES = 5.0
"""The same and Go's module and build caches while the CLI is built."""

FOUND_WIDTH = 48


class Verdict(StrEnum):
    """State of one prerequisite."""

    OK = "ok"
    LATER = "installed by make"
    MISSING = "missing"
    TOO_OLD = "too old"
    FAILS = "fails"

    @property
    def good(self) -> bool:
        """Whether nothing is left for the user to do."""
        return self in {Verdict.OK, Verdict.LATER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of the report."""

    name: str
    found: str
    needed: str
    verdict: Verdict
    remedy: str = ""
    local: bool = True
    """Whether environment `local` needs it; the rest is for real environments."""
    only: str = ""
    """The one target that needs it, where nothing else does; then `local` is false."""

    @property
    def use(self) -> str:
        """What needs it, in a word."""
        return self.only or ("local" if self.local else "real")


def python() -> Iterator[Finding]:
    """The interpreter that runs this, and its ability to make virtual environments."""
    yield Finding(name="python", found=platform.python_version(), needed="3.11 or newer", verdict=Verdict.OK)
    whole = all(importlib.util.find_spec(module) for module in ("venv", "ensurepip"))
    yield Finding(
        name="python venv",
        found="venv, ensurepip" if whole else "-",
        needed="venv and ensurepip",
        verdict=Verdict.OK if whole else Verdict.MISSING,
        remedy="install the part of Python that has them (Debian, Ubuntu: apt-get install python3-venv)",
    )


def program(name: str, question: str, *, needed: str, remedy: str, local: bool) -> Finding:
    """A program on PATH that answers `name question`."""
    where = shutil.which(name)
    said = answer([where, *question.split()]) if where else None
    return Finding(
        name=name,
        found=(said.splitlines() or ["-"])[0] if said is not None else where or "-",
        needed=needed,
        verdict=Verdict.OK if said is not None else Verdict.FAILS if where else Verdict.MISSING,
        remedy=f"{where} is on PATH but `{name} {question}` fails; repair it" if where and said is None else remedy,
        local=local,
    )


def pulumi(cache: Cache, opener: pulumi_release.Opener = pulumi_release.fetch) -> Iterator[Finding]:
    """The CLI by the first of the three ways that is open, and Go where it is the one."""
    version = pulumi_cli.pinned_version()
    found = pulumi_cli.on_path(version)
    cached = pulumi_cli.PulumiCli(cache, Commands()).artefact()
    refused = f"{found.path} is not used: {found.refused}. " if found and found.refused else ""

    def finding(said: str, verdict: Verdict, why: str = "") -> Finding:
        return Finding(
            name="pulumi",
            found=said,
            needed=f"{version} or newer {version.split('.')[0]}.x",
            verdict=verdict,
            remedy=f"{refused}{why}{pulumi_cli.three_ways(version)}",
        )

    if found and not refused:
        yield finding(f"{found.version} on PATH", Verdict.OK)
    elif _usable(cache, cached):
        yield finding(f"{version} in the cache", Verdict.OK)
    elif (without_go := go_refusal()) is None:
        yield finding("- (official release or Go module)", Verdict.LATER)
        yield go(answer(["go", "env", "GOVERSION"]) or "-", Verdict.OK)
    else:
        try:
            pulumi_release.published_checksum(version, opener)
        except SetupError as error:
            yield finding("-", Verdict.TOO_OLD if refused else Verdict.MISSING, f"{error}. ")
            yield go(without_go, Verdict.TOO_OLD if "older" in without_go else Verdict.MISSING)
        else:
            yield finding("- (official release is reachable)", Verdict.LATER)


def go(found: str, verdict: Verdict) -> Finding:
    """Go, asked about only where the CLI would be built with it."""
    return Finding(
        name="go",
        found=found,
        needed=f"{OLDEST_GO[0]}.{OLDEST_GO[1]} or newer, to build a CLI",
        verdict=verdict,
        remedy="install Go (go.dev/doc/install), or take one of the other ways to a Pulumi CLI",
    )


def control_plane(cache: Cache) -> Finding:
    """What `make test-kube` runs against: built before, or to be built with Go."""
    programs = KubePrograms(cache, Commands())
    missing = [name for name in PROGRAMS if not cache.ready(programs.artefact(name))]
    without_go = go_refusal() if missing else None
    return Finding(
        name="control plane",
        found=without_go or (f"- (Go modules: {', '.join(missing)})" if missing else f"{len(PROGRAMS)} programs"),
        needed=f"Go {'.'.join(map(str, OLDEST_GO))} or newer, to build it",
        verdict=Verdict.MISSING if without_go else Verdict.LATER if missing else Verdict.OK,
        remedy="install Go (go.dev/doc/install); only `make test-kube` needs it",
        local=False,
        only="test-kube",
    )


def _usable(cache: Cache, artefact: Artefact) -> bool:
    return cache.ready(artefact) or artefact.adopt(cache.path(artefact))


def installed(cache: Cache) -> Iterator[Finding]:
    """What set-up keeps in the cache: uv and the environments."""
    environments = Environments(cache, Commands())
    artefacts = [("uv", environments.uv_artefact())]
    artefacts += [(f"environment {group}", environments.artefact(group)) for group in GROUPS]
    for name, artefact in artefacts:
        ready = cache.ready(artefact)
        yield Finding(
            name=name,
            found=artefact.name if ready else "-",
            needed=artefact.name,
            verdict=Verdict.OK if ready else Verdict.LATER,
        )


def disk(folder: Path, gigabytes: float) -> Finding:
    """Space where the cache is, or will be."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    writable = os.access(existing, os.W_OK)
    return Finding(
        name="disk space",
        found=f"{free:.1f} GB free" if writable else f"{existing} is not writable",
        needed=f"{gigabytes:g} GB at {folder}",
        verdict=Verdict.OK if writable and free >= gigabytes else Verdict.FAILS,
        remedy="free some, or set XDG_CACHE_HOME to a writable folder on a larger disk",
    )


def loopback() -> Finding:
    """Whether a server of ours could listen on 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            found, verdict = f"port {server.getsockname()[1]} could be bound", Verdict.OK
    except OSError as error:
        found, verdict = str(error), Verdict.FAILS
    return Finding(
        name="loopback",
        found=found,
        needed="127.0.0.1, any port",
        verdict=verdict,
        remedy="allow this user to listen on 127.0.0.1; AWS's APIs and the model server run there",
    )


def language_host() -> Finding:
    """Plain `pulumi up` needs the language host that the official release puts beside the CLI; `local` does not."""
    cli = shutil.which("pulumi")
    beside = str(Path(cli).resolve().parent) if cli else ""
    host = shutil.which("pulumi-language-python") or shutil.which("pulumi-language-python", path=beside)
    return Finding(
        name="pulumi-language-python",
        found=host or "-",
        needed="beside a `pulumi` on PATH",
        verdict=Verdict.OK if host else Verdict.MISSING,
        remedy="install the official Pulumi release (pulumi.com/docs/install)",
        local=False,
    )


def credentials(environ: Mapping[str, str], home: Path) -> Finding:
    """Which AWS credentials are configured, by name only: nothing is resolved, sent or shown."""
    sources = [
        f"${name}"
        for name in (
            *["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"],
            *["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        )
        if environ.get(name)
    ]
    for variable, file in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")):
        path = Path(environ.get(variable) or home / ".aws" / file)
        sources += [f"{path}: {section}" for section in _profiles(path)]
    return Finding(
        name="AWS credentials",
        found=", ".join(sources) or "-",
        needed="a profile, SSO session or role (not tried)",
        verdict=Verdict.OK if sources else Verdict.MISSING,
        remedy="`aws configure sso`, then export AWS_PROFILE=<the profile>",
        local=False,
    )


def _profiles(path: Path) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        return [f"unreadable ({type(error).__name__})"]
    return parser.sections()


def kubernetes(today: date) -> Iterator[Finding]:
    """The Kubernetes versions that stack files may name, and how long EKS supports them."""
    soon = ending(today)
    for version, end in STANDARD_SUPPORT_ENDS.items():
        yield Finding(
            name=f"Kubernetes {version}",
            found=f"supported until {end}",
            needed=f"{SUPPORT_LEFT.days} days of EKS standard support",
            verdict=Verdict.TOO_OLD if version in soon else Verdict.OK,
            remedy="move stacks to a newer version; add it to settings/versions.py and settings/compatibility.py",
            local=False,
        )


def examine(cache: Cache, environ: Mapping[str, str], home: Path) -> list[Finding]:
    """All findings, in the order of the report."""
    cli = list(pulumi(cache))
    building = any(finding.name == "go" for finding in cli)
    return [
        *python(),
        program("make", "--version", needed="any", remedy="Debian, Ubuntu: apt-get install make", local=True),
        *cli,
        *installed(cache),
        disk(cache.root, BUILD_GIGABYTES if building else INSTALLED_GIGABYTES),
        loopback(),
        control_plane(cache),
        language_host(),
        program(
            "aws", "--version", needed="any; pulumi-eks calls it", remedy="install the AWS CLI, version 2", local=False
        ),
        credentials(environ, home),
        *kubernetes(datetime.now(tz=UTC).date()),
        program("kubectl", "version --client", needed="optional", remedy="only to look into a cluster", local=False),
    ]


def report(findings: list[Finding]) -> str:
    """The table, then what to do about each row that is not good."""
    header = ("prerequisite", "for", "state", "found", "needed")
    rows = [(f.name, f.use, f.verdict.value, _short(f.found), f.needed) for f in findings]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in [header, *rows]
    ]
    remedies = [f"{f.name} ({f.verdict.value}): {f.remedy}" for f in findings if not f.verdict.good]
    return "\n".join([*lines, *([""] if remedies else []), *remedies])


def _short(text: str) -> str:
    return text if len(text) <= FOUND_WIDTH else text[: FOUND_WIDTH - 1] + "…"


def main() -> int:
    """Print the report; 0 when nothing that `local` needs is missing."""
    findings = examine(Cache(cache_root(), Board()), os.environ, Path.home())
    blocking = [finding.name for finding in findings if finding.local and not finding.verdict.good]
    sys.stdout.write(report(findings) + "\n\n")
    verdict = f"cannot run before this is solved: {', '.join(blocking)}" if blocking else "can run: make up"
    sys.stdout.write(f"environment `local` {verdict}\n")
    return 1 if blocking else 0


if __name__ == "__main__":
    sys.exit(main())
