"""The pinned definitions are served, and their schemas and rules judge: what the other tests rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from components.fargate_objects import SECURITY_GROUP_POLICY
from components.namespace_secrets import API_VERSION as SECRET_CLASS
from tests.kube.api import Refused
from tests.kube.definitions import GROUPS, definitions, install, karpenter_definitions
from tests.support.changes import record_changed
from tests.support.optional import FARGATE_PROFILE, SECRET_FILES, SECRETS
from tools.commands import SetupError
from tools.kube_programs import KUBE_MANIFESTS, module_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.kube.api import Object
    from tests.kube.control_plane import Cluster

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def defined(open_cluster: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Cluster]:
    with open_cluster() as cluster:
        install(cluster, [*karpenter_definitions(), *(item for group in GROUPS for item in definitions(group))])
        yield cluster


def custom(api_version: str, kind: str, **spec: object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": spec,
    }


RULE = {"alert": "Down", "expr": "up == 0"}
BACKEND = {"name": "serving", "port": 8080}
SAMPLES = {
    "monitoring.coreos.com": custom(
        "monitoring.coreos.com/v1", "PrometheusRule", groups=[{"name": "g", "rules": [RULE]}]
    ),
    "argoproj.io": custom(
        "argoproj.io/v1alpha1",
        "AnalysisTemplate",
        metrics=[{"name": "errors", "provider": {"prometheus": {"query": "up"}}}],
    ),
    "cert-manager.io": custom(
        "cert-manager.io/v1", "Certificate", secretName="tls", dnsNames=["a.example"], issuerRef={"name": "ca"}
    ),
    "acme.cert-manager.io": custom(
        "acme.cert-manager.io/v1", "Order", request="cmVxdWVzdA==", dnsNames=["a.example"], issuerRef={"name": "ca"}
    ),
    "externaldns.k8s.io": custom(
        "externaldns.k8s.io/v1alpha1", "DNSEndpoint", endpoints=[{"dnsName": "a.example", "targets": ["192.0.2.1"]}]
    ),
    "vpcresources.k8s.aws": custom(
        SECURITY_GROUP_POLICY,
        "SecurityGroupPolicy",
        podSelector={"matchLabels": {"compute": "fargate"}},
        securityGroups={"groupIds": ["sg-0123456789abcdef0"]},
    ),
    "secrets-store.csi.x-k8s.io": custom(
        SECRET_CLASS, "SecretProviderClass", provider="aws", parameters={"objects": "[]"}
    ),
    "gateway.networking.k8s.io": custom(
        "gateway.networking.k8s.io/v1", "HTTPRoute", rules=[{"backendRefs": [{**BACKEND, "weight": 10}]}]
    ),
}
"""One good object of each group."""


@pytest.mark.parametrize("group", GROUPS)
def test_a_good_object_of_each_group_is_accepted_and_an_unknown_field_is_not(defined: Cluster, group: str) -> None:
    sample = SAMPLES[group]
    defined.api.create(sample, dry_run=True)
    with pytest.raises(Refused, match=r'unknown field "spec\.probe"'):
        defined.api.create({**sample, "spec": {**sample["spec"], "probe": 1}}, dry_run=True)


OPTIONAL = {
    f"kubernetes:{SECURITY_GROUP_POLICY}:SecurityGroupPolicy": {"fargate.profile": FARGATE_PROFILE},
    f"kubernetes:{SECRET_CLASS}:SecretProviderClass": {
        "storage.secrets": SECRET_FILES,
        "teams.0.namespaces.0.secrets": SECRETS,
    },
}
"""What no stack has by itself, by the settings that bring it."""


@pytest.mark.parametrize("token", OPTIONAL)
def test_what_optional_parts_add_to_the_program_is_accepted(defined: Cluster, token: str) -> None:
    added = record_changed(OPTIONAL[token]).one(token).inputs
    namespace = added["metadata"]["namespace"]
    defined.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    defined.api.create(added)


def test_rules_in_cel_are_judged(defined: Cluster) -> None:
    weightless = custom("gateway.networking.k8s.io/v1", "HTTPRoute", rules=[{"filters": [{"type": "URLRewrite"}]}])
    with pytest.raises(Refused, match=r"filter\.urlRewrite must be specified for URLRewrite"):
        defined.api.create(weightless, dry_run=True)


def test_a_module_that_is_not_the_pinned_one_is_never_used(tmp_path: Path) -> None:
    sums = (KUBE_MANIFESTS / "go.sum").read_text(encoding="utf-8")
    (tmp_path / "go.mod").write_bytes((KUBE_MANIFESTS / "go.mod").read_bytes())
    (tmp_path / "go.sum").write_text(sums, encoding="utf-8")
    assert module_folders(tmp_path) == module_folders()
    digest = sums.splitlines()[0].rpartition(" h1:")[2]
    (tmp_path / "go.sum").write_text(sums.replace(digest, f"{digest[-2::-1]}="), encoding="utf-8")
    with pytest.raises(SetupError, match="checksum mismatch"):
        module_folders(tmp_path)
