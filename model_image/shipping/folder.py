"""What waits in the folder of captures: finished files, and those whose writer was killed.

A writer holds a lock on the file that it writes, which the kernel releases with the process. Who gets the lock of a
file without its final name knows that nobody writes to it any more.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from scoring.capture import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINISHED: Final = "*.jsonl"
LEFT_SECONDS: Final = 60.0
"""Time without a change after which an unfinished file may be somebody's that is gone: a file exists for a moment
before it is locked."""
_BLOCK: Final = 64 * 1024


def finished(folder: Path) -> list[Path]:
    """Files that nothing more is written to, the oldest first: their names begin with hour, minute and second."""
    return sorted(folder.rglob(FINISHED))


def finish_left(folder: Path, *, at_once: bool) -> list[Path]:
    """Give the files of killed writers their names, without the line that was being written.

    Args:
        folder: Folder of captures.
        at_once: Also those that have just been changed; for when no new writer can come.

    Returns:
        The new names.
    """
    return [name for path in sorted(folder.rglob(FINISHED + UNFINISHED)) if (name := _finish(path, at_once=at_once))]


def _finish(path: Path, *, at_once: bool) -> Path | None:
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not at_once and time.time() - os.fstat(file.fileno()).st_mtime < LEFT_SECONDS:
                return None
            return _named(path, file)
    except (BlockingIOError, FileNotFoundError):
        return None  # somebody writes to it, or has just finished it


def _named(path: Path, file: BinaryIO) -> Path | None:
    whole = _end_of_last_line(file)
    if not whole:
        path.unlink()
        return None
    file.truncate(whole)
    return path.rename(path.with_name(path.name.removesuffix(UNFINISHED)))


def _end_of_last_line(file: BinaryIO) -> int:
    """Bytes up to the last line's end, included."""
    end = file.seek(0, os.SEEK_END)
    for start in _starts(end):
        file.seek(start)
        found = file.read(min(_BLOCK, end - start)).rfind(b"\n")
        if found >= 0:
            return start + found + 1
    return 0


def _starts(end: int) -> Iterator[int]:
    """Where blocks begin, the last one first."""
    yield from range((max(end - 1, 0)) // _BLOCK * _BLOCK, -1, -_BLOCK)
