"""The label column: which labels an objective can learn, and reading them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring.channels import TRAIN
from scoring.contract import BINARY, MAX_CLASSES, MULTICLASS
from scoring.encoding import number, to_float32
from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from scoring.dataset import Column, Table
    from scoring.hosts import Hosts
    from scoring.hyperparameters import Hyperparameters

FEWEST = 2
"""Classes, or different labels, without which there is nothing to learn."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is learnt."""

    label: str
    """Name of the column."""
    objective: str
    classes: int = 0
    """Number of classes; 0 if the label is a quantity."""

    @property
    def expected(self) -> str:
        """What a label may be."""
        if self.objective == BINARY:
            return "0 or 1"
        return f"a whole number from 0 to {self.classes - 1}" if self.classes else "a number"

    def labels(self, table: Table) -> NDArray[np.float32]:
        """Give the labels, shape (rows,).

        Raises:
            UserError: a label is none that is expected, with file and line.
        """
        column = table.columns[self.label]
        return _read(table, column, self.expected, self._accepts)[column.codes]

    def check(self, channel: str, labels: NDArray[np.float32]) -> None:
        """Check all labels of a channel.

        Raises:
            UserError: of a binary target, only one label occurs.
        """
        if self.objective == BINARY and len(np.unique(labels)) < FEWEST:
            raise UserError(f"channel {channel!r}: every label is {labels[0]:g}; both 0 and 1 must occur")

    def _accepts(self, value: float) -> bool:
        return _is_class(value) and value < self.classes if self.classes else math.isfinite(value)


def infer(train: Iterable[Table], settings: Hyperparameters, hosts: Hosts) -> Target:
    """Derive the target from the labels of the training tables of all hosts.

    Raises:
        UserError: no class can be read from a label, there are too few or too many, or they are not those announced.
    """
    if settings.objective != MULTICLASS:
        return Target(settings.label, settings.objective, FEWEST if settings.objective == BINARY else 0)

    def read() -> NDArray[np.float32]:
        expected = "a whole number from 0"
        parts = [_read(table, table.columns[settings.label], expected, _is_class) for table in train]
        return np.unique(np.concatenate(parts))

    found = np.unique(np.concatenate(hosts.gather(hosts.agree(read))))
    classes = settings.num_class or int(found[-1]) + 1
    problem = _problem(settings, found, classes)
    if problem:
        raise UserError(f"channel {TRAIN!r}, column {settings.label!r}: {problem}")
    return Target(settings.label, MULTICLASS, classes)


def _problem(settings: Hyperparameters, found: NDArray[np.float32], classes: int) -> str:
    if found[-1] >= classes:
        return f"hyperparameter 'num_class' is {classes}, but label {found[-1]:g} occurs; classes count from 0"
    if classes > MAX_CLASSES:
        return f"labels up to {found[-1]:g} make {classes} classes, at most {MAX_CLASSES} are allowed"
    if len(found) < FEWEST:
        return f"every label is {found[0]:g}; at least {FEWEST} classes must occur"
    absent = np.setdiff1d(np.arange(classes), found)
    if absent.size and not settings.num_class:
        return f"no row is of class {absent[0]}; number the classes from 0 without a gap, or set 'num_class'"
    return ""


def _is_class(value: float) -> bool:
    return value >= 0 and value.is_integer()


def _read(table: Table, column: Column, expected: str, accepts: Callable[[float], bool]) -> NDArray[np.float32]:
    """Give the values of the column's texts.

    Raises:
        UserError: with the first place of every text that is not accepted.
    """
    values = to_float32(np.array([_number(text) for text in column.texts], dtype=np.float64))
    problems = [
        f"{table.where(column.first_row(code))}, column {column.name!r}: expected {expected}, found {text!r}"
        for code, text in enumerate(column.texts)
        if not accepts(float(values[code]))
    ]
    if problems:
        raise UserError(summarize(problems))
    return values


def _number(text: str) -> float:
    try:
        return number(text)
    except ValueError:
        return math.nan


def balanced(labels: NDArray[np.float32], classes: int, hosts: Hosts) -> NDArray[np.float64]:
    """Give each class's weight, shape (classes,): all that occur have the same total, and the mean row weighs 1."""
    rows = hosts.sum(np.bincount(labels.astype(np.intp), minlength=classes).astype(np.float64))
    occurring = rows > 0
    weights = np.zeros(classes)
    weights[occurring] = rows.sum() / (np.count_nonzero(occurring) * rows[occurring])
    return weights
