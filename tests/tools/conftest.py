"""Caches in temporary folders and executables that only pretend: no test here installs or downloads anything."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.artefacts import Cache
from tools.progress import Board


@pytest.fixture
def screen() -> io.StringIO:
    """What the user would see."""
    return io.StringIO()


@pytest.fixture
def cache(tmp_path: Path, screen: io.StringIO) -> Cache:
    return Cache(tmp_path / "cache", Board(screen))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script on a PATH that holds nothing else."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return add
