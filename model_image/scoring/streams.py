"""Reading a file once, from start to end, and hashing it on the way: in FastFile mode each read is a fetch."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

BLOCK_BYTES = 1 << 20
"""Bytes asked for at a time."""


class DigestedFile(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, path: Path) -> None:
        """Open the file; wrap this in a `io.BufferedReader` of `BLOCK_BYTES` to read from it."""
        self._file = path.open("rb", buffering=0)
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read some bytes and hash them."""
        count = self._file.readinto(buffer)
        self._digest.update(memoryview(buffer)[: count or 0])
        return count

    def close(self) -> None:
        """Close the file; the digest stays."""
        self._file.close()
        super().close()

    @property
    def sha256(self) -> str:
        """Digest of everything read so far."""
        return self._digest.hexdigest()
