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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from botocore.signers import RequestSigner

from release import progress
from release import record as records
from release.record import MissingError, ReleaseError

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

    def call(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] | None = None
    ) -> Object:
        """One request.

        Raises:
            MissingError: There is nothing of that name, or nothing of that kind.
            ReleaseError: The server refuses it.
            OSError: It does not answer.
        """
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=self.tls)
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": kind, "Accept": "application/json"}
        with contextlib.closing(connection):
            target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= http.client.BAD_REQUEST:
            kind_of_error = MissingError if answer.status == http.client.NOT_FOUND else ReleaseError
            raise kind_of_error(f"{method} {path}: {answer.status} {text[:500]}")
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
        deployment = self.read()
        try:
            rollout = self.server.call("GET", self._path(ROLLOUTS))
        except MissingError:
            return progress.of_deployment(deployment)
        return progress.of_rollout(rollout, deployment)

    def apply(self, record: Record) -> None:
        """Server-side apply of what the release step owns, taking it over from whoever made the Deployment."""
        beside = records.followers(self.read(), record.serving.image)
        document = records.document(record, self.namespace, self.name, self.container, beside)
        query = {"fieldManager": records.MANAGER, "force": "true", "fieldValidation": "Strict"}
        self.server.call("PATCH", self._path(DEPLOYMENTS), document, query)

    def _path(self, pattern: str) -> str:
        return pattern.format(namespace=quote(self.namespace), name=quote(self.name))
