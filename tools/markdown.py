"""Data as GitHub-flavoured Markdown that cannot become markup, mention somebody or link to something."""

import re

_SPECIAL = re.compile(r"""[\\`*_{}\[\]()#+\-.!|~$:=&<>"']""")
_MENTION = re.compile(r"([@#])(?=\w)")
_ADDRESS = re.compile(r"(?i)(https?|ftp)(?=:)|(www)(?=\.)")
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_NOTHING = "\u200b"
"""A zero-width space: GitHub looks for mentions after it has rendered character references."""


def text(data: str) -> str:
    """Data as running text on one line."""
    line = _SPACE.sub(" ", data).strip()
    for linking in (_MENTION, _ADDRESS):
        line = linking.sub(lambda match: match[0] + _NOTHING, line)
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", line)


def code(data: str) -> str:
    """Data as a code span on one line, also inside a table; an empty one where there is nothing."""
    line = _SPACE.sub(" ", data).strip().replace("|", "\u00a6")
    if not line:
        return ""
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def cut(data: str, longest: int) -> str:
    """The beginning of a text that is too long."""
    return data if len(data) <= longest else f"{data[: longest - 1]}…"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
