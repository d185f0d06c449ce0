"""The server's typed settings; beside `scoring.container` the only reader of environment variables."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from scoring import rules, sagemaker
from scoring.container import CODE_VERSION_VARIABLE, PREFIX, ContainerPaths
from scoring.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
"""Set to ``true`` by SageMaker for several models; it unloads models itself when it is told that memory is used up."""

NEAR_MISS = 0.85
"""Similarity (difflib's ratio) from which an unknown variable counts as a misspelt setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The model server's settings; each is read from ``SLIPWAY_`` and its name in capitals."""

    model_dir: str = ""
    """Model directory; empty means ``model/`` under SageMaker's base directory."""
    model_file: str = ""
    """XGBoost model file to serve on one core, for trying; nobody vouches for it unless a manifest beside it does."""
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
    log: str = "text"
    """Form of the log: ``text`` for people, or ``json`` for one object a line, which the container image sets."""
    host: str = "127.0.0.1"
    """Address to listen on; the container image sets 0.0.0.0."""
    port: int = 8080
    """TCP port; 0 lets the system choose, and the start line tells which."""
    admin_port: int = -1
    """TCP port on loopback for the operator's routes; -1 opens none, 0 lets the system choose."""
    trial_timeout_s: float = 60.0
    """Time for a new model to load and answer in a child process before it may replace the old one."""
    payload_mb: int = 0
    """Largest body that callers plan for, MiB: limits below that are not set grow to take it, with any number of rows;
    0 leaves them as they are. In a batch transform SageMaker says it."""
    payloads_at_once: int = 1
    """Bodies of that size that callers send at once."""
    max_body_bytes: int = 6 * 1024 * 1024
    """Largest request body."""
    max_inline_bytes: int = 128 * 1024
    """Largest body that is parsed in the event loop; a larger one is parsed in a thread, and nobody waits for it."""
    max_header_bytes: int = 16 * 1024
    """Largest request line and headers together."""
    max_rows: int = 10_000
    """Most rows in one request."""
    max_batch_rows: int = 512
    """Most rows in one call of the model: it bounds how long the event loop is busy with predictions."""
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
    max_capture_file_s: float = 60.0
    """Time after which a file of captured records is finished; until then its name ends in ``.part``."""
    max_capture_disk_bytes: int = 1024 * 1024 * 1024
    """Most bytes of captures that wait to be taken away; beyond it records are dropped and counted."""
    traces_endpoint: str = ""
    """URL of an OpenTelemetry collector for OTLP over HTTP, ``http://host:4318/v1/traces``; empty traces nothing."""
    traces_percent: float = 100.0
    """Share of the requests without a ``traceparent`` that are traced; with one, the caller has decided."""
    max_traces_queued: int = 2048
    """Most spans that wait for the collector; beyond it the oldest are dropped."""
    header_timeout_s: float = 7.0
    """Time for a client to send request line and headers."""
    body_timeout_s: float = 7.0
    """Time for a client that sends the body slower than 64 KiB/s; one that stalls has it from then on."""
    keep_alive_s: float = 75.0
    """Time an idle connection stays open: longer than the 60 s of an AWS load balancer, so that it closes first."""
    write_timeout_s: float = 7.0
    """Time for a client that reads its answers slower than 64 KiB/s; one that stalls has it from then on."""
    retry_after_s: int = 1
    """Advice to a client that got 503."""
    drain_s: float = 15.0
    """After SIGTERM: time in which readiness is 503 and requests are still answered, for balancers to notice."""
    grace_s: float = 10.0
    """After the drain: time for the last answers to leave."""

    def __post_init__(self) -> None:
        """Check ranges, all together."""
        if problems := rules.problems(self):
            raise UserError("\n".join(problems))

    def repository(self) -> Path:
        """Give the folder below which several models lie."""
        return Path(self.models_dir)

    def not_captured(self) -> list[str]:
        """Give the features whose values captures must not have."""
        return [name for name in self.capture_drop.split(",") if name]

    def named(self, name: str) -> ServerSettings:
        """Give these settings for one of several models."""
        return replace(self, model_name=name)

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, **flags: str | int | None) -> ServerSettings:
        """Read the environment: what SageMaker tells, ours above it; a flag that is not None wins.

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
        told, unclear = sagemaker.told(environment)
        problems += unclear
        if problems:
            raise UserError("\n".join(problems))
        values = {**told, **values}
        if values.get("payload_mb"):
            values = {**_room(int(values["payload_mb"]), int(values.get("payloads_at_once", 1))), **values}
        values |= {name: value for name, value in flags.items() if value is not None}
        return cls(**values)  # pyright: ignore[reportArgumentType] # each value was converted by its field's own type

    def directory(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Give the model directory."""
        return Path(self.model_dir) if self.model_dir else ContainerPaths.from_environment(environment).model


def _room(payload_mb: int, at_once: int) -> dict[str, int]:
    """The limits that so many bodies of that size need, and no less than the defaults."""
    body = payload_mb * rules.MEBIBYTE
    needed = {
        "max_body_bytes": body,
        "max_rows": body // rules.SHORTEST_ROW_BYTES + 1,
        "max_buffered_bytes": at_once * body,
        "max_queued_bytes": rules.FLOAT32_PER_BYTE * at_once * body,
    }
    usual = ServerSettings()
    return {name: max(value, getattr(usual, name)) for name, value in needed.items()}
