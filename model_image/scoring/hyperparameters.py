"""SageMaker's ``hyperparameters.json``, a map of strings, to typed and checked values."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

import orjson

from scoring import devices
from scoring.contract import BINARY, MAX_CLASSES, MULTICLASS, OBJECTIVES, REGRESSION
from scoring.document import suggestion
from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEPTHWISE, LOSSGUIDE = "depthwise", "lossguide"
DIRECTIONS = (-1, 1)

XGBOOSTS = (
    *("objective", "num_class", "max_depth", "eta", "subsample", "colsample_bytree", "colsample_bylevel"),
    *("colsample_bynode", "min_child_weight", "gamma", "max_delta_step", "max_leaves", "grow_policy", "reg_lambda"),
    *("reg_alpha", "max_bin", "seed"),
)
"""Names that XGBoost has, too, and whose values it takes as they are."""

TUNER_NAMES = frozenset({"_tuning_objective_metric"})
"""Names that a SageMaker tuning job adds by itself; they do not change training."""

WITHOUT_EFFECT_ON_THE_MODEL = frozenset(
    {"checkpoint_rounds", "checkpoint_seconds", "checkpoint_keep", "memory_limit_mib", "slices"}
)
"""Settings that may differ between a run and the restart that continues it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Settings of one training run; the ranges are XGBoost's own, see its parameter reference."""

    label: str
    """Name of the column to predict."""
    objective: str = BINARY
    """Learning objective."""
    num_class: int = 0
    """Classes of ``multi:softprob``; 0 takes those that occur in the training labels."""
    num_round: int = 200
    """Most boosting rounds; early stopping may keep fewer."""
    early_stopping_rounds: int = 20
    """Rounds without a better validation metric (log loss, or RMSE) after which training stops; 0 never stops early."""
    max_depth: int = 6
    """Deepest level of a tree."""
    eta: float = 0.1
    """Learning rate."""
    subsample: float = 1.0
    """Share of rows drawn for each tree."""
    colsample_bytree: float = 1.0
    """Share of columns drawn for each tree."""
    colsample_bylevel: float = 1.0
    """Share of the tree's columns drawn for each level."""
    colsample_bynode: float = 1.0
    """Share of the level's columns drawn for each split."""
    min_child_weight: float = 1.0
    """Least sum of instance weight in a leaf."""
    gamma: float = 0.0
    """Least loss reduction that a split has to bring."""
    max_delta_step: float = 0.0
    """Largest weight of a leaf before `eta`; 0 sets no limit."""
    max_leaves: int = 0
    """Most leaves of a tree; 0 sets no limit beside ``max_depth``."""
    grow_policy: str = DEPTHWISE
    """``lossguide`` splits the leaf that gains most, ``depthwise`` level by level."""
    reg_lambda: float = 1.0
    """L2 penalty on leaf weights."""
    reg_alpha: float = 0.0
    """L1 penalty on leaf weights."""
    monotone_constraints: str = "{}"
    """JSON object: column → 1 where the answer must never fall as its values grow, -1 where it must never rise."""
    max_bin: int = 256
    """Most histogram bins per feature."""
    seed: int = 0
    """Seed of every random choice; the same seed, data and thread count give the same model bytes."""
    device: str = devices.AUTO
    """``cuda`` takes an NVIDIA GPU, ``auto`` one that is there; only equal devices give the same model bytes."""
    nthread: int = 0
    """Threads; 0 takes every core that this process may use."""
    scale_pos_weight: float = 1.0
    """Weight of a row labelled 1, of two classes; one labelled 0 weighs 1. Other than 1 it shifts the probabilities."""
    class_weight: str = "none"
    """``balanced`` gives all classes the same total weight, in place of ``scale_pos_weight``."""
    checkpoint_rounds: int = 10
    """Rounds between two checkpoints, at most."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints, at most, rounded up to whole rounds."""
    checkpoint_keep: int = 3
    """Newest checkpoints to keep."""
    memory_limit_mib: float = 0.0
    """Memory, in MiB, above which training data stay on disk (external memory); 0 takes the container's."""
    slices: str = ""
    """Categorical columns, separated by commas, whose values are evaluated one by one."""

    @property
    def constraints(self) -> dict[str, int]:
        """Columns that have to keep a direction."""
        return orjson.loads(self.monotone_constraints)

    def xgboost_params(self) -> dict[str, str | int | float]:
        """Give the parameters for XGBoost; what depends on the data, and the rounds, is the caller's."""
        own = XGBOOSTS if self.objective == MULTICLASS else tuple(name for name in XGBOOSTS if name != "num_class")
        return {name: getattr(self, name) for name in own} | {"tree_method": "hist"}


@dataclass(frozen=True, slots=True)
class Whole:
    """Reads a whole number between two bounds, both allowed."""

    low: int
    high: int

    def __call__(self, text: str) -> int:
        """Give the number.

        Raises:
            ValueError: saying what is expected.
        """
        try:
            value = int(text) if "_" not in text else None
        except ValueError:
            value = None
        if value is None or not self.low <= value <= self.high:
            raise ValueError(f"expected a whole number from {self.low} to {self.high}")
        return value


