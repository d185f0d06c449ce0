"""`tools.chart_values` on a chart that the test writes, with the Helm that set-up built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.kube import helm
from tools import chart_values

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Check = Callable[..., int]

pytestmark = pytest.mark.kube

TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  size: {{ .Values.size | quote }}
  password: {{ randAlphaNum 12 }}
  {{- with .Values.color }}
  color: {{ . }}
  {{- end }}
"""
VALUES = {"size": 1, "color": "red"}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "probe"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: v0.1.0\n", encoding="utf-8")
    (folder / "values.yaml").write_text("size: 1\n", encoding="utf-8")
    (folder / "templates" / "one.yaml").write_text(TEMPLATE, encoding="utf-8")
    return folder


@pytest.fixture
def check(chart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the command for a release with given values; writes the answers into a file of the test's own."""
    monkeypatch.setattr(chart_values, "FACTS", tmp_path / "facts.yaml")
    monkeypatch.setattr(chart_values, "find_helm", helm.helm)

    def run(*more: str, version: str = "0.1.0", **values: object) -> int:
        release = {"chart": "probe", "version": version, "name": "r", "namespace": "n", "crds": False, "values": values}
        (tmp_path / "releases.json").write_text(json.dumps([release]), encoding="utf-8")
        releases = f"--releases={tmp_path / 'releases.json'}"
        return chart_values.main([f"--chart={chart}", "--name=probe", releases, *more])

    return run


def test_what_was_written_holds_until_the_values_or_the_chart_change(
    check: Check, chart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--write=by hand", **VALUES) == 0
    assert "    color: changes\n    size: default\n" in chart_values.FACTS.read_text("utf-8")
    assert 'source: "by hand"' in chart_values.FACTS.read_text("utf-8")
    assert check(**VALUES) == 0
    capsys.readouterr()
    assert check(size=2) == 1
    assert capsys.readouterr().out.splitlines() == [
        "probe 0.1.0: -color: changes",
        "probe 0.1.0: -size: default",
        "probe 0.1.0: +size: changes",
        "probe 0.1.0: 1 values, 3 lines not as written",
    ]
    (chart / "values.yaml").write_text("size: 3\n", encoding="utf-8")
    assert check(**VALUES) == 1


def test_a_value_that_the_chart_does_not_read_is_named_and_nothing_is_written(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("--write=by hand", **VALUES, colour="red") == 1
    assert capsys.readouterr().out == "probe 0.1.0: nothing reads colour\n"
    assert not chart_values.FACTS.exists()


def test_a_chart_of_another_version_answers_for_nothing(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(version="0.2.0", **VALUES) == 1
    assert "is nothing that the program installs. It does: probe 0.2.0" in capsys.readouterr().err
