"""Virtual environments, one per requirement group, from the hash-pinned locks; installed by a uv that is pinned too."""

import functools
import hashlib
import os
import platform
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from tools.artefacts import MARKER, Artefact, Cache
from tools.commands import Commands, SetupError, answer
from tools.progress import Step

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
REQUIREMENTS = ROOT / "requirements"
FIRST_PARTY = (".", "policies", "model_image", "functions")
"""Folders of the checkout that hold our top-level packages, as pytest's `pythonpath` and pyright's `extraPaths` say."""
GROUPS = ("program", "local", "image", "dev")
SDK_GROUP = "sdk"
"""SageMaker's own SDK, beside which the definitions of pipelines are held; installed by `make test-sdk` only."""
BENCH_GROUPS = tuple(
    f"bench-{peer}" for peer in ("fastapi-xgboost", "fastapi-onnxruntime", "kserve", "bentoml", "mlserver")
)
"""Peers of the model server, each with what it needs and nothing else; installed by `make bench` only."""
SERVER_GROUPS = ("mlflow",)
"""Real servers that single tests start, each with what it needs and nothing else; installed by the test itself."""
LINKED_GROUPS = ("dev", "local", "program")
"""What `.venv` may name, the richest first."""


def lock_file(group: str) -> Path:
    """The hash-pinned lock of a group."""
    return REQUIREMENTS / f"{group}.txt"


def lock_key(group: str) -> str:
    """Twelve hex digits over what decides an environment's content: its lock and the interpreter under it."""
    interpreter = (platform.python_version(), platform.machine(), sys.platform, sys.base_prefix)
    digest = hashlib.sha256(repr(interpreter).encode())
    try:
        digest.update(lock_file(group).read_bytes())
    except OSError as error:
        raise SetupError(f"{lock_file(group)}: {error.strerror}; `make lock` writes it") from error
    return digest.hexdigest()[:12]


def base_python() -> Path:
    """The interpreter outside any virtual environment that new environments are made from."""
    named = Path(sys.base_exec_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return named if named.exists() else Path(sys.executable)


class Environments:
    """Makes the environments in a cache."""

    def __init__(self, cache: Cache, commands: Commands) -> None:
        self._cache = cache
        self._commands = commands

    def uv(self) -> Path:
        """The pinned uv, installed when it is not there yet."""
        return self._cache.ensure(self.uv_artefact()) / "bin" / "uv"

    def uv_artefact(self) -> Artefact:
        """The environment of uv alone, installed by pip with hash checking."""
        name = f"uv-{lock_key('bootstrap')}"
        return Artefact(name=name, title="installing uv", probe="bin/uv", build=self._build_uv)

    def artefact(self, group: str) -> Artefact:
        """The environment of a requirement group. `bin/python` inside runs it; scripts in it find their own place."""
        return Artefact(
            name=f"env-{group}-{lock_key(group)}",
            title=f"installing the packages of group `{group}`",
            probe="bin/python",
            build=functools.partial(self._build_environment, group),
        )

    def _build_uv(self, folder: Path, log: Path, step: Step) -> None:
        step.detail = "creating a virtual environment"
        try:
            venv.create(folder, with_pip=True, symlinks=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(
                f"{sys.executable} cannot make a virtual environment with pip in it ({error}).\n"
                "Install the part of Python that does (Debian, Ubuntu: apt-get install python3-venv), "
                "or name another Python 3.11 or newer: make up PYTHON=/path/to/python3"
            ) from error
        self._commands.run(
            [
                *[folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"],
                *["--no-deps", "--only-binary", ":all:", "-r", lock_file("bootstrap")],
            ],
            log=log,
            on_line=lambda line: _tell(step, line),
        )

    def _build_environment(self, group: str, folder: Path, log: Path, step: Step) -> None:
        uv = self.uv()
        env = uv_environment(uv)
        # Relocatable: console scripts find the interpreter beside themselves, so the finished folder can be renamed.
        self._commands.run(
            [
                *[uv, "venv", "--relocatable", "--no-project", "--allow-existing", "--prompt", f"slipway-{group}"],
                *["--python", base_python(), folder],
            ],
            log=log,
            on_line=lambda line: _tell(step, line),
            env=env,
        )
        self._commands.run(
            [
                *[uv, "pip", "sync", "--require-hashes", "--compile-bytecode"],
                *["--python", folder / "bin" / "python", lock_file(group)],
            ],
            log=log,
            on_line=lambda line: _tell(step, line),
            env=env,
        )


def import_path(inherited: str = "") -> str:
    """`PYTHONPATH` under which every package of the checkout can be imported; what the user had set comes after."""
    return os.pathsep.join([str(ROOT / folder) for folder in FIRST_PARTY] + ([inherited] if inherited else []))


def uv_environment(uv: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for uv, which does not read pip's settings: index and certificates carry over."""
    env = dict(os.environ if base is None else base)
    env["UV_NO_PROGRESS"] = "1"
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env.pop("VIRTUAL_ENV", None)
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & env.keys():
        listing = answer([uv.parent / "python", "-m", "pip", "config", "list"], env=env) or ""
        # pip lists later sources, which win, last.
        if found := re.findall(r"^(?:global|install|:env:)\.index-url='(.+)'$", listing, re.MULTILINE):
            env["UV_DEFAULT_INDEX"] = found[-1]
    return env


def _tell(step: Step, line: str) -> None:
    if re.match(r"(Resolved|Prepared|Installed|Downloading|Downloaded|Building|Built|Collecting|Using) ", line):
        step.detail = line


def link_environment(cache: Cache, environments: Environments, link: Path) -> str | None:
    """Point the checkout's `.venv` at the richest ready environment; editors and people look there.

    Replaced by one rename, so it is never absent; a real folder of that name is somebody's own and stays.

    Returns:
        What to tell the user, if anything.
    """
    ready = (cache.path(artefact) for group in LINKED_GROUPS if cache.ready(artefact := environments.artefact(group)))
    target = next(ready, None)
    if target is None:
        return None
    if link.exists() and not link.is_symlink():
        return f"{link.name} is a folder of your own and stays as it is; the environment is {target}"
    if link.is_symlink() and link.readlink() == target:
        return None
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    return None


def superseded(cache: Cache, environments: Environments) -> list[Path]:
    """Environments in the cache that no lock of this checkout describes any more."""
    groups = (*GROUPS, SDK_GROUP, *BENCH_GROUPS, *SERVER_GROUPS)
    current = {environments.artefact(group).name for group in groups} | {environments.uv_artefact().name}
    made = (marker.parent for pattern in ("env-*", "uv-*") for marker in cache.root.glob(f"{pattern}/{MARKER}"))
    return sorted(folder for folder in made if folder.name not in current)
