"""Removes what tools and set-up leave behind; never state, so an environment that is up stays up.

python -m tools.clean        # tool caches of the checkout, environments of older locks
python -m tools.clean --all  # also every environment, uv and the Pulumi CLI in the user's cache folder
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.artefacts import Cache, cache_root
from tools.commands import Commands
from tools.environments import ROOT, Environments, superseded
from tools.progress import Board

TOOL_CACHES = (".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache")


def leftovers(checkout: Path) -> Iterator[Path]:
    """Folders of the checkout that tools make again by themselves."""
    yield from (folder for name in TOOL_CACHES if (folder := checkout / name).is_dir())
    for folder in checkout.rglob("__pycache__"):
        # Somebody's own `.venv` folder keeps its compiled files.
        if not folder.relative_to(checkout).parts[0].startswith("."):
            yield folder


def clean(checkout: Path, cache: Cache, *, everything: bool) -> list[Path]:
    """Remove them; returns what was there."""
    found = list(leftovers(checkout))
    if everything:
        found += [cache.root] if cache.root.exists() else []
        link = checkout / ".venv"
        if link.is_symlink():
            link.unlink()
            found.append(link)
    else:
        found += superseded(cache, Environments(cache, Commands()))
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main(arguments: Sequence[str]) -> int:
    """Clean and list what went."""
    parser = argparse.ArgumentParser(prog="python -m tools.clean")
    parser.add_argument("--all", action="store_true", help="the user's cache folder of this project as well")
    removed = clean(ROOT, Cache(cache_root(), Board()), everything=parser.parse_args(arguments).all)
    for path in removed:
        if path.name != "__pycache__":
            sys.stdout.write(f"  removed {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
