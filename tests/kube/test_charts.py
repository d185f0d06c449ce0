"""The charts of the program's releases, rendered by Helm with the program's values: the server accepts every object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kube.admitted import without_pods
from tests.kube.definitions import CHARTS, CHARTS_ELSEWHERE, chart_folder, manifests, pinned_versions
from tests.kube.helm import rendered, unread
from tests.kube.pods import container
from tests.support.objects import program_releases
from tests.support.recorded import STACKS
from tools.chart_values import leaves
from tools.helm import ChartError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kube.admitted import Admitted
    from tests.kube.api import Object
    from tests.support.objects import Release

pytestmark = pytest.mark.kube


def renderable(stack: str) -> list[Release]:
    """Releases of a stack whose charts are here; at least those of Karpenter."""
    found = [release for release in program_releases(stack) if release.chart in CHARTS]
    assert {"karpenter", "karpenter-crd"} <= {release.chart for release in found}
    return found


def test_the_server_accepts_every_object_of_the_charts(admitted: Admitted) -> None:
    assert admitted.refused_manifests == ()
    kinds = {item["kind"] for item in admitted.manifests}
    assert {"Deployment", "ServiceAccount", "ClusterRole", "PodDisruptionBudget", "CustomResourceDefinition"} <= kinds


def test_every_deployment_gets_the_pods_that_it_asks_for(admitted: Admitted) -> None:
    deployments = [item for item in [*admitted.objects, *admitted.manifests] if item["kind"] == "Deployment"]
    assert "karpenter" in {item["metadata"]["name"] for item in deployments}
    assert admitted.without_pods == ()


def test_a_deployment_whose_pods_are_not_admitted_is_found_with_the_reason(admitted: Admitted) -> None:
    namespace = next(filter(admitted.takes_pods, admitted.namespaces("restricted")))
    refused = deployment(namespace, "root", container(runAsNonRoot=False))
    deployments = [deployment(namespace, "fine", container()), refused]
    for item in deployments:
        admitted.api.create(item)
    (problem,) = without_pods(admitted.cluster, deployments, seconds=5)
    assert problem.startswith(f"Deployment {namespace}/root: ")
    assert 'violates PodSecurity "restricted:' in problem


def deployment(namespace: str, name: str, only: Object) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [only]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


@pytest.mark.parametrize("stack", STACKS)
def test_every_release_is_rendered_or_its_chart_is_known_to_be_elsewhere(stack: str) -> None:
    assert not CHARTS.keys() & CHARTS_ELSEWHERE
    for release in program_releases(stack):
        assert release.chart in CHARTS.keys() | CHARTS_ELSEWHERE, release.name


@pytest.mark.parametrize("stack", STACKS)
def test_the_charts_are_of_the_versions_that_the_program_releases(stack: str) -> None:
    for release in renderable(stack):
        assert release.version in pinned_versions(release.chart), release.name


@pytest.mark.parametrize("stack", STACKS)
def test_the_chart_reads_every_value_that_the_program_sets(stack: str) -> None:
    for release in renderable(stack):
        chart = chart_folder(release.chart)
        assert list(leaves(release.values))
        assert unread(chart, release.values, name=release.name, namespace=release.namespace) == [], release.name


@pytest.mark.parametrize("stack", STACKS)
def test_the_controller_runs_as_its_values_say(stack: str) -> None:
    (release,) = [item for item in renderable(stack) if item.chart == "karpenter"]
    (deployment,) = [item for item in manifests(release) if item["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == release.values["replicas"]
    assert spec["serviceAccountName"] == release.values["serviceAccount"]["name"]
    assert release.values["nodeSelector"].items() <= spec["nodeSelector"].items()
    assert [item for item in spec["tolerations"] if item in release.values["tolerations"]]
    (controller,) = spec["containers"]
    assert controller["resources"] == release.values["controller"]["resources"]
    settings = {item["name"]: item.get("value") for item in controller["env"]}
    assert settings["CLUSTER_NAME"] == release.values["settings"]["clusterName"]
    assert settings["INTERRUPTION_QUEUE"] == release.values["settings"]["interruptionQueue"]
    assert controller["securityContext"]["readOnlyRootFilesystem"]
    assert not controller["securityContext"]["allowPrivilegeEscalation"]
    assert "@sha256:" in controller["image"]


# Helm and the search for values that nothing reads


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart that reads `size` always, `color` sometimes, and refuses a name that is not lower case."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: 0.1.0\n", encoding="utf-8")
    (tmp_path / "values.yaml").write_text("size: 1\nlabels: {}\ncolor: {on: false}\n", encoding="utf-8")
    (tmp_path / "templates" / "one.yaml").write_text(
        """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{ .Values.labels | toJson }}
data:
  size: {{ .Values.size | quote }}
  {{- if .Values.color.on }}
  color: {{ .Values.color.name }}
  {{- end }}
  date: 2026-11-22
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  {{- if eq (.Values.name | default "a") "A" }}{{ fail "name has to be lower case" }}{{ end }}
""",
        encoding="utf-8",
    )
    return tmp_path


def test_a_release_is_rendered_as_the_cluster_would_get_it(chart: Path) -> None:
    (found,) = rendered(chart, {"size": 2}, name="mine", namespace="there")
    assert found["metadata"] == {"name": "mine", "namespace": "there", "labels": {}}
    assert found["data"]["size"] == "2"
    assert found["data"]["date"] == "2026-11-22"
    assert found["data"]["kubernetes"].startswith("v1.35.")


def test_a_chart_that_refuses_values_says_so(chart: Path) -> None:
    with pytest.raises(ChartError, match="name has to be lower case"):
        rendered(chart, {"name": "A"}, name="mine", namespace="there")


def test_values_that_nothing_reads_are_found_with_their_paths(chart: Path) -> None:
    values = {"size": 2, "labels": {"a": "b"}, "color": {"on": False, "name": "red"}, "sizes": [{"x": 1}], "none": []}
    assert unread(chart, values, name="r", namespace="n") == ["color.name", "sizes.0.x", "none"]
    values["color"] = {"on": True, "name": "red"}
    assert unread(chart, values, name="r", namespace="n") == ["sizes.0.x", "none"]
