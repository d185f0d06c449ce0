"""The few calls of the Kubernetes API that the release step makes, over HTTPS, with nothing but the standard library.

The official client is 25 packages for four calls. The token of an EKS cluster is a presigned request to STS, as the AWS
CLI makes it. Sources: Kubernetes API reference; kubernetes-sigs/aws-iam-authenticator, README, "API Authorization from
Outside a Cluster".
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from botocore.signers import RequestSigner

from release import progress
from release import record as records
from release.patience import BusyError, Patience
from release.record import MissingError, OvertakenError, ReleaseError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from botocore.session import Session

    from release.progress import Progress
    from release.record import Object, Record

SECONDS: Final = 30.0
TOKEN_SECONDS: Final = 60
"""What the authenticator accepts at most in the presigned request; the token itself lasts 15 minutes."""
CLUSTER_HEADER: Final = "x-k8s-aws-id"
DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
ERRORS: Final = {http.client.NOT_FOUND: MissingError, http.client.CONFLICT: OvertakenError}
BUSY: Final = frozenset({401, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later; 401 because the authenticator asks STS, which may not answer it."""
ROLLOUTS: Final = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}"


def eks_token(session: Session, region: str, cluster: str) -> str:
    """A bearer token for an EKS cluster, of the identity that the session has.

    Raises:
        ReleaseError: It has none.
    """
    credentials = session.get_credentials()
    if credentials is None:
        raise ReleaseError("no AWS credentials: the release step runs as a role that the cluster knows")
    service = session.get_service_model("sts").service_id
    signer = RequestSigner(service, region, "sts", "v4", credentials, session.get_component("event_emitter"))
    endpoint = session.create_client("sts", region_name=region).meta.endpoint_url
    url = f"{endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = {"method": "GET", "url": url, "body": {}, "headers": {CLUSTER_HEADER: cluster}, "context": {}}
    signed = signer.generate_presigned_url(request, region_name=region, expires_in=TOKEN_SECONDS, operation_name="")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An API server."""

    url: str
    tls: ssl.SSLContext
    token: Callable[[], str]
    """Called for every request: tokens of EKS expire."""
    patience: Patience = field(default_factory=Patience)

    def call(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] | None = None
    ) -> Object:
        """One request, made again while the server does not answer: reads, and server-side applies, bear it.

        Raises:
            MissingError: There is nothing of that name, or nothing of that kind.
            OvertakenError: It is not any more what the body says that it is.
            ReleaseError: The server refuses it.
            UnreachableError: It does not answer.
        """
        return self.patience.ask(lambda: self._call(method, path, body, query))

    def _call(self, method: str, path: str, body: Object | None, query: Mapping[str, str] | None) -> Object:
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=self.tls)
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": kind, "Accept": "application/json"}
        with contextlib.closing(connection):
            target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        said = f"{method} {path}: {answer.status} {text[:500]}"
        if answer.status in BUSY:
            after = answer.getheader("Retry-After", "")
            raise BusyError(said, float(after) if after.isdecimal() else 0.0)
        if answer.status >= http.client.BAD_REQUEST:
            raise ERRORS.get(answer.status, ReleaseError)(said)
        return json.loads(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWorkload:
    """The Deployment of a model, and the Rollout that runs its pods where there is one."""

    server: Server
    namespace: str
    name: str
    container: str

    def read(self) -> Mapping[str, Any]:
        """The Deployment as it is."""
        return self.server.call("GET", self._path(DEPLOYMENTS))

    def progress(self) -> Progress:
        """How far whatever runs the pods is."""
        deployment, rollout = self.read(), self._rollout()
        return progress.of_deployment(deployment) if rollout is None else progress.of_rollout(rollout, deployment)

    def skip_steps(self, record: Record) -> None:
        """Let the Rollout promote what a release brings back: no step, no judgement, first all pods, then all requests.

        What `kubectl argo rollouts promote --full` does. A Rollout that has given up does it, too; one that is at
        another release, or was told before, is left alone, and a Deployment takes no steps.

        Raises:
            OvertakenError: The Rollout has changed since it was looked at.
        """
        deployment, rollout = self.read(), self._rollout()
        if rollout is None or records.read(deployment) != record or not progress.takes_steps(rollout, deployment):
            return
        self._tell(rollout, {"promoteFull": True})

    def wake(self) -> None:
        """Change a word of the Rollout's status that says nothing, while the Rollout is under way.

        The controller may overwrite a newer Rollout in its cache by an older one of its own, and then tries in vain to
        change that, for ever; any change lets it see the Rollout as it is (argoproj/argo-rollouts#4073, mended by #4786
        after 1.9.1).

        Raises:
            OvertakenError: The Rollout has changed since it was looked at.
        """
        deployment, rollout = self.read(), self._rollout()
        if rollout is None or progress.of_rollout(rollout, deployment).done:
            return
        status = rollout.get("status", {})
        if not status.get("promoteFull"):
            self._tell(rollout, {} if "promoteFull" in status else {"promoteFull": False})

    def _tell(self, rollout: Object, status: Object) -> None:
        document = {
            **{name: rollout[name] for name in ("apiVersion", "kind")},
            "metadata": {name: rollout["metadata"][name] for name in ("name", "namespace", "resourceVersion")},
            "status": status,
        }
        query = {"fieldManager": records.MANAGER, "force": "true"}
        self.server.call("PATCH", f"{self._path(ROLLOUTS)}/status", document, query)

    def apply(self, record: Record, seen: Mapping[str, Any]) -> None:
        """Server-side apply of what the release step owns, taking it over from whoever made the Deployment."""
        document = records.document(record, seen, self.container)
        query = {"fieldManager": records.MANAGER, "force": "true", "fieldValidation": "Strict"}
        self.server.call("PATCH", self._path(DEPLOYMENTS), document, query)

    def _rollout(self) -> Object | None:
        try:
            return self.server.call("GET", self._path(ROLLOUTS))
        except MissingError:
            return None

    def _path(self, pattern: str) -> str:
        return pattern.format(namespace=quote(self.namespace), name=quote(self.name))
