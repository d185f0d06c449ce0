"""RBAC as the API server's authorizer answers it: everybody who is bound may what the table says, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kube.access import TABLE, Row, grants, read_table, wrong
from tests.kube.api import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.kube.admitted import Admitted
    from tests.kube.api import Object
    from tests.kube.control_plane import Cluster

pytestmark = pytest.mark.kube

BINDINGS = ("RoleBinding", "ClusterRoleBinding")
TABLE_OF_ACCESS = read_table(TABLE.read_text(encoding="utf-8"))


def test_everybody_who_is_bound_by_the_program_may_what_the_table_says_where_they_are_bound(admitted: Admitted) -> None:
    problems: list[str] = []
    for grant in grants(admitted.of_kind(*BINDINGS)):
        assert grant.role in TABLE_OF_ACCESS.roles, f"tests/kube/access.yaml says nothing of role {grant.role}"
        problems += wrong(admitted.api, grant.subject, TABLE_OF_ACCESS.roles[grant.role], grant.namespace)
    assert problems == []


def test_a_role_holds_in_its_namespace_only(admitted: Admitted) -> None:
    bound = [grant for grant in grants(admitted.of_kind("RoleBinding")) if grant.role in TABLE_OF_ACCESS.roles]
    everywhere = {
        grant.subject: {other.namespace for other in bound if other.subject == grant.subject} for grant in bound
    }
    problems = [
        problem
        for grant in bound
        for namespace in {"default", "kube-system", *admitted.namespaces("restricted")} - everywhere[grant.subject]
        for problem in wrong(admitted.api, grant.subject, Row((), TABLE_OF_ACCESS.roles[grant.role].may), namespace)
    ]
    assert problems == []


def test_controllers_may_what_the_table_says(admitted: Admitted) -> None:
    accounts = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in admitted.manifests
        if item["kind"] == "ServiceAccount"
    }
    assert accounts
    assert accounts <= TABLE_OF_ACCESS.service_accounts.keys()
    for account in accounts:
        subject = Subject.service_account(*account.split("/"))
        assert wrong(admitted.api, subject, TABLE_OF_ACCESS.service_accounts[account]) == []


def test_nobody_who_is_bound_gets_at_secrets_bounds_or_other_peoples_rights(admitted: Admitted) -> None:
    bound = list(grants(item for item in [*admitted.objects, *admitted.manifests] if item["kind"] in BINDINGS))
    assert bound
    namespaces = ["", "kube-system", *admitted.namespaces("restricted")]
    assert [
        problem
        for subject in {grant.subject for grant in bound}
        for namespace in namespaces
        for problem in wrong(admitted.api, subject, Row((), TABLE_OF_ACCESS.nobody), namespace)
    ] == []


# The machinery, with a role of the tests' own


@pytest.fixture(scope="module")
def ruled(open_cluster: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Cluster]:
    with open_cluster() as cluster:
        cluster.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
        for item in (ROLE, BINDING):
            cluster.api.create(item)
        yield cluster


RBAC = "rbac.authorization.k8s.io"
ROLE: Object = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "Role",
    "metadata": {"name": "reader", "namespace": "lab"},
    "rules": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]}],
}
BINDING: Object = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "reader", "namespace": "lab"},
    "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
    "subjects": [
        {"kind": "Group", "apiGroup": RBAC, "name": "readers"},
        {"kind": "ServiceAccount", "name": "robot", "namespace": "lab"},
        {"kind": "User", "apiGroup": RBAC, "name": "ada"},
    ],
}


def test_each_kind_of_subject_is_asked_about_as_itself(ruled: Cluster) -> None:
    found = list(grants([BINDING]))
    assert [(grant.role, grant.namespace) for grant in found] == [("reader", "lab")] * 3
    right = Row(may=("get pods", "get pods/log"), may_not=("list pods", "get secrets", "get deployments.apps"))
    for grant in found:
        assert wrong(ruled.api, grant.subject, right, "lab") == []
        assert wrong(ruled.api, grant.subject, Row((), right.may), "default") == []


def test_a_table_that_says_too_much_or_too_little_is_found(ruled: Cluster) -> None:
    (ada,) = [grant.subject for grant in grants([BINDING]) if grant.subject.user == "ada"]
    (too_much,) = wrong(ruled.api, ada, Row(may=("get pods", "delete pods"), may_not=()), "lab")
    assert "may 'delete pods' in lab" in too_much
    (too_little,) = wrong(ruled.api, ada, Row(may=(), may_not=("get pods/log", "list pods")), "lab")
    assert "may not 'get pods/log' in lab" in too_little
    stranger = Subject(user="eve", groups=("system:authenticated",))
    assert len(wrong(ruled.api, stranger, Row(("get pods",), ()), "lab")) == 1


def test_an_administrator_may_what_nobody_else_may(ruled: Cluster) -> None:
    administrator = Subject(user="root", groups=("system:masters",))
    assert wrong(ruled.api, administrator, Row(TABLE_OF_ACCESS.nobody, ())) == []
