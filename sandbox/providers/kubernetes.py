"""Provider plugin `kubernetes` of the sandbox."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.chaos import Chaos
from sandbox.providers.aws import FOLDER_VARIABLE
from sandbox.providers.kinds import Birth, Kind
from sandbox.providers.plugin import serve
from sandbox.providers.resources import ResourceBackend, type_of
from sandbox.schema import Failure, ResourceSchema
from sandbox.world import World

if TYPE_CHECKING:
    from sandbox.wire import Properties

_NAMESPACE: Final = "kubernetes:core/v1:Namespace"
_RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_IDENTITY: Final = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace"})
_IMMUTABLE: Final[dict[str, frozenset[str]]] = {
    "kubernetes:apps/v1:Deployment": frozenset({"spec.selector"}),
    "kubernetes:apps/v1:DaemonSet": frozenset({"spec.selector"}),
    "kubernetes:apps/v1:StatefulSet": frozenset({"spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"}),
    "kubernetes:batch/v1:Job": frozenset({"spec.selector", "spec.template"}),
    "kubernetes:storage.k8s.io/v1:StorageClass": frozenset({"provisioner", "parameters", "reclaimPolicy"}),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": frozenset({"roleRef"}),
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": frozenset({"roleRef"}),
}
"""Fields that the API server refuses to change, by kind (Kubernetes API reference)."""


_RELEASE_SECONDS: Final = 45.0
"""A usual time, not a published one: pull images of some 100 MiB, start, become ready."""


def usual_seconds(token: str) -> float:
    """Returns how long the creation of an object usually takes; only a release waits for pods."""
    return _RELEASE_SECONDS if token == _RELEASE else 1.0


class KubernetesBackend(ResourceBackend):
    """A cluster as far as a plan can show it."""

    def kind(self, token: str) -> Kind:
        """Returns the behaviour of a type."""
        if token == _RELEASE:
            return Kind(
                identify=lambda birth: f"{birth.text('namespace', 'default')}/{birth.text('name')}",
                compute=lambda _birth, _id: {"status": {"status": "deployed", "revision": 1}},
                immutable=frozenset({"name", "namespace"}),
                autoname="name",
                seconds=usual_seconds(token),
            )
        return Kind(
            identify=_object_id,
            compute=_status,
            immutable=_IDENTITY | _IMMUTABLE.get(token, frozenset()),
        )

    def check_config(self, inputs: Properties) -> list[Failure]:
        """Accepts any configuration: the cluster is never dialled."""
        del inputs
        return []

    def fill_in(self, schema: ResourceSchema, news: Properties) -> Properties:
        """Returns the inputs with the name and namespace that the real provider fills in."""
        inputs = dict(news)
        metadata = inputs.get("metadata")
        if schema.token == _RELEASE or not isinstance(metadata, dict):
            return inputs
        if schema.token != _NAMESPACE and not _is_cluster_scoped(schema.token):
            metadata = {"namespace": "default", **metadata}
        inputs["metadata"] = metadata
        return inputs

    def refusals(self, kind: Kind, inputs: Properties) -> list[Failure]:
        """Returns objects without a name: the sandbox has to know what they are called."""
        del kind
        metadata = inputs.get("metadata")
        nameless = isinstance(metadata, dict) and not metadata.get("name") and not metadata.get("generateName")
        return [Failure("metadata.name", "missing: name the object, so that others can find it")] if nameless else []


_CLUSTER_SCOPED: Final = frozenset(
    {
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "IngressClassParams",
        "NodeOverlay",
        "NodePool",
        "EC2NodeClass",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    }
)


def _is_cluster_scoped(token: str) -> bool:
    return token.rsplit(":", 1)[-1] in _CLUSTER_SCOPED


def _status(birth: Birth, identity: str) -> Properties:
    """Returns the address of what has a load balancer; the real provider waits until it has one."""
    kind, spec = type_of(birth.urn).rsplit(":", 1)[-1], birth.inputs.get("spec")
    balanced = kind == "Service" and isinstance(spec, dict) and spec.get("type") == "LoadBalancer"
    if kind != "Ingress" and not balanced:
        return {}
    name = f"k8s-{identity.replace('/', '-')}.elb.amazonaws.com"
    return {"status": {"loadBalancer": {"ingress": [{"hostname": name}]}}}


def _object_id(birth: Birth) -> str:
    metadata = birth.inputs.get("metadata")
    fields: Properties = metadata if isinstance(metadata, dict) else {}
    name = fields.get("name") or type_of(birth.urn)
    return f"{fields['namespace']}/{name}" if fields.get("namespace") else str(name)


def main() -> None:
    """Serves the plugin."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    version = importlib.metadata.version("pulumi-kubernetes")
    serve(KubernetesBackend(version, World(folder / "world.db"), Chaos.load(folder)))


if __name__ == "__main__":
    main()
