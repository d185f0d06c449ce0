"""A subject's rows in a Parquet file: read and written by DuckDB, in memory and without the network.

The file is written anew: the same rows in their order and the same types, in other bytes.
Source: DuckDB documentation, "Reading and Writing Parquet Files".
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

OPTIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_FILE: Final = "read_parquet($file, hive_partitioning = false)"


def split(content: bytes, column: str, key: str) -> tuple[list[dict[str, Any]], bytes | None]:
    """Take the rows out whose column has a value.

    Args:
        content: The file.
        column: Its name; a file without it has no such rows.
        key: The value, as text.

    Returns:
        The rows by column, and the file without them: None where nothing has to change, empty where no row is left.

    Raises:
        ValueError: It is no Parquet file.
    """
    with TemporaryDirectory() as folder, duckdb.connect(config=OPTIONS) as database:
        given, left = Path(folder, "given.parquet"), Path(folder, "left.parquet")
        given.write_bytes(content)
        try:
            return _split(database, {"file": str(given)}, left, (column, key))
        except duckdb.Error as error:
            raise ValueError(f"no Parquet file that can be read: {type(error).__name__}") from None


def _split(
    database: duckdb.DuckDBPyConnection, file: dict[str, str], left: Path, wanted: tuple[str, str]
) -> tuple[list[dict[str, Any]], bytes | None]:
    column, key = wanted
    names = [str(row[0]) for row in database.execute(f"DESCRIBE FROM {_FILE}", file).fetchall()]
    if column not in names:
        return [], None
    text = 'CAST("{}" AS VARCHAR)'.format(column.replace('"', '""'))
    values = {**file, "key": key}
    found = database.execute(f"FROM {_FILE} WHERE {text} = $key", values).fetchall()
    if not found:
        return [], None
    taken = [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in found]
    rest = f"FROM {_FILE} WHERE {text} IS DISTINCT FROM $key"
    counted = database.execute(f"SELECT count(*) {rest}", values).fetchone()
    if counted is None or not counted[0]:
        return taken, b""
    database.execute(f"COPY ({rest}) TO '{left}' (FORMAT parquet)", values)
    return taken, left.read_bytes()


def _plain(value: object) -> object:
    """As JSON has it."""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
