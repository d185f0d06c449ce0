"""Files that are made from the settings' own tables: written, or with `--check` compared."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_check(file: Path, text: str, *, module: str, arguments: Sequence[str]) -> int:
    """Write a generated file, or compare it, and return the exit code: 1 if it is not up to date.

    Args:
        file: Where it lies.
        text: What it has to be.
        module: Module whose command line this is, for the messages.
        arguments: Of that command line: `--check`, or nothing.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Write {file.name}.")
    parser.add_argument("--check", action="store_true", help="only compare")
    if not parser.parse_args(arguments).check:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return 0
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{file.name} is not up to date; run python -m {module}\n")
    return 1
