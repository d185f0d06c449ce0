"""How the data files of this package are read: YAML whose numbers stay decimal numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from costs.band import Band

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


def _decimal(value: object) -> object:
    """Let only text through: a number that was a float has lost its decimal places."""
    if isinstance(value, (str, Decimal)):
        return value
    raise ValueError("read with `costs.data.read`, which leaves numbers as text")


Amount = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0)]
"""A decimal number, zero or more."""


class Record(BaseModel):
    """Base of every record: frozen, camelCase in the file, refusing unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Assumption(Record):
    """A number that no plan holds, with the reason for it."""

    low: Amount
    """The least that is plausible."""
    expected: Amount
    """What the estimate counts with."""
    high: Amount
    """The most that is plausible."""
    why: Annotated[str, Field(min_length=10)]
    """Where the number comes from."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        """Refuse disorder where it stands in the file."""
        Band(self.low, self.expected, self.high)
        return self

    @property
    def band(self) -> Band:
        """The three numbers."""
        return Band(self.low, self.expected, self.high)


def read(path: Path) -> object:
    """Return the content of a YAML file, every scalar as text; `null` is the only other value."""
    return _nulls(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))  # noqa: S506 - makes only text


def _nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _nulls(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_nulls(item) for item in cast("list[object]", value)]
    return None if value == "null" else value
