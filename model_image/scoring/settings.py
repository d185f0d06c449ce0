"""Where things lie in the container, and the server's typed settings; the only reader of environment variables."""

from __future__ import annotations

import difflib
import math
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from scoring.errors import UserError, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SLIPWAY_"
"""Begins the name of every environment variable that belongs to this image."""

CODE_VERSION_VARIABLE = PREFIX + "CODE_VERSION"
COLLECTIVE_PREFIX = PREFIX + "COLLECTIVE_"
BASE_DIR_VARIABLE = "SAGEMAKER_BASE_DIR"

MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
"""Set to ``true`` by SageMaker for several models; it unloads models itself when it is told that memory is used up."""

FLOAT32_PER_BYTE = 4
"""Bytes that one byte of a body can become: an empty CSV cell takes one comma and one float32."""

NEAR_MISS = 0.85
"""Similarity (difflib's ratio) from which an unknown variable counts as a misspelt setting."""


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
        limits = {"port": 65_535, "timeout_s": 86_400}
        problems = [
            f"{COLLECTIVE_PREFIX}{name.upper()} is {text!r}; expected an integer from 1 to {limits[name]}"
            for name, text in found.items()
            if text is not None and not (text.isdecimal() and 1 <= int(text) <= limits[name])
        ]
        if problems:
            raise UserError(summarize(problems))
        return cls(**{name: int(text) for name, text in found.items() if text is not None})


