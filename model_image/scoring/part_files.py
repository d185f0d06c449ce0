"""A channel's part files as one table: the reader of their format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoring import dataset, libsvm
from scoring.channels import Format

if TYPE_CHECKING:
    from pathlib import Path

    from scoring.channels import Channel
    from scoring.dataset import Table


def read(channel: Channel, label: str, scratch: Path | None = None) -> Table:
    """Read all part files of a channel.

    Args:
        channel: The files and their format.
        label: Name of the column for the labels, which libsvm does not name.
        scratch: Folder for copies of streamed files; None takes the system's folder for such files.

    Raises:
        UserError: naming file, row and column of what is no data.
    """
    match channel.format:
        case Format.CSV:
            return dataset.read(channel)
        case Format.LIBSVM:
            return libsvm.read(channel, label)
        case Format.PARQUET:
            from scoring import parquet  # noqa: PLC0415 # a database engine, which other formats need not load

            return parquet.read(channel, scratch)
