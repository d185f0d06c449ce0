"""Columns to what XGBoost takes: the schema of the training data, and float32 matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from scoring.contract import Feature, Kind, Schema
from scoring.document import suggestion
from scoring.encoding import number, text_encoder, to_float32
from scoring.errors import UserError, summarize
from scoring.hosts import Hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from scoring.dataset import Column, Table

MAX_CATEGORIES = 10_000
"""More distinct texts than this make an identifier, from which nothing can be learnt."""

MOSTLY_NUMERIC = 0.5
"""Share of numbers, among a categorical column's cells, above which it is worth a warning, and among its different
texts, above which it is refused: a bad cell would make a category of every number."""


def infer_schema(train: Table, label: str, hosts: Hosts | None = None, tables: Iterable[Table] = ()) -> Schema:
    """Derive the model's features: all columns but the label, categorical if any non-blank cell is not a number.

    Args:
        train: This host's part of the training data.
        label: Name of the label's column.
        hosts: The hosts that hold the other parts; all get the same schema.
        tables: This host's part with all its rows, where ``train`` is an outline.

    Raises:
        UserError: no such label column, no feature, a column of numbers with a text among them, or one with too many
            categories.
    """
    hosts = hosts or Hosts()
    if any(other != [*train.columns] for other in hosts.gather([*train.columns])):
        raise UserError(f"channel {train.channel!r}: the hosts' part files have different columns")
    if label not in train.columns:
        raise UserError(f"channel {train.channel!r} has no label column {label!r}{suggestion(label, train.columns)}")
    names = [name for name in train.columns if name != label]
    if not names:
        raise UserError(f"channel {train.channel!r} has no column besides the label {label!r}")
    texts = {name: train.columns[name].texts for name in names}
    numeric = hosts.gather({name for name in names if is_numeric(train.columns[name])})
    categorical = [name for name in names if not all(name in found for found in numeric)]
    parts = hosts.gather({name: {text for text in texts[name] if text.strip()} for name in categorical})
    categories = {name: tuple(sorted(set[str]().union(*(part[name] for part in parts)))) for name in categorical}
    mixed = {name: counted for name in categorical if (counted := _numbers_in_words(categories[name]))}
    if mixed:
        _refuse(hosts.gather(_first_texts(tables or [train], mixed)), mixed)
    problems = [
        f"channel {train.channel!r}, column {name!r}: {len(found)} different texts, at most {MAX_CATEGORIES} are "
        "allowed; leave it out if it is an identifier"
        for name, found in categories.items()
        if len(found) > MAX_CATEGORIES
    ]
    if problems:
        raise UserError(summarize(problems))
    return Schema(label, tuple(_feature(name, categories.get(name)) for name in names))


def _numbers_in_words(texts: tuple[str, ...]) -> str:
    """Tell how many of a column's texts are numbers, if that is most of them."""
    numbers = sum(map(_is_value, texts))
    return f"{numbers} of its {len(texts)} different texts" if numbers > MOSTLY_NUMERIC * len(texts) else ""


def _first_texts(tables: Iterable[Table], names: Iterable[str]) -> dict[str, str]:
    """Give the place, and the text, of each column's first cell that is not a number."""
    found: dict[str, str] = {}
    for table in tables:
        for name in names:
            column = table.columns[name]
            odd = next((code for code, text in enumerate(column.texts) if not is_number(text)), None)
            if name not in found and odd is not None:
                found[name] = f"{table.where(column.first_row(odd))}, column {name!r}: {column.texts[odd]!r}"
    return found


def _refuse(places: list[dict[str, str]], mixed: Mapping[str, str]) -> NoReturn:
    """Refuse columns of numbers that hold texts.

    Raises:
        UserError: with the first place of each, on the first host that has one.
    """
    firsts = {name: next(found[name] for found in places if name in found) for name in mixed}
    problems = [f"{firsts[name]} is not a number, but {counted} are" for name, counted in mixed.items()]
    remedy = "correct the cell, or leave it blank if the value is missing; if the numbers are names, begin each with a"
    raise UserError(f"{summarize(problems)}\n{remedy} letter")


