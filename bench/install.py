"""What is measured, brought onto this machine: environments from locks, the Rust server from its source and lock."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.artefacts import Artefact, Cache, cache_root
from tools.commands import Commands, SetupError
from tools.environments import Environments
from tools.progress import Board

if TYPE_CHECKING:
    from bench.servers import Kind
    from tools.progress import Step

RUST_FOLDER = Path(__file__).parent / "rust_peer"
RUST_PROGRAM = "rust-peer"


class Installer:
    """Installs servers into the cache of set-up."""

    def __init__(self) -> None:
        self._cache = Cache(cache_root(), Board())
        self._commands = Commands()
        self._environments = Environments(self._cache, self._commands)

    def program(self, kind: Kind) -> Path:
        """Give the interpreter or executable of a server, installed if it was missing.

        Raises:
            SetupError: it cannot be installed here; the message says why.
        """
        if kind.group == "image":
            return Path(sys.executable)
        if kind.group:
            return self._cache.ensure(self._environments.artefact(kind.group)) / "bin" / "python"
        return self._cache.ensure(self._rust()) / RUST_PROGRAM

    def _rust(self) -> Artefact:
        sources = [*sorted(RUST_FOLDER.rglob("*.rs")), RUST_FOLDER / "Cargo.toml", RUST_FOLDER / "Cargo.lock"]
        key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
        title = "building the server in Rust"
        return Artefact(name=f"{RUST_PROGRAM}-{key}", title=title, probe=RUST_PROGRAM, build=self._build_rust)

    def _build_rust(self, folder: Path, log: Path, step: Step) -> None:
        if shutil.which("cargo") is None:
            raise SetupError("no `cargo` on PATH")

        def tell(line: str) -> None:
            step.detail = line

        target = folder / "target"
        words = ["cargo", "build", "--release", "--locked", "--target-dir", target]
        self._commands.run(words, log=log, on_line=tell, cwd=RUST_FOLDER, env=os.environ)
        (target / "release" / RUST_PROGRAM).rename(folder / RUST_PROGRAM)
        shutil.rmtree(target)


def versions(kind: Kind, program: Path) -> dict[str, str]:
    """Versions of a server's packages as they are installed."""
    places = [str(path) for path in program.parent.parent.glob("lib/python3.*/site-packages")]
    found = {item.name.lower(): item.version for item in importlib.metadata.distributions(path=places)}
    return {name: found[name] for name in kind.packages if name in found}
