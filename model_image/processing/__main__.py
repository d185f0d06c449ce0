"""Command line of a processing container: ``check``, ``adopt``, ``evaluate``, ``drift``; below SAGEMAKER_BASE_DIR.

Source: Amazon SageMaker Developer Guide, "Build your own processing container"; what is written to ``output/message``
is shown as the job's ``ExitMessage``.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from processing import adoption, check, evaluation, monitoring, oddities
from processing.comparison import Limits
from processing.split import Shares
from processing.tables import FORMATS
from scoring.challenge import Terms
from scoring.errors import FAILURE_TEXT_LIMIT, ScoringError, failure_text, full_text, owner
from scoring.hyperparameters import Hyperparameters, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MESSAGE = "output/message"
BASE_VARIABLE = "SAGEMAKER_BASE_DIR"
"""The variable of SageMaker's training toolkit that moves the base folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give the process's exit code: 0, or the one of the error's owner."""
    base = Path(os.environ.get(BASE_VARIABLE, "/opt/ml"))
    options = parser().parse_args(arguments)
    try:
        COMMANDS[options.command](base / "processing", options)
    except Exception as error:  # noqa: BLE001 # the outermost frame: every error becomes an exit code and a text
        return _report(error, base / MESSAGE)
    return 0


def _check(base: Path, options: argparse.Namespace) -> None:
    contract = check.Contract(
        label=options.label,
        objective=options.objective,
        form=FORMATS[options.format],
        shares=Shares(test=options.test_share, validation=options.validation_share, by=tuple(options.split_by)),
        minimum_rows=options.minimum_rows,
        missing_gain=options.missing_gain,
        smallest_part=options.smallest_part,
        limits=oddities.Limits(**{each.name: getattr(options, each.name) for each in fields(oddities.Limits)}),
    )
    learnt = Hyperparameters(label=options.label, objective=options.objective, num_class=options.num_class)
    check.run(base, contract, os.environ.get("DATA_VERSION", ""), learnt if options.numbers else None)


def _adopt(base: Path, options: argparse.Namespace) -> None:
    told = dict(options.hyperparameters, label=options.label, objective=options.objective)
    adoption.run(base, parse(told), FORMATS[options.format], dict(options.also))


def _evaluate(base: Path, options: argparse.Namespace) -> None:
    settings = Hyperparameters(
        label=options.label, objective=options.objective, num_class=options.num_class, seed=options.seed
    )
    _leave(evaluation.run(base, settings, FORMATS[options.format], _contest(options)), base.parent / MESSAGE)


def _contest(options: argparse.Namespace) -> evaluation.Contest | None:
    if options.metric is None:
        return None
    terms: dict[str, Any] = {each.name: getattr(options, each.name) for each in fields(Terms)}
    terms["slices"] = tuple(options.slices)
    return evaluation.Contest(terms=Terms(**terms), newest_files=options.newest_files)


def _drift(base: Path, options: argparse.Namespace) -> None:
    limits = Limits(**{each.name: getattr(options, each.name) for each in fields(Limits)})
    subject = monitoring.Subject(
        environment=options.environment,
        model=options.model,
        version=options.model_version,
        without=frozenset(options.without),
        now=options.now or datetime.now(UTC),
    )
    monitoring.run(base, limits, subject)


COMMANDS: Final[Mapping[str, Callable[[Path, argparse.Namespace], None]]] = {
    "check": _check,
    "adopt": _adopt,
    "evaluate": _evaluate,
    "drift": _drift,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="processing", description=__doc__)
    commands = whole.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="refuse data that breaks its contract, deal out what keeps it")
    _add_contract(checking)
    _add_limits(checking)
    checking.add_argument(
        "--numbers", action="store_true", help="write what training reads as numbers too, for other algorithms"
    )
    checking.add_argument("--num-class", type=int, default=0, help="the hyperparameter of that name")
    adopting = commands.add_parser("adopt", help="make a model of this image of an XGBoost model of trees")
    for option, dest in (("--hyperparameter", "hyperparameters"), ("--also", "also")):
        adopting.add_argument(
            option, dest=dest, type=_pair, action="append", default=[], help="name=value of what it was trained with"
        )
    judging = commands.add_parser("evaluate", help="unpack a model and evaluate it on the rows of `test`")
    judging.add_argument("--seed", type=int, required=True, help="decides the samples behind standard deviations")
    judging.add_argument("--num-class", type=int, required=True, help="the hyperparameter of that name")
    _add_contest(judging)
    for command in (checking, adopting, judging):
        command.add_argument("--objective", required=True, help="the hyperparameter of that name")
        command.add_argument("--format", choices=tuple(FORMATS), required=True, help="what the part files are")
        command.add_argument("--label", required=True, help="column that the model predicts")
    _add_drift(commands.add_parser("drift", help="compare captured requests with what the model was trained on"))
    return whole