def _feature(name: str, categories: tuple[str, ...] | None) -> Feature:
    return Feature(name) if categories is None else Feature(name, Kind.CATEGORICAL, categories)


def is_numeric(column: Column) -> bool:
    """Tell whether every cell of a column that is not blank is a number."""
    return all(is_number(text) for text in column.texts)


def is_number(text: str) -> bool:
    """Tell whether a cell is a number, or missing."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def _is_value(text: str) -> bool:
    """Tell whether a text is a number, and not one that says that it is missing."""
    try:
        return not math.isnan(number(text))
    except ValueError:
        return False


def warnings(tables: Iterable[Table], schema: Schema) -> list[str]:
    """Point out columns, most cells of which are numbers, that a few texts have made categorical: the first of them."""
    suspects = [feature.name for feature in schema.features if any(map(_is_value, feature.categories))]
    if not suspects:
        return []
    rows, numbers, firsts = 0, dict.fromkeys(suspects, 0), dict[str, str]()
    for table in tables:
        rows += table.rows
        for name in suspects:
            column = table.columns[name]
            numbers[name] += int(np.array([_is_value(text) for text in column.texts])[column.codes].sum())
        firsts = {**_first_texts([table], suspects), **firsts}
    return [
        f"{place} makes it categorical, most of it is numbers"
        for name, place in firsts.items()
        if numbers[name] > MOSTLY_NUMERIC * rows
    ]


def check_columns(table: Table, schema: Schema) -> None:
    """Check that a channel has the columns of the schema, in any order.

    Raises:
        UserError: naming every missing and every additional column.
    """
    expected = (*schema.names, schema.label)
    problems = [f"channel {table.channel!r} lacks column {name!r}" for name in expected if name not in table.columns]
    problems += [
        f"channel {table.channel!r} has column {name!r}, training data has not"
        for name in table.columns
        if name not in expected
    ]
    if problems:
        raise UserError(summarize(problems))


def check_constraints(schema: Schema, directions: Mapping[str, int]) -> None:
    """Check that what has to keep a direction are numeric features.

    Raises:
        UserError: with every column that is not.
    """
    kinds = {feature.name: feature.kind for feature in schema.features}
    problems = [
        f"hyperparameter 'monotone_constraints' names {name!r}, which "
        + ("holds texts: only numbers have a direction" if name in kinds else f"is no feature{suggestion(name, kinds)}")
        for name in directions
        if kinds.get(name) is not Kind.NUMERIC
    ]
    if problems:
        raise UserError(summarize(problems))


def matrix(table: Table, schema: Schema) -> NDArray[np.float32]:
    """Give the features, shape (rows, features), row-major; missing is NaN.

    Raises:
        UserError: a numeric feature holds a text, or a value beyond float32; with file, line and column.
    """
    values = np.empty((table.rows, schema.width), dtype=np.float32)
    problems: list[str] = []
    for place, feature in enumerate(schema.features):
        column = table.columns[feature.name]
        encoded, bad = _encode(column, feature)
        problems += [
            f"{table.where(column.first_row(code))}, column {feature.name!r}: {column.texts[code]!r} {why}"
            for code, why in bad.items()
        ]
        values[:, place] = encoded[column.codes]
    if problems:
        raise UserError(summarize(problems))
    return values


def _encode(column: Column, feature: Feature) -> tuple[NDArray[np.float32], dict[int, str]]:
    encode, bad = text_encoder(feature), dict[int, str]()
    values = np.zeros(len(column.texts))
    for code, text in enumerate(column.texts):
        try:
            values[code] = encode(text)
        except ValueError:
            bad[code] = "is not a number"
    encoded = to_float32(values)
    return encoded, bad | {int(code): "is beyond the range of float32" for code in np.flatnonzero(np.isinf(encoded))}
