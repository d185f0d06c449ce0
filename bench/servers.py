"""The servers that are compared: how each is started, and where it takes which format."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.workload import TOLERANCE
from tools.environments import import_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.workload import Workload

PEERS = Path(__file__).parent / "peers"
OURS = "slipway"


@dataclass(frozen=True, slots=True)
class Route:
    """Where and how a server takes one format."""

    path: str
    marker: bytes = b""
    """What comes before the numbers in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A server that can be measured."""

    name: str
    words: Callable[[Place], list[str]]
    """Its command; called once it is installed."""
    routes: Mapping[str, Route]
    prepare: Callable[[Place], list[str]] | None = None
    """A command to run before, no part of the server's start."""
    ready: str = "/ping"
    group: str = ""
    """Requirement group of its environment; empty for what needs none."""
    packages: tuple[str, ...] = ()
    """Whose versions the report gives."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    tolerance: float = TOLERANCE
    note: str = ""
    points: frozenset[str] | None = None
    """Points that it is measured at; None for all that it has a route for."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a command needs to know."""

    program: Path
    """Interpreter of the server's environment, or the server itself."""
    model: Path
    port: int
    folder: Path
    """Scratch of this server."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def launch(kind: Kind, program: Path, workload: Workload, folder: Path, core: int) -> processes.Server:
    """Start a server on its core.

    Raises:
        ServerError: it does not come up.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = Place(program, workload.model.resolve(), free_port(), folder)
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = keep | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"} | dict(kind.environment)
    if kind.name.startswith(OURS):
        environment["PYTHONPATH"] = import_path()
    environment["SLIPWAY_BENCH_MODEL"] = str(place.model)
    if kind.prepare is not None:
        done = subprocess.run(kind.prepare(place), env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
        if done.returncode:
            raise processes.ServerError("preparation failed: " + " | ".join(done.stderr.splitlines()[-3:]))
    return processes.start(
        kind.words(place),
        core=core,
        port=place.port,
        ready=kind.ready,
        environment=environment,
        log=folder / "log",
    )


def _ours(place: Place) -> list[str]:
    model = ["--model-dir", str(place.model.with_suffix(""))]
    return [str(place.program), "-m", "scoring", "serve", *model, "--port", str(place.port), "--cpu", "any"]


def _script(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [str(place.program), str(PEERS / name), str(place.model), str(place.port)]


def _rust(place: Place) -> list[str]:
    return [str(place.program), str(place.model.with_suffix(".json")), str(place.port)]


def _bentoml(place: Place) -> list[str]:
    tool = place.program.with_name("bentoml")
    options = ["--host", "127.0.0.1", "--port", str(place.port), "--working-dir", str(PEERS)]
    return [str(tool), "serve", "bentoml_xgboost:Scorer", *options]


def _mlserver(place: Place) -> list[str]:
    ports = {"http_port": place.port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1"}
    runtime, uri = "mlserver_xgboost.XGBoostModel", str(place.model)
    model = {"name": "model", "implementation": runtime, "parameters": {"uri": uri}}
    (place.folder / "settings.json").write_text(json.dumps(ports), encoding="utf-8")
    (place.folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    return [str(place.program.with_name("mlserver")), "start", str(place.folder)]


_V2 = "/v2/models/model/infer"
_CSV = Route("/invocations")
_FASTAPI = {"csv": _CSV, "json": Route("/predict", b'"predictions"')}

KINDS = (
    Kind(
        name=OURS,
        group="image",
        words=_ours,
        prepare=_script("to_directory.py"),
        routes={
            "csv": _CSV,
            "json": Route("/invocations", b'"predictions"'),
            "v2": Route(_V2, b'"data"'),
        },
        packages=("xgboost-cpu", "treelite", "uvloop", "httptools", "orjson", "numpy"),
        tolerance=0.0,
        note="`scoring serve --model-dir`, as the image starts it",
    ),
    Kind(
        name=f"{OURS}-unbatched",
        group="image",
        words=_ours,
        prepare=_script("to_directory.py"),
        routes={"csv": _CSV},
        environment={"SLIPWAY_MAX_BATCH_ROWS": "1"},
        tolerance=0.0,
        points=frozenset({"csv-1:c1", "csv-1:c64"}),
        note="the same with one row per call of the model",
    ),
    Kind(
        name="fastapi-xgboost",
        group="bench-fastapi-xgboost",
        words=_script("fastapi_xgboost.py"),
        routes=_FASTAPI,
        packages=("fastapi", "uvicorn", "xgboost-cpu"),
        note="1 worker, uvloop and httptools, `Booster.inplace_predict`",
    ),
    Kind(
        name="fastapi-onnxruntime",
        group="bench-fastapi-onnxruntime",
        words=_script("fastapi_onnxruntime.py"),
        prepare=_script("to_onnx.py"),
        routes=_FASTAPI,
        packages=("fastapi", "uvicorn", "onnxruntime", "onnxmltools"),
        note="1 worker, uvloop and httptools, one thread of ONNX Runtime",
    ),
    Kind(
        name="kserve",
        group="bench-kserve",
        words=_script("kserve_xgboost.py"),
        routes={"v2": Route(_V2, b'"data"')},
        ready="/v2/health/ready",
        packages=("kserve", "xgboost-cpu"),
        note="its Python model server, predicting as its XGBoost runtime does",
    ),
    Kind(
        name="bentoml",
        group="bench-bentoml",
        words=_bentoml,
        routes={"v2": Route("/infer", b'"data"')},
        ready="/readyz",
        packages=("bentoml", "xgboost-cpu"),
        environment={"BENTOML_DO_NOT_TRACK": "True"},
        note="has no Open Inference Protocol; takes the same body under a path of its own",
    ),
    Kind(
        name="mlserver",
        group="bench-mlserver",
        words=_mlserver,
        routes={"v2": Route(_V2, b'"data"')},
        ready="/v2/models/model/ready",
        packages=("mlserver", "mlserver-xgboost", "xgboost", "uvloop"),
        note="its XGBoost runtime, parallel workers as by default",
    ),
    Kind(
        name="rust-hyper",
        words=_rust,
        routes={
            "csv": _CSV,
            "json": Route("/predict", b'"predictions"'),
            "v2": Route(_V2, b'"data"'),
        },
        note="hyper with a plain walk over the trees, one thread: what is possible without Python",
    ),
)

NAMES = tuple(kind.name for kind in KINDS)
