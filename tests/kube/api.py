"""A Kubernetes API server's answers, as tests ask for them: strict writes, reads, and who may do what."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECONDS = 30.0
MANAGER = "tests"
"""Field manager of what tests apply."""

Object = dict[str, Any]
"""One Kubernetes object, as JSON."""


class Refused(Exception):  # noqa: N818 - what happened, as the other errors of these tests
    """The server did not accept a request."""

    def __init__(self, status: int, body: str) -> None:
        answer: Object = {}
        with contextlib.suppress(ValueError):
            answer = json.loads(body)
        self.status = status
        """HTTP status."""
        self.reason: str = answer.get("reason", "")
        """Machine-readable reason, such as `Invalid` or `Forbidden`."""
        self.message: str = answer.get("message", body)
        """Every problem that the server found, in words."""
        super().__init__(f"{status} {self.reason}: {self.message}")


@dataclass(frozen=True, slots=True)
class Kind:
    """How the server names the objects of a kind."""

    path: str
    """URL path of the API group and version."""
    plural: str
    namespaced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Somebody who asks the server for something."""

    user: str
    groups: tuple[str, ...] = ()

    @classmethod
    def service_account(cls, namespace: str, name: str) -> Subject:
        """The identity of a pod's service account, with the groups that the server gives it."""
        return cls(
            user=f"system:serviceaccount:{namespace}:{name}",
            groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What somebody wants to do, as a SubjectAccessReview asks it."""

    verb: str
    resource: str
    """`pods`, `pods/exec`, `deployments.apps`: plural, subresource, API group."""
    namespace: str = ""
    name: str = ""

    def attributes(self) -> Object:
        """`spec.resourceAttributes` of the review."""
        whole, _, subresource = self.resource.partition("/")
        plural, _, group = whole.partition(".")
        return {
            "verb": self.verb,
            "resource": plural,
            "subresource": subresource,
            "group": group,
            "namespace": self.namespace,
            "name": self.name,
        }


class Api:
    """One server, asked as one user."""

    def __init__(self, port: int, authority: Path, token: str) -> None:
        self._port = port
        self.url = f"https://127.0.0.1:{port}"
        """Where it listens."""
        self._authority = authority
        self._tls = ssl.create_default_context(cafile=str(authority))
        self._token = token
        self._kinds: dict[tuple[str, str], Kind] = {}

    def with_token(self, token: str) -> Api:
        """The same server, asked by whoever has this token."""
        return Api(self._port, self._authority, token)

    def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        *,
        content: str = "application/json",
    ) -> Object:
        """One request.

        Raises:
            Refused: with what the server says.
            OSError: it does not answer.
        """
        text = self.text(method, f"{path}?{urlencode(query)}" if query else path, body, content=content)
        return json.loads(text)

    def text(self, method: str, path: str, body: Object | None = None, *, content: str = "application/json") -> str:
        """One request whose answer is no object, such as `/readyz`."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=SECONDS, context=self._tls)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content, "Accept": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise Refused(answer.status, text)
        return text

    def kind(self, api_version: str, kind: str) -> Kind:
        """How the server names a kind.

        Raises:
            LookupError: It serves no such kind.
        """
        if (api_version, kind) not in self._kinds:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            try:
                served = self.call("GET", path)["resources"]
            except Refused as refused:
                if refused.status != http.HTTPStatus.NOT_FOUND:
                    raise
                raise LookupError(f"the server has no {api_version}: {refused}") from refused
            for item in served:
                if "/" not in item["name"]:
                    self._kinds[api_version, item["kind"]] = Kind(path, item["name"], item["namespaced"])
        if (api_version, kind) not in self._kinds:
            raise LookupError(f"the server has no {api_version} {kind}")
        return self._kinds[api_version, kind]

    def path(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """URL path of the objects of a kind, or of one of them."""
        served = self.kind(api_version, kind)
        inside = f"/namespaces/{quote(namespace or 'default')}" if served.namespaced and namespace is not None else ""
        return f"{served.path}{inside}/{served.plural}" + (f"/{quote(name)}" if name is not None else "")

    def create(self, item: Object, *, dry_run: bool = False) -> Object:
        """Create an object; an unknown or doubled field is an error (`fieldValidation=Strict`).

        Raises:
            Refused: Schema, CEL rules, admission or a name that is taken.
        """
        query = {"fieldValidation": "Strict", **_dry(dry_run)}
        return self.call("POST", self._path_of(item, named=False), item, query)

    def apply(self, item: Object, *, dry_run: bool = False, manager: str = MANAGER, force: bool = True) -> Object:
        """Server-side apply, strict as `create`.

        Args:
            item: The fields that the manager wants.
            dry_run: Whether nothing is kept.
            manager: Who owns them from then on.
            force: Whether fields of other managers are taken over; otherwise that is a conflict.
        """
        forced = {"force": str(force).lower()}
        query = {"fieldValidation": "Strict", "fieldManager": manager, **forced, **_dry(dry_run)}
        return self.call("PATCH", self._path_of(item), item, query, content="application/apply-patch+yaml")

    def merge(self, item: Object, change: Object, *, subresource: str = "") -> Object:
        """Change fields of an object, or of its subresource such as `status` (RFC 7396)."""
        path = self._path_of(item) + (f"/{subresource}" if subresource else "")
        strict = {"fieldValidation": "Strict"}
        return self.call("PATCH", path, change, strict, content="application/merge-patch+json")

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        """An object; `Refused` with status 404 where there is none."""
        return self.call("GET", self.path(api_version, kind, self._inside(api_version, kind, namespace), name))

    def list(self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "") -> list[Object]:
        """Objects of a kind, in one namespace or everywhere, optionally by label selector."""
        query = {"labelSelector": labels} if labels else {}
        found = self.call("GET", self.path(api_version, kind, namespace), query=query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found]

    def delete(
        self,
        item: Object,
        *,
        propagation: Literal["Background", "Foreground"] = "Background",
        grace: int | None = None,
    ) -> None:
        """Delete an object.

        Args:
            item: The object.
            propagation: Whether what it owns goes after it, or before it (`Foreground`).
            grace: Seconds that it has to end; its own, if None.
        """
        seconds = {} if grace is None else {"gracePeriodSeconds": str(grace)}
        self.call("DELETE", self._path_of(item), query={"propagationPolicy": propagation, **seconds})

    def may(self, subject: Subject, action: Action) -> bool:
        """What the server's authorizers say about somebody who is not here (SubjectAccessReview)."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": subject.user,
                "groups": list(subject.groups),
                "resourceAttributes": action.attributes(),
            },
        }
        status = self.create(review)["status"]
        if error := status.get("evaluationError"):
            raise AssertionError(f"the server could not judge {subject} {action}: {error}")
        return status["allowed"]

    def _inside(self, api_version: str, kind: str, namespace: str | None) -> str | None:
        return (namespace or "default") if self.kind(api_version, kind).namespaced else None

    def _path_of(self, item: Object, *, named: bool = True) -> str:
        api_version, kind, metadata = item["apiVersion"], item["kind"], item.get("metadata", {})
        namespace = self._inside(api_version, kind, metadata.get("namespace"))
        return self.path(api_version, kind, namespace, metadata["name"] if named else None)


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def named(item: Object) -> str:
    """`NodePool burst-cpu`, `NetworkPolicy inference/default-deny`: how messages call an object."""
    metadata = item.get("metadata", {})
    inside = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{item['kind']} {inside}{metadata.get('name', '?')}"