def code_version(environment: Mapping[str, str] = os.environ) -> str | None:
    """Tell which version of the source the image was built from, if it was told."""
    return environment.get(CODE_VERSION_VARIABLE) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The model server's settings; each is read from ``SLIPWAY_`` and its name in capitals."""

    model_dir: str = ""
    """Model directory; empty means ``model/`` under SageMaker's base directory."""
    model_file: str = ""
    """XGBoost model file to serve in place of a model directory, for trying; it is vouched for by nobody."""
    cpu: str = ""
    """Core to run on: a number, ``any``, or empty for ``any`` with a model directory and one core with a file."""
    model_version: str = ""
    """Name that answers carry; empty means the first characters of the manifest's digest."""
    model_name: str = "model"
    """Name of the model in the paths of the Open Inference Protocol."""
    models_memory_bytes: int = 0
    """Memory that several models may take together, their queues included; 0 serves one model."""
    models_dir: str = "/opt/ml/models"
    """With several models: folder below which their directories lie; the Open Inference Protocol's repository."""
    models_at_start: str = ""
    """With several models: those of the repository to load at once, separated by commas, or ``*``."""
    models_full: str = "evict"
    """With several models, when the memory is used up: ``evict`` idle ones, or ``refuse`` new ones."""
    manifest_sha256: str = ""
    """Digest that the manifest must have; empty accepts any manifest that is consistent in itself."""
    host: str = "127.0.0.1"
    """Address to listen on; the container image sets 0.0.0.0."""
    port: int = 8080
    """TCP port; 0 lets the system choose, and the start line tells which."""
    admin_port: int = -1
    """TCP port on loopback for the operator's routes; -1 opens none, 0 lets the system choose."""
    trial_timeout_s: float = 60.0
    """Time for a new model to load and answer in a child process before it may replace the old one."""
    max_body_bytes: int = 6 * 1024 * 1024
    """Largest request body."""
    max_inline_bytes: int = 128 * 1024
    """Largest body that is parsed in the event loop; a larger one is parsed in a thread, and nobody waits for it."""
    max_header_bytes: int = 16 * 1024
    """Largest request line and headers together."""
    max_rows: int = 10_000
    """Most rows in one request."""
    max_batch_rows: int = 512
    """Most rows in one XGBoost call: it bounds how long the event loop is busy with predictions."""
    max_queued_bytes: int = 32 * 1024 * 1024
    """Most parsed rows waiting for a prediction; beyond it requests get 503."""
    max_buffered_bytes: int = 64 * 1024 * 1024
    """Most bytes of unfinished bodies over all connections; beyond it requests get 503."""
    max_connections: int = 1024
    """Most open connections; further ones get 503."""
    max_pipelined: int = 32
    """Unanswered requests on one connection before reading from it pauses."""
    capture_dir: str = ""
    """Folder for a sample of requests and answers; empty captures nothing. Something else must take the files away."""
    capture_percent: float = 100.0
    """Share of the answered predictions that are captured."""
    capture_drop: str = ""
    """Features whose values are not captured, separated by commas."""
    max_capture_queued_bytes: int = 8 * 1024 * 1024
    """Most bytes of captured bodies that wait for the disk; beyond it records are dropped and counted."""
    max_capture_file_bytes: int = 16 * 1024 * 1024
    """Size from which a file of captured records is followed by another."""
    header_timeout_s: float = 10.0
    """Time for a client to send request line and headers."""
    body_timeout_s: float = 30.0
    """Time for a client to send the body."""
    keep_alive_s: float = 75.0
    """Time an idle connection stays open: longer than the 60 s of an AWS load balancer, so that it closes first."""
    write_timeout_s: float = 30.0
    """Time for a client that does not read its answers."""
    retry_after_s: int = 1
    """Advice to a client that got 503."""
    drain_s: float = 15.0
    """After SIGTERM: time in which readiness is 503 and requests are still answered, for balancers to notice."""
    grace_s: float = 10.0
    """After the drain: time for the last answers to leave."""

    def __post_init__(self) -> None:
        """Check ranges, all together."""
        problems = [f"{name} is {value}; expected {rule}" for name, value, rule, holds in self._rules() if not holds]
        if problems:
            raise UserError(summarize([PREFIX + problem for problem in problems]))

    def repository(self) -> Path:
        """Give the folder below which several models lie."""
        return Path(self.models_dir)

    def named(self, name: str) -> ServerSettings:
        """Give these settings for one of several models."""
        return replace(self, model_name=name)

    def _rules_of_several(self) -> list[tuple[str, object, str, bool]]:
        alone = ("model_dir", "model_file", "model_version", "manifest_sha256", "capture_dir")
        texts = [(name, getattr(self, name)) for name in alone]
        rule = f"nothing: with {PREFIX}MODELS_MEMORY_BYTES the server has several models"
        return [
            ("MODELS_FULL", repr(self.models_full), "evict or refuse", self.models_full in ("evict", "refuse")),
            ("MODELS_MEMORY_BYTES", self.models_memory_bytes, "at least 0", self.models_memory_bytes >= 0),
            *((name.upper(), repr(text), rule, not (self.models_memory_bytes and text)) for name, text in texts),
            ("ADMIN_PORT", self.admin_port, "-1" + rule[7:], not self.models_memory_bytes or self.admin_port < 0),
        ]

    def _rules(self) -> list[tuple[str, object, str, bool]]:
        numbers = [(item.name, getattr(self, item.name)) for item in fields(self)]
        positive = [(name, value) for name, value in numbers if name.startswith("max_") or name.endswith("_s")]
        may_be_zero = {"drain_s", "grace_s"}
        floor = FLOAT32_PER_BYTE * self.max_body_bytes
        printable = self.model_version.isascii() and self.model_version.isprintable()
        return [
            *self._rules_of_several(),
            ("MODEL_VERSION", repr(self.model_version), "printable ASCII", printable),
            ("MODEL_NAME", repr(self.model_name), "text", bool(self.model_name)),
            ("PORT", self.port, "0 to 65535", 0 <= self.port <= 65_535),  # noqa: PLR2004 # a port is 16 bits
            ("CPU", repr(self.cpu), "a number or 'any'", self.cpu in ("", "any") or self.cpu.isdecimal()),
            ("CAPTURE_PERCENT", self.capture_percent, "0 to 100", 0 <= self.capture_percent <= 100),  # noqa: PLR2004 # percent
            ("ADMIN_PORT", self.admin_port, "-1 to 65535", -1 <= self.admin_port <= 65_535),  # noqa: PLR2004 # as above
            *(
                (n.upper(), v, "a finite number of at least 0", 0 <= v < math.inf)
                for n, v in positive
                if n in may_be_zero
            ),
            *((n.upper(), v, "a finite number above 0", 0 < v < math.inf) for n, v in positive if n not in may_be_zero),
            (
                "MAX_QUEUED_BYTES",
                self.max_queued_bytes,
                f"at least {floor}, what one body can become",
                self.max_queued_bytes >= floor,
            ),
            (
                "MAX_BUFFERED_BYTES",
                self.max_buffered_bytes,
                "at least MAX_BODY_BYTES",
                self.max_buffered_bytes >= self.max_body_bytes,
            ),
        ]

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, **flags: str | int | None) -> ServerSettings:
        """Read the environment; a flag that is not None wins.

        Variables with the prefix that no setting has are left alone, unless they look like a misspelt one: other
        parts of the platform and Kubernetes (service links) use the prefix too.

        Raises:
            UserError: with every problem, one a line.
        """
        names = {PREFIX + item.name.upper(): item.name for item in fields(cls)}
        hints = get_type_hints(cls)
        values: dict[str, str | int | float] = {}
        problems: list[str] = []
        for variable, text in environment.items():
            if variable in names:
                kind = hints[names[variable]]
                try:
                    values[names[variable]] = kind(text)
                except ValueError:
                    problems.append(f"{variable} is {text!r}; expected {'an integer' if kind is int else 'a number'}")
            elif variable.startswith(PREFIX) and variable != CODE_VERSION_VARIABLE:
                near = difflib.get_close_matches(variable, names, n=1, cutoff=NEAR_MISS)
                problems += [f"{variable} is no setting; did you mean {near[0]}?"] if near else []
        if environment.get(MULTI_MODEL_VARIABLE) == "true":
            values.setdefault("models_full", "refuse")
            if not values.get("models_memory_bytes"):
                problems.append(f"{MULTI_MODEL_VARIABLE} is true; set {PREFIX}MODELS_MEMORY_BYTES too")
        if problems:
            raise UserError(summarize(problems))
        values |= {name: value for name, value in flags.items() if value is not None}
        return cls(**values)  # pyright: ignore[reportArgumentType] # each value was converted by its field's own type

    def directory(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Give the model directory."""
        return Path(self.model_dir) if self.model_dir else ContainerPaths.from_environment(environment).model
