"""Archives of Python functions in AWS Lambda: our code and its libraries, as one file each.

The same files give the same bytes on every machine: entries are sorted, carry no time, and are not compressed, because
zlib's output differs between its versions. Only pure Python goes in, so that one archive runs on every architecture;
`wrapt` then does without its extension. boto3 comes with Lambda's runtime.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

FUNCTIONS: Final = Path(__file__).resolve().parent.parent / "functions"
FOLDER: Final = FUNCTIONS.parent / ".slipway" / "functions"
"""Where archives lie, one for each content. The engine compares contents, so the folder may be another one tomorrow;
it may not be relative, because engine and program work in different folders."""
LIBRARIES: Final = ("aws_lambda_powertools", "aws_xray_sdk", "fastjsonschema", "jmespath", "typing_extensions", "wrapt")
"""Packages of `requirements/program.txt` that functions import, directly or not."""
_KINDS: Final = (".py", ".json")
_FIRST_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a ZIP entry."""
_MODE: Final = 0o644 << 16


@dataclass(frozen=True, slots=True)
class Program:
    """What one function is made of."""

    name: str
    """First part of the archive's name."""
    files: tuple[str, ...]
    """Our files, below `functions`; patterns may name several."""


@cache
def content(program: Program) -> bytes:
    """The archive of a function.

    Raises:
        ModuleNotFoundError: A library is not installed in the program's environment.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted({**_ours(program), **_libraries()}.items()):
            entry = zipfile.ZipInfo(name, _FIRST_TIME)
            entry.external_attr = _MODE
            archive.writestr(entry, path.read_bytes())
    return written.getvalue()


def write(program: Program) -> Path:
    """Make sure that a function's archive lies where its content says, and return its path."""
    written = content(program)
    path = FOLDER / f"{program.name}-{hashlib.sha256(written).hexdigest()[:16]}.zip"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(written)
        part.replace(path)
    return path


def _ours(program: Program) -> dict[str, Path]:
    return {path.relative_to(FUNCTIONS).as_posix(): path for each in program.files for path in FUNCTIONS.glob(each)}


def _libraries() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for library in LIBRARIES:
        spec = find_spec(library)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(
                f"{library} is not installed: the program's environment is requirements/program.txt"
            )
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            found[origin.name] = origin
            continue
        files = (path for path in origin.parent.rglob("*") if path.suffix in _KINDS)
        found |= {path.relative_to(origin.parent.parent).as_posix(): path for path in files}
    return found
