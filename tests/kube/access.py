"""The table of who may do what, and the questions that it puts to the API server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.kube.api import Action, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.kube.api import Api, Object

TABLE = Path(__file__).with_name("access.yaml")


@dataclass(frozen=True, slots=True)
class Row:
    """What somebody may do and what not; each entry is `verb plural.group/subresource`."""

    may: tuple[str, ...]
    may_not: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The file `access.yaml`."""

    roles: dict[str, Row]
    service_accounts: dict[str, Row]
    nobody: tuple[str, ...]


def read_table(text: str) -> Table:
    """The table as the file says it."""
    content: dict[str, Any] = yaml.safe_load(text)
    return Table(_rows(content["roles"]), _rows(content["serviceAccounts"]), tuple(content["nobody"]))


def _rows(section: dict[str, dict[str, list[str]]]) -> dict[str, Row]:
    return {name: Row(tuple(row["may"]), tuple(row["mayNot"])) for name, row in section.items()}


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody to whom a binding gives a role."""

    subject: Subject
    role: str
    namespace: str
    """Where the role holds; empty: everywhere."""


def grants(bindings: Iterable[Object]) -> Iterator[Grant]:
    """Everybody to whom RoleBindings and ClusterRoleBindings give something."""
    for binding in bindings:
        namespace = binding["metadata"].get("namespace", "") if binding["kind"] == "RoleBinding" else ""
        for subject in binding.get("subjects", ()):
            yield Grant(_subject(subject, namespace), binding["roleRef"]["name"], namespace)


def _subject(subject: Object, namespace: str) -> Subject:
    match subject["kind"]:
        case "ServiceAccount":
            return Subject.service_account(subject.get("namespace", namespace), subject["name"])
        case "Group":
            return Subject(user="somebody", groups=(subject["name"], "system:authenticated"))
        case _:
            return Subject(user=subject["name"], groups=("system:authenticated",))


def wrong(api: Api, subject: Subject, row: Row, namespace: str = "") -> list[str]:
    """Where the server's answers differ from a row."""
    return [
        f"{subject.user} {subject.groups} {'may' if expected else 'may not'} {what!r} in {namespace or 'the cluster'}"
        " by the table, and the server says otherwise"
        for expected, actions in ((True, row.may), (False, row.may_not))
        for what in actions
        if api.may(subject, action(what, namespace)) is not expected
    ]


def action(what: str, namespace: str = "") -> Action:
    """`create pods/exec` in a namespace."""
    verb, _, resource = what.partition(" ")
    return Action(verb=verb, resource=resource, namespace=namespace)
