"""Command line of the image: ``train`` and ``serve``, the arguments with which SageMaker starts a container."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from scoring import container, log
from scoring.errors import ScoringError, UserError, failure_text, full_text, owner

if TYPE_CHECKING:
    from collections.abc import Sequence


logger = logging.getLogger("scoring")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}\n{self.format_usage()}".rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give the process's exit code: 0, or the one of the error's owner."""
    training = False
    try:
        command = _parse(arguments)
        training = command.name == "train"
        _train() if training else _serve(command)
    except Exception as error:  # noqa: BLE001 # the outermost frame: every error becomes an exit code and a text
        return _report(error, training=training)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="scoring", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    commands.add_parser("train", help="train a model from the folders under SAGEMAKER_BASE_DIR (default /opt/ml)")
    serve = commands.add_parser("serve", help="answer /ping and /invocations for one model directory")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="TCP port; 0 lets the system choose")
    model = serve.add_mutually_exclusive_group()
    model.add_argument("--model-dir", help="model directory, the unpacked model.tar.gz")
    model.add_argument(
        "--model", help="any XGBoost model file (.ubj, .json), or a model directory, for trying; runs on one core"
    )
    serve.add_argument("--cpu", help="core to run on: a number, or any")
    return parser.parse_args(arguments)


def _train() -> None:
    from scoring import train  # noqa: PLC0415 # serving must not pay for importing training, nor the reverse

    collective = container.CollectiveSettings.from_environment()
    train.run(container.ContainerPaths.from_environment(), collective, container.code_version())


def _serve(command: argparse.Namespace) -> None:
    from scoring import server  # noqa: PLC0415 # as above
    from scoring.settings import ServerSettings  # noqa: PLC0415 # as above

    log.start(container.log_form())
    flags = {"host": command.host, "port": command.port, "cpu": command.cpu}
    flags |= {"model_dir": command.model_dir, "model_file": command.model}
    server.run(ServerSettings.load(**flags))


def _report(error: Exception, *, training: bool) -> int:
    """Say what happened on standard error, as the server's log or, for training, in SageMaker's failure file."""
    text, defect = full_text(error), None if isinstance(error, ScoringError) else error
    if not training:
        logger.critical("%s", text, exc_info=defect)
    else:
        if defect is not None:
            traceback.print_exception(defect)
        sys.stderr.write(text + "\n")
        failure = container.ContainerPaths.from_environment().failure
        try:
            failure.parent.mkdir(parents=True, exist_ok=True)
            failure.write_text(failure_text(error), encoding="utf-8")
        except OSError as problem:
            sys.stderr.write(f"{failure} could not be written: {problem}\n")
    return owner(error).exit_code


if __name__ == "__main__":
    code = main()
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # without XGBoost's teardown, which crashes when another host of the job is gone
