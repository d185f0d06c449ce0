"""Charts at hand are judged with their releases: what Helm would install has to keep the policies too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guardrails.gate import Outcome
from sandbox.charts import refuse_other_versions, with_charts
from sandbox.gate import judged
from tests.kube.definitions import chart_folder
from tests.kube.helm import helm
from tests.support.recorded import STACKS, record_deployment
from tools.helm import ChartError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kube


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    for name in ("karpenter", "karpenter-crd"):
        (tmp_path / name).symlink_to(chart_folder(name))
    return tmp_path


@pytest.mark.parametrize("stack", STACKS)
def test_what_karpenters_charts_install_keeps_the_policies(stack: str, charts: Path) -> None:
    whole, counts = with_charts(record_deployment(stack), charts, helm())
    assert counts["karpenter"] > 10
    report = judged(stack, whole).report
    assert report.resources["kubernetes:apps/v1:Deployment"] >= 1
    assert [finding.message.text for finding in report.findings if finding.blocks] == []
    assert report.count(Outcome.UNDETERMINED) == 0


def test_a_workload_of_a_chart_that_breaks_a_policy_is_found(charts: Path) -> None:
    whole, _ = with_charts(record_deployment("prod"), charts, helm())
    for resource in whole["deployment"]["resources"]:
        if resource["type"] == "kubernetes:apps/v1:Deployment" and "karpenter-controller" in resource["urn"]:
            resource["inputs"]["spec"]["template"]["spec"]["containers"][0]["image"] = "evil.example.com/karpenter"
    found = judged("prod", whole).report.findings
    assert {finding.rule.name for finding in found if finding.blocks} == {"image-pinned-trusted"}


def test_a_chart_of_another_version_is_refused(tmp_path: Path) -> None:
    chart = tmp_path / "karpenter"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: karpenter\nversion: 0.0.1\n")
    with pytest.raises(ChartError, match=r"karpenter is version 0\.0\.1, the release asks for 1\.14\.1: pull that one"):
        refuse_other_versions(record_deployment("prod"), tmp_path, helm())
