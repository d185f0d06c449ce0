"""The tables of the image's README against the code that they describe."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from scoring import channels, cluster, document, hyperparameters
from scoring.batcher import Load
from scoring.capture import Capture
from scoring.container import CollectiveSettings, ContainerPaths
from scoring.contract import Feature, Schema
from scoring.drift import Drift
from scoring.errors import Fault
from scoring.metrics import Metrics
from scoring.predictions import Predictions
from scoring.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = Path(__file__).parents[2] / "model_image"
README = (IMAGE / "README.md").read_text()


def section(title: str) -> str:
    return README.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def described() -> Iterator[str]:
    """Give the row of every setting from its field, default and documentation."""
    tree = ast.parse((IMAGE / "scoring/settings.py").read_text())
    (settings,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    texts = {
        ast.unparse(field.target): ast.literal_eval(text.value)
        for field, text in zip(settings.body, settings.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
    for field in fields(ServerSettings):
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        text = " ".join(texts[field.name].split()).replace("``", "`").rstrip(".")
        yield f"| `{field.name.upper()}` | {f'`{default}`' if default else ''} | {text} |"


def test_every_setting_is_listed_with_its_default_as_the_code_documents_it() -> None:
    rows = [line for line in section("Settings").splitlines() if line.startswith("| `")]
    assert rows == [*described()]


def test_every_metric_of_a_server_of_one_model_is_listed(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.drift = Drift({"a": {"edges": [], "rows": [1, 0]}}, Schema("y", (Feature("a"),)))
    metrics.predictions = Predictions()
    metrics.queue = lambda: Load(0, 0, 1, 1)
    kept = Capture(tmp_path, percent=0, max_queued_bytes=1, max_file_bytes=1, max_file_s=1, max_disk_bytes=1)
    kept.close()
    names = {family.name for family in metrics.families(kept)}
    listed = re.findall(r"`(slipway_\w+)`", section("Metrics"))
    several = {"slipway_model_charged_bytes", "slipway_models_budget_bytes", "slipway_model_events_total"}
    assert set(listed) == names | several


def test_every_code_of_an_error_is_listed_with_its_status() -> None:
    listed = {
        (int(status), code)
        for statuses, codes in re.findall(r"^\| ([0-9, ]+)[^|]*\| (.*) \|$", README, re.MULTILINE)
        for status in statuses.strip(" ,").split(", ")
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert {(fault.status.value, fault.code) for fault in Fault} <= listed


def test_the_files_of_a_job_are_what_training_reads_and_its_variables_are_those_of_the_code(tmp_path: Path) -> None:
    text = README.partition("\n## Train by hand\n")[2].partition("\n## ")[0]
    paths = ContainerPaths.from_environment({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    shown = dict(re.findall(r"^`(\w+\.json)`[^\n]*\n\n```json\n(.*?)```", text, re.MULTILINE | re.DOTALL))
    assert shown.keys() == {path.name for path in (paths.hyperparameters, paths.channels, paths.resources)}
    paths.hyperparameters.parent.mkdir(parents=True)
    for name, content in shown.items():
        (paths.hyperparameters.parent / name).write_text(content)
    for name in channels.REQUIRED:
        (paths.data / name).mkdir(parents=True)
        (paths.data / name / "part-0.csv").write_text("distance,late\n1,0\n")
    assert hyperparameters.parse(document.load(paths.hyperparameters).values).label == "late"
    assert channels.find(paths.channels, paths.data).keys() == set(channels.REQUIRED)
    with cluster.join(paths.resources, CollectiveSettings()) as hosts:
        assert hosts.size == 1

    given = {"SAGEMAKER_BASE_DIR": "/opt/ml", "SLIPWAY_CODE_VERSION": "", "OMP_WAIT_POLICY": ""}
    given |= {f"SLIPWAY_COLLECTIVE_{f.name.upper()}": str(f.default) for f in fields(CollectiveSettings)}
    assert dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^ `|]*)`? \|", text, re.MULTILINE)) == given
    assert str(ContainerPaths.from_environment({}).base) == given["SAGEMAKER_BASE_DIR"]
