"""A training script as AWS's XGBoost image runs it: what stands for SageMaker's training toolkit in that image.

Its packages are those of the model image, not of AWS's. The model image's interpreter runs it in the job's folder, on
the standard library alone: the code of channel `code` is unpacked to `code`, the script starts with `SM_…` variables
and the hyperparameters as options, and a failed one is told in `output/failure`.
Source: aws/sagemaker-containers 2.8.6, which AWS's XGBoost image runs on: `_env.py`, `_mapping.py`, `_modules.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any, Final

PROGRAM: Final = "sagemaker_program"
"""Hyperparameter that names the script; with it AWS's image runs one instead of its own algorithm."""
SUBMITTED: Final = "sagemaker_submit_directory"
_OURS: Final = "sagemaker_"
_BASE: Final = PurePosixPath("/opt/ml")


def main() -> int:
    """Run the script and give its exit code."""
    base = Path.cwd()
    told = {name: _decoded(text) for name, text in _read(base, "hyperparameters").items()}
    code, program = base / "code", str(told[PROGRAM])
    with tarfile.open(base / PurePosixPath(str(told[SUBMITTED])).relative_to(_BASE), "r:gz") as tar:
        tar.extractall(code, filter="data")
    own = {name: value for name, value in told.items() if not name.startswith(_OURS)}
    options = [word for name, value in sorted(own.items()) for word in (f"--{name}", str(value))]
    environment = {**os.environ, **variables(base, own, options), "PYTHONPATH": str(code)}
    command = [sys.executable, program, *options]
    process = subprocess.Popen(command, cwd=code, env=environment)  # noqa: S603 - the script of the job, no shell
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    status = process.wait()
    if status:
        failure = base / "output/failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(f"ExecuteUserScriptError: {program} ended with exit code {status}", encoding="utf-8")
    return abs(status)


def variables(base: Path, told: dict[str, Any], options: list[str]) -> dict[str, str]:
    """What a script finds in its environment."""
    resources, channels = _read(base, "resourceconfig"), _read(base, "inputdataconfig")
    places = {"MODEL_DIR": "model", "OUTPUT_DATA_DIR": "output/data", "OUTPUT_DIR": "output", "INPUT_DIR": "input"}
    places |= {"INPUT_CONFIG_DIR": "input/config", "MODULE_DIR": "code"}
    places |= {f"CHANNEL_{name.upper()}": f"input/data/{name}" for name in channels}
    texts = {name: str(base / place) for name, place in places.items()}
    texts |= {f"HP_{name.upper()}": str(value) for name, value in told.items()}
    documents: dict[str, object] = {"CHANNELS": sorted(channels), "HPS": told, "USER_ARGS": options}
    documents |= {"HOSTS": resources["hosts"], "INPUT_DATA_CONFIG": channels, "RESOURCE_CONFIG": resources}
    texts |= {name: json.dumps(value) for name, value in documents.items()}
    texts |= {"CURRENT_HOST": resources["current_host"], "NUM_CPUS": str(os.cpu_count() or 1), "NUM_GPUS": "0"}
    return {f"SM_{name}": text for name, text in texts.items()}


def _read(base: Path, name: str) -> dict[str, Any]:
    return json.loads((base / f"input/config/{name}.json").read_text("utf-8"))


def _decoded(text: str) -> object:
    """A hyperparameter, which is JSON if it can be read as such."""
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main())