def _add_limits(checking: argparse.ArgumentParser) -> None:
    limits = checking.add_argument_group("how far a file may differ from the other files of its channel")
    texts = {
        "label-shift": "distance of the labels, 0 alike and 1 disjoint",
        "column-shift": "distance of each other column's values",
        "repeat-gain": "difference of the shares of rows that a file holds more than once",
        "column-auc": "area under the ROC curve that one column may reach alone",
    }
    for name, text in texts.items():
        limits.add_argument(f"--{name}", type=float, required=True, help=text)
    limits.add_argument("--moving", action="append", default=[], help="column that is another in every file by nature")


def _add_contract(checking: argparse.ArgumentParser) -> None:
    checking.add_argument("--minimum-rows", type=int, required=True, help="rows of each channel at least")
    checking.add_argument(
        "--missing-gain", type=float, required=True, help="how far the empty share of a column may move"
    )
    checking.add_argument(
        "--smallest-part", type=float, required=True, help="rows of a file at least, as a share of the others' median"
    )
    checking.add_argument(
        "--validation-share", type=float, help="share of `train` to hold out; without it `validation` is an input, too"
    )
    checking.add_argument("--test-share", type=float, required=True, help="share of the held-out rows that only judge")
    checking.add_argument(
        "--split-by", action="append", default=[], help="column that decides about rows; without it all but the label"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected name=value, found {text!r}")
    return name, value


def _add_contest(judging: argparse.ArgumentParser) -> None:
    contest = judging.add_argument_group("beside the model of the input `champion`, if it holds one")
    contest.add_argument("--metric", help="what is compared; without it nothing is")
    contest.add_argument("--newest-files", type=int, help="files of `test` that both are asked about, the last")
    contest.add_argument("--minimum-gain", type=float, help="what the metric has to gain more than")
    contest.add_argument("--significance", type=float, help="largest chance of such a difference between equal models")
    contest.add_argument(
        "--slice", dest="slices", action="append", default=[], help="column none of whose values may lose"
    )
    contest.add_argument("--slice-rows", type=int, help="rows from which a value is looked at")
    contest.add_argument("--slice-loss", type=float, help="what a value may lose")
    contest.add_argument("--collapse", type=float, help="how far the champion may be below its metric on other files")


def _add_drift(watching: argparse.ArgumentParser) -> None:
    numbers = {
        "window-hours": (int, "hours of captures that are compared"),
        "minimum-rows": (int, "captured rows before anything is said about features and answers"),
        "minimum-labels": (int, "rows whose truth is known before anything is said about the quality"),
        "false-alarms": (float, "chance per run that captures like the training data are called drifted"),
        "effect": (float, "least population stability index of a feature that matters"),
        "answers-effect": (float, "least population stability index of the answers that matters"),
        "missing-gain": (float, "how far a feature's share of missing or unknown values may differ from training"),
        "metric": (str, "metric of the quality"),
        "drop": (float, "how far it may be below that of the evaluation at training"),
        "runs": (int, "runs in a row that it takes to raise or to clear"),
        "clear-below": (float, "share of a limit below which a run speaks for clearing"),
    }
    for name, (kind, text) in numbers.items():
        watching.add_argument(f"--{name}", type=kind, required=True, help=text)
    watching.add_argument("--environment", required=True, help="dimension of the metrics")
    watching.add_argument("--model", required=True, help="dimension of the metrics")
    watching.add_argument("--model-version", default="", help="compare captures of this version only")
    watching.add_argument(
        "--without", action="append", default=[], help="feature that is not captured; may be repeated"
    )
    watching.add_argument("--now", type=datetime.fromisoformat, help="end of the window; now without it")


def _report(error: Exception, message: Path) -> int:
    if not isinstance(error, ScoringError):
        traceback.print_exception(error)
    _leave(full_text(error), message, failure_text(error))
    return owner(error).exit_code


def _leave(text: str, message: Path, short: str = "") -> None:
    """Say something in the log, and, shorter if need be, where SageMaker shows it with the job."""
    if text:
        sys.stderr.write(text + "\n")
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_text((short or text)[:FAILURE_TEXT_LIMIT], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