@dataclass(frozen=True, slots=True)
class Real:
    """Reads a finite number between two bounds."""

    low: float
    high: float = math.inf
    low_allowed: bool = True

    def __call__(self, text: str) -> float:
        """Give the number.

        Raises:
            ValueError: saying what is expected.
        """
        try:
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        inside = math.isfinite(value) and self.low <= value <= self.high and (self.low_allowed or value > self.low)
        if not inside:
            limits = f"{'at least' if self.low_allowed else 'above'} {self.low:g}"
            limits += f" and at most {self.high:g}" if self.high < math.inf else ""
            raise ValueError(f"expected a number {limits}")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """Reads one of some words."""

    allowed: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Give the word.

        Raises:
            ValueError: saying what is expected.
        """
        if text not in self.allowed:
            raise ValueError(f"expected one of: {', '.join(self.allowed)}")
        return text


def constraints(text: str) -> str:
    """Read directions of columns, from JSON, and give them in one spelling.

    Raises:
        ValueError: saying what is expected.
    """
    expected = 'expected a JSON object of columns and 1 or -1, such as {"distance": 1}'
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    directions = cast("dict[str, object]", found) if isinstance(found, dict) else {"": None}
    if any(type(value) is not int or value not in DIRECTIONS for value in directions.values()):
        raise ValueError(expected)
    return orjson.dumps(directions, option=orjson.OPT_SORT_KEYS).decode()


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("expected the name of a column")
    return text


PARSERS: dict[str, Callable[[str], str | int | float]] = {
    "label": _name,
    "objective": Choice(OBJECTIVES),
    "num_class": Whole(0, MAX_CLASSES),
    "num_round": Whole(1, 10_000),
    "early_stopping_rounds": Whole(0, 10_000),
    "max_depth": Whole(1, 32),
    "eta": Real(0, 1, low_allowed=False),
    "subsample": Real(0, 1, low_allowed=False),
    "colsample_bytree": Real(0, 1, low_allowed=False),
    "colsample_bylevel": Real(0, 1, low_allowed=False),
    "colsample_bynode": Real(0, 1, low_allowed=False),
    "min_child_weight": Real(0),
    "gamma": Real(0),
    "max_delta_step": Real(0),
    "max_leaves": Whole(0, 2**31 - 1),
    "grow_policy": Choice((DEPTHWISE, LOSSGUIDE)),
    "reg_lambda": Real(0),
    "reg_alpha": Real(0),
    "monotone_constraints": constraints,
    "max_bin": Whole(2, 65_536),
    "seed": Whole(0, 2**31 - 1),
    "device": Choice(devices.CHOICES),
    "nthread": Whole(0, 1024),
    "scale_pos_weight": Real(0, low_allowed=False),
    "class_weight": Choice(("none", "balanced")),
    "checkpoint_rounds": Whole(1, 10_000),
    "checkpoint_seconds": Real(0, 86_400),
    "checkpoint_keep": Whole(1, 100),
    "memory_limit_mib": Real(0),
    "slices": str,
}
"""One parser per field of `Hyperparameters`."""


def parse(values: Mapping[str, object]) -> Hyperparameters:
    """Check and type hyperparameters; a name that is left out takes its default, ``label`` has none.

    Raises:
        UserError: with every problem, one a line.
    """
    problems: list[str] = []
    parsed: dict[str, str | int | float] = {}
    for name, value in values.items():
        if name in TUNER_NAMES:
            continue
        if name not in PARSERS:
            problems.append(f"hyperparameter {name!r} is unknown{suggestion(name, PARSERS)}")
        elif not isinstance(value, str):
            problems.append(f"hyperparameter {name!r} must be a string, as SageMaker sends it; found {value!r}")
        else:
            try:
                parsed[name] = PARSERS[name](value)
            except ValueError as error:
                problems.append(f"hyperparameter {name!r} is {value!r}; {error}")
    if "label" not in values:
        problems.append("hyperparameter 'label' is missing; write the name of the column to predict")
    problems += _contradictions(parsed)
    if problems:
        raise UserError("\n".join(problems))
    return Hyperparameters(**parsed)  # pyright: ignore[reportArgumentType] # each parser returns its field's type; a test compares them


def _contradictions(parsed: Mapping[str, str | int | float]) -> list[str]:
    """Tell which hyperparameters do not go together."""
    objective = parsed.get("objective", BINARY)
    weighed = parsed.get("scale_pos_weight", 1.0) != 1.0
    balanced = parsed.get("class_weight") == "balanced"
    directed: dict[str, int] = orjson.loads(str(parsed.get("monotone_constraints", "{}")))
    unbounded = parsed.get("grow_policy") == LOSSGUIDE and not parsed.get("max_leaves")
    cases = {
        "hyperparameters 'scale_pos_weight' and 'class_weight' exclude each other; remove one": weighed and balanced,
        f"hyperparameter 'scale_pos_weight' needs objective {BINARY}": weighed and objective != BINARY,
        f"hyperparameter 'class_weight' needs classes, objective {REGRESSION} has none": balanced
        and objective == REGRESSION,
        f"hyperparameter 'num_class' needs objective {MULTICLASS}": bool(parsed.get("num_class"))
        and objective != MULTICLASS,
        "hyperparameter 'num_class' is 1; write at least 2, or 0 for the classes that occur": parsed.get("num_class")
        == 1,
        f"hyperparameter 'grow_policy' is {LOSSGUIDE!r}; then 'max_leaves' has to say where a tree ends": unbounded,
        f"hyperparameter 'monotone_constraints' needs one answer, objective {MULTICLASS} gives one for each class": (
            bool(directed) and objective == MULTICLASS
        ),
        f"hyperparameter 'monotone_constraints' names {parsed.get('label')!r}, the label; write features": (
            parsed.get("label") in directed
        ),
    }
    return [problem for problem, holds in cases.items() if holds]


def as_mapping(hyperparameters: Hyperparameters) -> dict[str, str | int | float]:
    """Give the values by name, as the manifest records them."""
    return {item.name: getattr(hyperparameters, item.name) for item in fields(hyperparameters)}
