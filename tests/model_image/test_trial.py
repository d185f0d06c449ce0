"""Damaged models in front of the child process that tries them, the digest check switched off by a new manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import xgboost

from scoring import artifact, trial
from scoring.errors import ArtifactError
from tests.support.servers import NOT_IN_IMAGE


def vouch(directory: Path) -> str:
    """Write a manifest that fits whatever the directory holds; give its digest."""
    path = directory / artifact.MANIFEST
    manifest: dict[str, Any] = json.loads(path.read_text())
    for name in artifact.PAYLOAD:
        data = (directory / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(manifest))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the children see what the image has."""
    monkeypatch.setenv("PYTHONPATH", f"{NOT_IN_IMAGE}{os.pathsep}{Path(trial.__file__).parents[1]}")


@pytest.fixture
def copy(trained: Any, tmp_path: Path) -> Path:
    return shutil.copytree(trained.base / "model", tmp_path / "model")


def tried(directory: Path, digest: str, timeout_s: float = 30) -> str:
    """Give the reason of the refusal, or nothing."""
    try:
        asyncio.run(trial.run(directory, digest, timeout_s))
    except ArtifactError as error:
        return str(error)
    return ""


@pytest.mark.loop
def test_the_trained_model_passes_and_another_than_announced_is_refused(copy: Path, model: artifact.Artifact) -> None:
    assert tried(copy, model.digest) == ""
    assert "expected 00" in tried(copy, "00" * 32)


@pytest.mark.loop
def test_another_model_under_the_same_golden_answers_is_refused(copy: Path, model: artifact.Artifact) -> None:
    booster = xgboost.Booster(model_file=bytearray(model.model))
    (copy / artifact.MODEL).write_bytes(bytes(booster[: booster.num_boosted_rounds() - 1].save_raw("ubj")))
    assert "golden rows otherwise than when it was trained" in tried(copy, vouch(copy))


@pytest.mark.loop
@pytest.mark.parametrize(
    "case",
    [
        ("os.kill(os.getpid(), 11)", "ended by signal 11"),
        ("time.sleep(60)", "within 1.5 s"),
        ("sys.exit(3)", "ended with status 3"),
        ("bytearray(8 * 1024**3)", "ended with status 1"),
    ],
)
def test_a_child_that_crashes_hangs_or_eats_memory_refuses_the_model(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: artifact.Artifact, case: tuple[str, str]
) -> None:
    body, reason = case
    # the child's golden module is replaced by one that behaves as XGBoost may with a hostile file
    source = Path(trial.__file__).parent
    package = shutil.copytree(source, tmp_path / "image/scoring", ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / "trial.py").read_text()
    (package / "trial.py").write_text(
        text.replace("        found = artifact", f"        import time; {body}\n        found = artifact")
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    assert reason in tried(copy, model.digest, 1.5 if "sleep" in body else 30)
