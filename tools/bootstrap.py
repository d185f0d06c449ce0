"""From a fresh machine to a running module: `python3 -m tools.bootstrap --group local --cli -- sandbox up`.

Needs a CPython from 3.11 on, a package index, and one of the ways to a Pulumi CLI; nothing else. Everything lands in
the user's cache folder, and a second run finds it there. Then `python -m MODULE ARGS…` replaces this process, in the
environment of the first `--group`, with

- `PYTHONPATH`: the folders of the checkout that hold packages, before what it was;
- `SLIPWAY_PULUMI`: path of the Pulumi CLI, with `--cli`;
- `SLIPWAY_IMAGE_PYTHON`: interpreter of the model image's environment, with `--group image`.

With `--kube` the programs of a Kubernetes control plane are built as well, which needs Go; `tools.kube_programs` finds
them in the cache.
"""

import argparse
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tools.artefacts import Cache, cache_root
from tools.commands import Commands, SetupError
from tools.environments import GROUPS, ROOT, SDK_GROUP, Environments, import_path, link_environment
from tools.kube_programs import CRANE, KubePrograms, module_folders
from tools.progress import Board, elapsed
from tools.pulumi_cli import PulumiCli

CLEANUP_SECONDS = 15.0
"""What an interrupted step gets to remove what it had half made; the next run removes the rest."""
INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM, as shells give it."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Command line of the bootstrap; what follows `--` is the module to run and its arguments."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.bootstrap", description="Install what is missing, then run."
    )
    groups = (*GROUPS, SDK_GROUP)
    parser.add_argument("--group", action="append", default=[], choices=groups, help="environment to have; repeatable")
    parser.add_argument("--cli", action="store_true", help="have a Pulumi CLI as well")
    parser.add_argument("--crane", action="store_true", help="have crane, which copies images, as well")
    parser.add_argument("--kube", action="store_true", help="have a Kubernetes control plane for tests as well")
    parser.add_argument("module", nargs="*", metavar="MODULE ARG", help="after `--`: what to run in the first group")
    parsed = parser.parse_args(arguments)
    if parsed.module and not parsed.group:
        parser.error("a module needs an environment to run in: --group " + "|".join(groups))
    return parsed


def together(tasks: Sequence[Callable[[], None]], commands: Commands) -> None:
    """Run the tasks at the same time; at the first failure, or an interrupt, stop the others.

    Raises:
        SetupError: What the first failing task said.
    """
    outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            outcomes.put(error)
        else:
            outcomes.put(None)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    try:
        for thread in threads:
            thread.start()
        failure = next((outcome for _ in threads if (outcome := outcomes.get())), None)
        if failure is None:
            return
    except KeyboardInterrupt:
        _abandon(threads, commands)
        raise
    _abandon(threads, commands)
    raise failure


def _abandon(threads: Sequence[threading.Thread], commands: Commands) -> None:
    commands.stop()
    for thread in threads:
        if thread.ident is not None:
            thread.join(CLEANUP_SECONDS)


class Bootstrap:
    """One set-up: which environments, whether a CLI, whether a control plane."""

    def __init__(
        self,
        cache: Cache,
        commands: Commands,
        groups: Sequence[str],
        *,
        cli: bool,
        kube: bool = False,
        crane: bool = False,
    ) -> None:
        self._cache = cache
        self._commands = commands
        self._environments = Environments(cache, commands)
        self._cli = PulumiCli(cache, commands) if cli else None
        self._programs = KubePrograms(cache, commands)
        self._kube, self._crane = kube, crane
        self._groups = tuple(dict.fromkeys(groups))
        self._pulumi: Path | None = None

    def install(self) -> None:
        """Make what is missing; what is built (processors) is built beside the environments (network)."""
        missing = [a for group in self._groups if not self._cache.ready(a := self._environments.artefact(group))]

        def environments() -> None:
            for artefact in missing:
                self._cache.ensure(artefact)

        def cli() -> None:
            if self._cli is not None:
                self._pulumi = self._cli.ensure()

        def kube() -> None:
            if self._kube:
                self._programs.ensure()
                module_folders()
            elif self._crane:
                self._programs.ensure([CRANE])

        together([environments, cli, kube], self._commands)
        note = link_environment(self._cache, self._environments, ROOT / ".venv")
        if note and missing:
            self._cache.board.say(note)

    def python(self, group: str) -> Path:
        """Interpreter of an installed group."""
        return self._cache.path(self._environments.artefact(group)) / "bin" / "python"

    def environ(self) -> dict[str, str]:
        """Environment variables of the module that runs afterwards."""
        found = {"PYTHONPATH": import_path(os.environ.get("PYTHONPATH", ""))}
        if self._pulumi is not None:
            found["SLIPWAY_PULUMI"] = str(self._pulumi)
        if "image" in self._groups:
            found["SLIPWAY_IMAGE_PYTHON"] = str(self.python("image"))
        if self._crane:
            found["SLIPWAY_CRANE"] = str(self._programs.path(CRANE))
        return dict(os.environ) | found


def execute(python: Path, module: Sequence[str], environ: dict[str, str]) -> NoReturn:
    """Replace this process by `python -m module…`, so that signals and the exit code are the module's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(python, [str(python), "-m", *module], environ)  # noqa: S606 - no shell is wanted here


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Set up, then become the module; returns only without a module or after a failure."""
    parsed = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    started, board, commands = time.monotonic(), Board(), Commands()
    try:
        cache = Cache(cache_root(), board)
        setup = Bootstrap(cache, commands, parsed.group, cli=parsed.cli, kube=parsed.kube, crane=parsed.crane)
        setup.install()
    except SetupError as error:
        sys.stderr.write(f"\nset-up failed after {elapsed(time.monotonic() - started)}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nset-up interrupted; run the same command again to go on\n")
        return INTERRUPTED
    if parsed.module:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        execute(setup.python(parsed.group[0]), parsed.module, setup.environ())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
