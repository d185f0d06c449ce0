"""The contract between training and serving: versions, and the ordered features that a model was trained on."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scoring.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scoring.document import Document

XGBOOST_VERSION = "3.2.0"
"""The one XGBoost version that trains and serves; a model of another version is refused."""

IMAGE_CONTRACT = 2
"""Version of the model directory's layout and of the manifest."""

SCHEMA_VERSION = 1
"""Version of ``schema.json``."""

BINARY, MULTICLASS, REGRESSION = OBJECTIVES = ("binary:logistic", "multi:softprob", "reg:squarederror")
"""Learning objectives that this image trains, evaluates and serves."""

MAX_CLASSES = 1000
"""Of one model; more are more likely a quantity or an identifier."""


FIXED_POINT_FROM, FIXED_POINT_BELOW = 1e-3, 1e9
"""Metrics of other magnitudes are printed with an exponent."""


def metric_words(prefix: str, values: Mapping[str, float]) -> str:
    """Give metrics as the log has them, ``validation-auc=0.7421 validation-logloss=0.5432``.

    SageMaker reads them by regular expressions, those of ``lifecycle.training_log``.
    """
    return " ".join(f"{prefix}-{name}={_shown(value)}" for name, value in values.items())


def _shown(value: float) -> str:
    return f"{value:.4f}" if value == 0 or FIXED_POINT_FROM <= abs(value) < FIXED_POINT_BELOW else f"{value:.4e}"


class Kind(enum.StrEnum):
    """How a feature's values are read."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


XGBOOST_TYPES = {Kind.NUMERIC: "q", Kind.CATEGORICAL: "c"}
"""XGBoost's ``feature_types`` letters: quantitative and categorical."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One model input."""

    name: str
    kind: Kind = Kind.NUMERIC
    categories: tuple[str, ...] = ()
    """Known values of a categorical feature; a value's place is its code. Empty for a numeric feature."""

    def to_json(self) -> dict[str, object]:
        """Give the feature as ``schema.json`` holds it."""
        written: dict[str, object] = {"name": self.name, "kind": self.kind.value}
        return written | {"categories": list(self.categories)} if self.kind is Kind.CATEGORICAL else written

    @classmethod
    def from_json(cls, document: Document) -> Feature:
        """Read a feature back.

        Raises:
            UserError: a key is missing, unknown or of the wrong type.
        """
        name, kind = document.get("name", str), document.get("kind", str)
        if kind not in tuple(Kind):
            raise ArtifactError(f"{document.source}: kind {kind!r} is none of {', '.join(Kind)}")
        categories = document.texts("categories") if kind == Kind.CATEGORICAL else ()
        if len(set(categories)) != len(categories):
            raise ArtifactError(f"{document.source}: categories of {name!r} repeat")
        document.close()
        return cls(name, Kind(kind), categories)


@dataclass(frozen=True, slots=True)
class Schema:
    """What one row is: the features in the order of the model's columns, and the label that training used."""

    label: str
    features: tuple[Feature, ...]
    names: tuple[str, ...] = field(init=False)
    """Feature names in column order."""

    def __post_init__(self) -> None:
        """Derive the names and refuse a schema that cannot describe a row."""
        object.__setattr__(self, "names", tuple(feature.name for feature in self.features))
        if not self.features or len({*self.names, self.label}) != len(self.features) + 1:
            raise ArtifactError("schema: it needs at least one feature, and all names must differ")

    @property
    def width(self) -> int:
        """Number of cells in a row."""
        return len(self.features)

    @property
    def xgboost_types(self) -> list[str]:
        """The features' kinds in XGBoost's letters."""
        return [XGBOOST_TYPES[feature.kind] for feature in self.features]

    def to_json(self) -> dict[str, object]:
        """Give the schema as ``schema.json`` holds it."""
        features = [feature.to_json() for feature in self.features]
        return {"version": SCHEMA_VERSION, "label": self.label, "features": features}

    @classmethod
    def from_json(cls, document: Document) -> Schema:
        """Read a schema back.

        Raises:
            ArtifactError: it is of another version, or cannot describe a row.
            UserError: a key is missing, unknown or of the wrong type.
        """
        if (version := document.get("version", int)) != SCHEMA_VERSION:
            raise ArtifactError(f"{document.source}: version {version}, this image reads version {SCHEMA_VERSION}")
        label = document.get("label", str)
        features = tuple(Feature.from_json(child) for child in document.children("features"))
        document.close()
        return cls(label, features)
