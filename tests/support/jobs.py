"""SageMaker training jobs in a folder of this machine, and data for them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.support.servers import environment

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "distance,carrier,hour,late"
CARRIERS = ("AA", 'B "B"', "C,C", "dé")
HYPERPARAMETERS = {"label": "late", "num_round": "12", "max_depth": "3", "seed": "3", "nthread": "2"}


@dataclass(frozen=True)
class Job:
    """A SageMaker base directory."""

    base: Path

    def write_config(self, hyperparameters: dict[str, str], channels: dict[str, object] | None = None) -> None:
        """Write both configuration files."""
        config = self.base / "input/config"
        config.mkdir(parents=True, exist_ok=True)
        both: dict[str, object] = {"train": {}, "validation": {}}
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (config / "inputdataconfig.json").write_text(json.dumps(both if channels is None else channels))

    def write_channel(self, channel: str, **parts: str) -> None:
        """Write part files by stem."""
        folder = self.base / "input/data" / channel
        folder.mkdir(parents=True, exist_ok=True)
        for stem, text in parts.items():
            (folder / f"{stem}.csv").write_text(text)

    def start(self) -> subprocess.Popen[str]:
        """Start the training container's command."""
        command = [sys.executable, "-m", "scoring", "train"]
        env = environment(SAGEMAKER_BASE_DIR=str(self.base), SLIPWAY_CODE_VERSION="abc123")
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd="/", stdout=pipe, stderr=pipe, text=True)

    def train(self) -> tuple[int, str]:
        """Run the training container's command; give exit code and standard error."""
        with self.start() as process:
            _, errors = process.communicate(timeout=60)
        return process.returncode, errors


def flights(rows: int, seed: int) -> str:
    """Make CSV text with a signal in every column, and blanks."""
    draw = np.random.default_rng(seed)
    lines = [HEADER]
    for _ in range(rows):
        distance, carrier, hour = draw.uniform(50, 2500), int(draw.integers(len(CARRIERS))), int(draw.integers(24))
        chance = 0.15 + 0.2 * (carrier == 1) + 0.02 * hour + 0.0001 * distance
        cell = CARRIERS[carrier].replace('"', '""')
        shown = "" if draw.random() < 0.05 else f"{distance:.1f}"
        lines.append(f'{shown},"{cell}",{hour},{int(draw.random() < chance)}')
    return "\n".join(lines) + "\n"


def prepare(base: Path) -> Job:
    """Write a complete job of three part files."""
    job = Job(base)
    job.write_config(HYPERPARAMETERS)
    first, second = flights(900, 1), flights(600, 2)
    job.write_channel("train", **{"part-1": second, "part-0": first})
    job.write_channel("validation", part=flights(500, 3))
    return job
