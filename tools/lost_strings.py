"""Finds strings that are statements by accident: the second line of a text that lost its parentheses.

    message = "bucket is public; "
    "make it private"            # never part of the message

Documentation stays allowed: the first statement of a module, class or function, and a triple-quoted string right after
an assignment in a module, a class or `__init__` (attribute documentation as in PEP 257). Pylint's W0105 knows the same
exceptions but accepts the example above at module and class level, and takes half a minute here.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

TRIPLE = ('"""', "'''")


def is_string(statement: ast.stmt) -> bool:
    """Whether the statement is nothing but a string, bytes or an f-string."""
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str | bytes)
    )


def lost_strings(source: str) -> Iterator[int]:
    """Line numbers of strings that have no effect and document nothing.

    Raises:
        SyntaxError: The source is not Python.
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield from _lost_in(node, cast("list[ast.stmt]", body), lines)


def _lost_in(owner: ast.AST, body: list[ast.stmt], lines: list[str]) -> Iterator[int]:
    named = isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    documents = isinstance(owner, ast.Module | ast.ClassDef) or getattr(owner, "name", "") == "__init__"
    for before, statement in zip([None, *body], body, strict=False):
        if not is_string(statement) or (before is None and named):
            continue
        written = lines[statement.lineno - 1].lstrip().lstrip("rRuU")
        after_assignment = isinstance(before, ast.Assign | ast.AnnAssign)
        if not (documents and after_assignment and written.startswith(TRIPLE)):
            yield statement.lineno


def problems(file: Path) -> list[str]:
    """What to report about one file."""
    try:
        lines = sorted(lost_strings(file.read_text(encoding="utf-8")))
    except SyntaxError as error:
        return [f"{file}:{error.lineno}: is not Python: {error.msg}"]
    return [f"{file}:{line}: this string has no effect; join it to the text that it belongs to" for line in lines]


def main(paths: Sequence[str]) -> int:
    """Report every lost string below the paths; 1 when there is one."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    found = [problem for file in files for problem in problems(file)]
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
