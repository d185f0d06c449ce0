"""The part files of an input as one table, whatever format they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scoring import part_files
from scoring.channels import Channel, Format
from scoring.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.dataset import Table

FORMATS: Final = {"csv": Format.CSV, "parquet": Format.PARQUET, "libsvm": Format.LIBSVM}
"""Formats by their name on the command line."""


def channel(name: str, folder: Path, form: Format) -> Channel:
    """Every part file below a folder, in the order of their paths.

    Raises:
        UserError: there is none.
    """
    files = tuple(sorted(path for path in folder.rglob(f"*{form.suffix}") if path.is_file()))
    if not files:
        raise UserError(f"channel {name!r} holds no *{form.suffix} file")
    return Channel(name, files, (), format=form)


def read(name: str, folder: Path, form: Format, label: str) -> Table:
    """Read every part file below a folder.

    Raises:
        UserError: there is none, or one is no table of the format.
    """
    return part_files.read(channel(name, folder, form), label)
