"""What the local loop takes and gives, and where it keeps things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.loop.flights import TRAINING_MONTHS
from sandbox.loop.processes import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from settings.model import ModelSpec


HEALTH_PATH = "/_slipway/health"
"""Path at which the AWS APIs answer the fingerprint that they were started with."""

TROUBLE_PATH = "/_slipway/trouble"
"""Path at which the AWS APIs take `{"interrupt": <training job>}` and `{"failNext": <reason>}`; for tests."""

REFUSE_PATH = "/_slipway/refuse"
"""Path at which the AWS APIs take `{"operation": …, "times": 2, "done": false}`: so many next calls of an operation of
SageMaker fail, before their effect or after it; for tests."""


class LoopError(Exception):
    """The loop cannot go on; the message says what to do."""


class RefusedError(LoopError):
    """The pipeline refused the data, or the model that learnt from it; the message says which step, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPipeline:
    """A pipeline as the stack declares it."""

    name: str
    """Name of the pipeline."""
    role_arn: str
    """Role that it runs as."""
    definition: str
    """JSON of its definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSpec:
    """What one run of the loop is about: names that the stack's outputs tell, and one model."""

    account_id: str
    """Account that the APIs on loopback pretend to be."""
    region: str
    """Region of everything."""
    data_bucket: str
    """Bucket of the training data."""
    models_bucket: str
    """Bucket of artefacts and checkpoints."""
    repository_url: str
    """Repository of the model image, `<registry>/<name>`."""
    key_arn: str
    """Key of everything that is written."""
    pipeline: DeclaredPipeline
    """Steps from data to a registered version."""
    role_arns: tuple[str, ...]
    """Every role of pipelines and jobs in the environment, those of other models too: one account serves all."""
    package_group: str
    """Model package group."""
    objects: Mapping[str, bytes]
    """Objects of the models bucket that the stack itself makes for the model: content by key."""
    packaging: Mapping[str, str]
    """Variables of the project that builds images of the model's versions."""
    model: ModelSpec
    """The model as the stack file describes it."""
    state_dir: Path
    """Folder of the environment's state; everything here goes below its `loop`."""
    image_python: Path
    """Interpreter of the virtual environment that stands for the model image."""
    image_source: Path = REPOSITORY / "model_image"
    """Folder that holds the package `scoring`."""
    training_months: tuple[int, ...] = TRAINING_MONTHS
    """Months of 2013 to train on; the others have not arrived yet."""
    poison: str = ""
    """What is wrong with the last of them, a word of `poisons.POISONS`; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good the answers were for rows whose outcome is known."""

    rows: int
    """Number of rows asked."""
    auc: float
    """Area under the ROC curve."""
    log_loss: float
    """Mean negative log-likelihood, nats."""
    base_rate_log_loss: float
    """The same for a constant answer: the share of late flights in the training months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    """What a run of the loop has reached."""

    model: str
    """Name of the model."""
    model_version: int
    """Version in the model registry that serves."""
    metrics: Mapping[str, float]
    """Of the evaluation that the gate has judged."""
    holdout: Evaluation
    """Evaluation of the answers that the endpoint gave for the held-out month."""
    endpoint_url: str
    """Where the model answers."""
    curl: str
    """A command line that asks it."""
    changed: bool
    """Whether this run did anything but look."""
    places: Mapping[str, str]
    """Where things lie: files, logs and the address of the AWS APIs."""


@dataclass(frozen=True, slots=True)
class LoopPaths:
    """The files of the loop, below `root`."""

    root: Path

    @classmethod
    def of(cls, state_dir: Path) -> LoopPaths:
        """The files of the environment whose state is in `state_dir`."""
        return cls(state_dir.resolve() / "loop")

    @property
    def lock(self) -> Path:
        """Held while a run changes anything."""
        return self.root / "lock"

    @property
    def data(self) -> Path:
        """Months of flights."""
        return self.root / "data"

    @property
    def api_record(self) -> Path:
        """Process record of the AWS APIs."""
        return self.root / "aws-api.json"

    @property
    def api_log(self) -> Path:
        """Log of the AWS APIs."""
        return self.root / "logs" / "aws-api.log"

    def server_record(self, model: str) -> Path:
        """Process record of a model's server."""
        return self.root / "servers" / f"{model}.json"

    def server_records(self) -> list[Path]:
        """Process records of all model servers."""
        return sorted((self.root / "servers").glob("*.json"))

    def server_log(self, model: str) -> Path:
        """Log of a model's server."""
        return self.root / "logs" / f"server-{model}.log"

    @property
    def jobs(self) -> Path:
        """One folder per training job, with the log of its container."""
        return self.root / "jobs"

    def versions(self, model: str) -> Path:
        """One folder per unpacked version of a model."""
        return self.root / "models" / model

    def packaging(self, model: str, version: int) -> Path:
        """What the build of a version's image leaves."""
        return self.root / "packaging" / model / str(version)

    @property
    def home(self) -> Path:
        """Empty home folder of our processes."""
        return self.root / "home"
