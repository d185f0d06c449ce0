"""Environment `local`, and plans of every environment, on this machine: `python -m sandbox <command>`."""

from __future__ import annotations

import argparse
import sys
import threading

from sandbox.commands import COMMANDS, CommandError
from sandbox.console import Console
from sandbox.costing import CostError
from sandbox.engine import EngineError
from sandbox.loop.spec import LoopError


def _report_thread(failure: threading.ExceptHookArgs) -> None:
    """Reports a failed thread, except the Automation API's readers: an interrupt closes what they read."""
    if failure.thread is None or not failure.thread.name.endswith("(consumer)"):
        threading.__excepthook__(failure)


def main() -> int:
    """Runs one command; returns the exit code."""
    threading.excepthook = _report_thread
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    verbs = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        verb = verbs.add_parser(name, help=(command.run.__doc__ or "").splitlines()[0])
        for flag, options in command.flags.items():
            verb.add_argument(f"--{flag}", **options)
    arguments = vars(parser.parse_args())
    console = Console()
    try:
        COMMANDS[arguments.pop("command")].run(console, **arguments)
    except (CommandError, CostError, EngineError, LoopError) as error:
        console.info(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        console.info("\ninterrupted: run the same command again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
