"""Files that are either whole or not there, and archives whose bytes depend on their content only."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: a reader, or a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def write_json(path: Path, value: object) -> None:
    """Put `value` at `path` as JSON, in one step."""
    write_bytes(path, json.dumps(value, indent=1, sort_keys=True).encode())


def md5_of(path: Path) -> str:
    """MD5 of a file in hex: what S3 answers as ETag of an object put in one part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def digest_of(paths: Iterable[Path], base: Path) -> str:
    """SHA-256 over names below `base` and contents of `paths`, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        total.update(f"{path.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def pack(folder: Path, archive: Path) -> None:
    """Write `folder` as `tar.gz`: sorted, without owner or time, so that equal content gives equal bytes."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=anonymous)


def unpack(archive: Path, folder: Path) -> None:
    """Extract a `tar.gz` into `folder`, which must not exist and appears complete or not at all.

    Members that leave the folder, links to outside and devices are refused (PEP 706, filter `data`).
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(partial, filter="data")
    partial.rename(folder)


def object_path(root: Path, relative_key: str) -> Path:
    """Where the object whose key ends in `relative_key` goes below `root`.

    Raises:
        ValueError: The key would leave `root`.
    """
    pure = PurePosixPath(relative_key)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"object key {relative_key!r} does not name a file below its prefix")
    return root.joinpath(*pure.parts)
