"""The processing jobs of the model image in miniature: copies the data, repeats what the trainer claimed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path


def check(base: Path) -> int:
    rows = [path.read_text() for path in sorted((base / "processing/input").rglob("*.csv"))]
    if any("poison" in text for text in rows):
        (base / "output/message").write_text("train/2013-02.csv is poisoned")
        return 3
    for name, source in {"train": "train", "validation": "validation", "test": "validation"}.items():
        shutil.copytree(base / "processing/input" / source, base / "processing/output" / name, dirs_exist_ok=True)
    (base / "processing/output/report/data.json").write_text(json.dumps({"files": len(rows)}))
    return 0


def evaluate(base: Path) -> int:
    archive = base / "processing/input/model/model.tar.gz"
    with tarfile.open(archive) as tar:
        member = tar.extractfile("evaluation.json")
        found = json.loads(member.read() if member else b"{}")
    auc = found["binary_classification_metrics"]["auc"]["value"]
    found["lineage"] = {
        "code_version": "none",
        "auc": f"{auc:.6f}",
        "model_sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    found["card"] = {"training_observations": '"a few"', "training_metrics": "[]", "hyper_parameters": "[]"}
    found["card"]["code_version"] = '"none"'
    found["card"]["metric_data"] = json.dumps([{"name": "auc", "type": "number", "value": auc}])
    (base / "processing/output/report/evaluation.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "evaluate": evaluate}[sys.argv[1]](Path(os.environ["SAGEMAKER_BASE_DIR"])))
