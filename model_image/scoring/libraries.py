"""Shared libraries of Python packages, without the packages around them, whose imports cost memory and time."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path


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
