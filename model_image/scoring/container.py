"""Where things lie in a training container, how the hosts of a job meet, and what built the image.

Beside `scoring.settings` the only reader of environment variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SLIPWAY_"
"""Begins the name of every environment variable that belongs to this image."""

CODE_VERSION_VARIABLE = PREFIX + "CODE_VERSION"
LOG_VARIABLE = PREFIX + "LOG"
COLLECTIVE_PREFIX = PREFIX + "COLLECTIVE_"
BASE_DIR_VARIABLE = "SAGEMAKER_BASE_DIR"

MAX_PORT = 65_535
"""A TCP port has 16 bits."""


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    """SageMaker's folder layout for training.

    Source: Amazon SageMaker Developer Guide, "SageMaker AI training storage paths"; the variable that moves the base
    is the one of SageMaker's training toolkit.
    """

    base: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ContainerPaths:
        """Take the base from ``SAGEMAKER_BASE_DIR``, else ``/opt/ml``."""
        return cls(Path(environment.get(BASE_DIR_VARIABLE) or "/opt/ml"))

    @property
    def hyperparameters(self) -> Path:
        """The job's hyperparameters, all strings."""
        return self.base / "input/config/hyperparameters.json"

    @property
    def channels(self) -> Path:
        """The job's input channels."""
        return self.base / "input/config/inputdataconfig.json"

    @property
    def resources(self) -> Path:
        """The hosts of the job."""
        return self.base / "input/config/resourceconfig.json"

    @property
    def checkpoints(self) -> Path:
        """What survives the end of an instance; the folder exists if the job has a checkpoint configuration."""
        return self.base / "checkpoints"

    @property
    def data(self) -> Path:
        """One folder per channel."""
        return self.base / "input/data"

    @property
    def model(self) -> Path:
        """What SageMaker packs into ``model.tar.gz``."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """What SageMaker packs into ``output.tar.gz``."""
        return self.base / "output/data"

    @property
    def failure(self) -> Path:
        """The reason of a failed job."""
        return self.base / "output/failure"


@dataclass(frozen=True, slots=True)
class CollectiveSettings:
    """How the hosts of one training job meet; read from ``SLIPWAY_COLLECTIVE_`` and the name in capitals."""

    port: int = 9099
    """TCP port of the tracker on the first host."""
    timeout_s: int = 300
    """Longest wait of one host for another, at the start and later; reading the data counts."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> CollectiveSettings:
        """Read the environment.

        Raises:
            UserError: with every problem, one a line.
        """
        found = {item.name: environment.get(COLLECTIVE_PREFIX + item.name.upper()) for item in fields(cls)}
        limits = {"port": MAX_PORT, "timeout_s": 86_400}
        problems = [
            f"{COLLECTIVE_PREFIX}{name.upper()} is {text!r}; expected an integer from 1 to {limits[name]}"
            for name, text in found.items()
            if text is not None and not (text.isdecimal() and 1 <= int(text) <= limits[name])
        ]
        if problems:
            raise UserError("\n".join(problems))
        return cls(**{name: int(text) for name, text in found.items() if text is not None})


def code_version(environment: Mapping[str, str] = os.environ) -> str | None:
    """Tell which version of the source the image was built from, if it was told."""
    return environment.get(CODE_VERSION_VARIABLE) or None


def log_form(environment: Mapping[str, str] = os.environ) -> str:
    """Tell the form of a server's log, as it was written; read before the settings, whose problems are logged in it."""
    return environment.get(LOG_VARIABLE, "")
