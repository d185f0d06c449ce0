"""Installed things in the user's cache folder: made once, complete or absent, safe under concurrent and killed runs."""

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.commands import SetupError
from tools.progress import Board, Step

MARKER = ".complete"
"""File that is inside an artefact exactly when it was made to its end."""
POLL_SECONDS = 0.2


def cache_root() -> Path:
    """Folder of everything that set-up installs: `$XDG_CACHE_HOME/slipway`, else `~/.cache/slipway`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "slipway"


def _never(_folder: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One folder in the cache and how it comes into being."""

    name: str
    """Folder name; holds all that its content depends on (version or hash), so a name never changes its meaning."""
    title: str
    """What the progress line says while it is made."""
    probe: str
    """Path inside the folder of the executable that it exists for; gone or dangling means: make it again."""
    build: Callable[[Path, Path, Step], None]
    """Fills an empty folder, which is afterwards renamed: nothing inside may know its path. Gets a log file as well."""
    adopt: Callable[[Path], bool] = _never
    """Whether a folder without marker is good as it is, so that it gets one instead of being made again."""


class Cache:
    """Artefacts under one root folder."""

    def __init__(self, root: Path, board: Board) -> None:
        self.root = root
        self.board = board

    def path(self, artefact: Artefact) -> Path:
        """Where the artefact is, or will be."""
        return self.root / artefact.name

    def ready(self, artefact: Artefact) -> bool:
        """Whether it is there, complete, with an executable that resolves. Touches nothing."""
        folder = self.path(artefact)
        return (folder / MARKER).exists() and os.access(folder / artefact.probe, os.X_OK)

    def ensure(self, artefact: Artefact) -> Path:
        """Make the artefact unless it is ready; return its folder.

        A folder appears under its name by one rename of a finished sibling. Runs that want the same artefact wait
        for the first one; what a killed run left half-made is removed.

        Raises:
            SetupError: It cannot be made; the message is for the user.
        """
        if self.ready(artefact):
            return self.path(artefact)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked(artefact):
                if not self.ready(artefact) and not self._adopted(artefact):
                    self._make(artefact)
        except OSError as error:
            raise SetupError(f"{artefact.title}: {error}") from error
        return self.path(artefact)

    def _adopted(self, artefact: Artefact) -> bool:
        folder = self.path(artefact)
        if (folder / MARKER).exists() or not os.access(folder / artefact.probe, os.X_OK) or not artefact.adopt(folder):
            return False
        _mark(folder, artefact)
        return True

    def _make(self, artefact: Artefact) -> None:
        folder = self.path(artefact)
        for leftover in self.root.glob(f"{artefact.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with self.board.step(artefact.title) as step:
            partial = Path(tempfile.mkdtemp(prefix=f"{artefact.name}.partial-", dir=self.root))
            try:
                artefact.build(partial, self.root / f"{artefact.name}.log", step)
                if not os.access(partial / artefact.probe, os.X_OK):
                    raise SetupError(f"{artefact.title}: the installation ended without {artefact.probe}")
                _mark(partial, artefact)
                if folder.exists():
                    folder.rename(self.root / f"{partial.name}.replaced")
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                shutil.rmtree(self.root / f"{partial.name}.replaced", ignore_errors=True)

    @contextmanager
    def _locked(self, artefact: Artefact) -> Generator[None]:
        # The kernel drops a flock when its process ends in any way, so no lock is ever stale.
        with (self.root / f"{artefact.name}.lock").open("a+", encoding="utf-8") as file:
            told = False
            while not _try_lock(file.fileno()):
                time.sleep(POLL_SECONDS)
                file.seek(0)
                if not told and (holder := file.read().strip()):
                    self.board.say(f"waiting for {artefact.name}: process {holder} is making it")
                    told = True
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mark(folder: Path, artefact: Artefact) -> None:
    (folder / MARKER).write_text(json.dumps({"name": artefact.name, "made": int(time.time())}) + "\n", encoding="utf-8")
