"""The packages of the image: their versions, and shared libraries without the packages around them.

The imports of those would cost a server memory and time.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import platform
from pathlib import Path

OF_A_TRAINING = ("numpy", "treelite")
"""Packages that rows, labels and golden answers pass through, beside XGBoost."""


def versions() -> dict[str, str]:
    """Give the versions of Python and of what a training's result passes through."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in OF_A_TRAINING}


def open_library(package: str) -> ctypes.CDLL:
    """Open the shared library that a package keeps in its folder ``lib`` under its own name.

    Raises:
        ImportError: the package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"the package {package} is missing")
    (path,) = (Path(found.origin).parent / "lib").glob(f"lib{package}.*")
    return ctypes.CDLL(str(path))
