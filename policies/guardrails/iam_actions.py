"""Which IAM actions accept a resource, by the Service Authorization Reference (`iam_actions.txt`)."""

from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("iam_actions.txt")


@cache
def without_resource() -> dict[str, frozenset[str]]:
    """The actions, lower case, that accept no resource, by service. Only services of the table are keys."""
    lines = (line for line in _TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    entries = (line.partition(":") for line in lines)
    return {service: frozenset(names.lower().split()) for service, _, names in entries}


def accepts_resource(pattern: str) -> bool | None:
    """Whether some action that a pattern covers can be granted on less than everything; unknown outside the table.

    A pattern with a wildcard is taken to cover at least one such action.
    """
    service, _, name = pattern.lower().partition(":")
    if set(pattern) & set("*?"):
        return True
    listed = without_resource().get(service)
    return None if listed is None else name not in listed
