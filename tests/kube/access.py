"""The table of who may do what, the questions that it puts to the API server, and tokens of those with given rights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.kube.api import Action, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pulumi_kubernetes as kubernetes

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

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


def token_of(cluster: Cluster, namespace: str, name: str, allowed: Sequence[kubernetes.rbac.v1.PolicyRuleArgs]) -> str:
    """A token of somebody who has these rights in the namespace, and no other."""
    api, inside = cluster.api, {"name": name, "namespace": namespace}
    keys = {"apiGroups": "api_groups", "resources": "resources", "verbs": "verbs", "resourceNames": "resource_names"}
    rules = [{key: given for key, field in keys.items() if (given := getattr(rule, field))} for rule in allowed]
    rbac = "rbac.authorization.k8s.io"
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside})
    api.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": inside, "rules": rules})
    api.create(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": inside,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **inside}],
        }
    )
    path = api.path("v1", "ServiceAccount", namespace, name)
    request: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return api.call("POST", f"{path}/token", request)["status"]["token"]
