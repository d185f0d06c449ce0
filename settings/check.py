"""Check stack files without Pulumi: `python -m settings.check Pulumi.dev.yaml …`.

Prints every problem of every file and ends with exit code 1 if there is one; checks all stack files of the working
folder when none is named.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from settings.model import Settings
from settings.parse import parse
from settings.problems import Problem, SettingsError, render
from settings.stack_file import read


def load_file(path: Path) -> Settings:
    """Return the settings of one stack file.

    Raises:
        SettingsError: The file is not usable; carries every problem.
    """
    config, secrets = read(path)
    return parse(config, file=path.name, secrets=secrets)


def main(arguments: Sequence[str]) -> int:
    """Check the files named by `arguments` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m settings.check", description="Check stack files.")
    parser.add_argument(
        "files", nargs="*", type=Path, help="stack files; all Pulumi.<stack>.yaml here if none is named"
    )
    files: list[Path] = parser.parse_args(arguments).files or sorted(Path().glob("Pulumi.*.yaml"))
    problems: list[Problem] = []
    for path in files:
        try:
            settings = load_file(path)
        except SettingsError as error:
            problems += error.problems
        else:
            sys.stdout.write(f"{path.name} · no problem · digest {settings.digest[:12]}\n")
    if problems:
        sys.stderr.write(f"{render(problems)}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
