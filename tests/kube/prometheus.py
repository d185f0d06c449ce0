"""A real Prometheus on loopback that reads real model servers, and what a cluster would tell it about their pods."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.load import post
from release.prometheus import Prometheus
from release.record import ReleaseError
from sandbox.loop.processes import LOOPBACK, free_port, wait_until
from sandbox.rollout.fleet import Fleet, Version
from tests.kube.control_plane import Daemons, programs
from tests.support.servers import ROOT, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

MODEL, SPACE = "in-shares", "ml-inference"
SCRAPE_SECONDS = 1
READY_SECONDS = 60.0
AT_ONCE = 16
"""Requests that one client sends before it reads."""
OK = 200


class Pod(NamedTuple):
    """A version in service, as Prometheus knows its only pod."""

    version: str
    fault: str = ""
    requests: int = 4000
    """That it is sent."""
    restarts: int = 0
    """Of its container, while it is watched."""
    of: str = ""
    """Whose process stands for it; its own if empty."""
    protocol: bool = False
    """Whether it is asked by the Open Inference Protocol."""

    @property
    def hash(self) -> str:
        """What Argo Rollouts calls the version."""
        return f"h{self.version}"

    @property
    def image(self) -> str:
        """Its image by digest."""
        return f"r/m@sha256:{int(self.version):064x}"

    @property
    def labels(self) -> dict[str, str]:
        """What the PodMonitor adds to each series."""
        return {
            "namespace": SPACE,
            "pod": f"{MODEL}-{self.hash}-x",
            "slipway_dev_model": MODEL,
            "slipway_dev_version": self.version,
            "rollouts_pod_template_hash": self.hash,
        }


class Watched:
    """Some pods, asked and watched for a while."""

    def __init__(self, folder: Path, pods: Sequence[Pod], rules: Mapping[str, Any]) -> None:
        self.pods = {pod.version: pod for pod in pods}
        self.began = self.ended = 0.0
        """The time in which requests were sent, in seconds since the epoch."""
        self.prometheus = Prometheus(url=f"http://{LOOPBACK}:{free_port()}")
        self._folder, self._rules = folder, rules
        self._fleets: dict[str, Fleet] = {}
        self._restarted = False
        self._state = free_port()

    @contextlib.contextmanager
    def running(self) -> Generator[Watched]:
        """Start all, send every pod its requests, and wait until the last of them are read."""
        self._start_servers()
        daemons = Daemons(self._folder)
        metrics = self._cluster_metrics()
        try:
            self._start_prometheus(daemons)
            self._wait_for_readings(daemons)
            self.began = time.time()
            # A counter's growth is known from the second reading in the time that is asked about.
            self._wait_for_readings(daemons, 2)
            self._restarted = True
            self._send()
            self._wait_for_readings(daemons, 2)
            self.ended = time.time()
            yield self
        finally:
            daemons.stop("prometheus")
            metrics.shutdown()
            metrics.server_close()
            for fleet in self._fleets.values():
                fleet.stop()

    def value(self, query: str) -> float | None:
        """The only value of an answer; None where there is none."""
        found = self.prometheus.ask(query, self.ended)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def _start_servers(self) -> None:
        write_model(self._folder / "model", 1)
        for pod in self.pods.values():
            if not pod.of:
                version = Version(
                    name=pod.version,
                    model_dir=self._folder / "model",
                    python=Path(sys.executable),
                    source=ROOT / "model_image",
                    fault=pod.fault,
                )
                self._fleets[pod.version] = Fleet(version, self._folder)
                self._fleets[pod.version].start(1)
        fleets = self._fleets.values()
        assert wait_until(lambda: all(fleet.ready() for fleet in fleets), READY_SECONDS), "the servers do not start"

    def _port(self, pod: Pod) -> int:
        return self._fleets[pod.of or pod.version].ports()[0]

    def _start_prometheus(self, daemons: Daemons) -> None:
        (self._folder / "rules.yaml").write_text(json.dumps(self._rules))
        targets = [{"targets": [f"{LOOPBACK}:{self._port(pod)}"], "labels": pod.labels} for pod in self.pods.values()]
        state = [{"targets": [f"{LOOPBACK}:{self._state}"]}]
        every = f"{SCRAPE_SECONDS}s"
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": "pods", "static_configs": targets},
                {"job_name": "state", "honor_labels": True, "static_configs": state},
            ],
        }
        (self._folder / "prometheus.yaml").write_text(json.dumps(config))
        daemons.start(
            "prometheus",
            "--config.file=prometheus.yaml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={self.prometheus.url.removeprefix('http://')}",
        )

    def _wait_for_readings(self, daemons: Daemons, count: int = 1) -> None:
        """Wait until every target has been read so many times from now on."""
        now = time.time()

        def read() -> bool:
            query = f"count(timestamp(up == 1) > {now + (count - 1) * SCRAPE_SECONDS})"
            try:
                found = self.prometheus.ask(query, time.time())
            except (OSError, ReleaseError):  # it starts, or reads what it has written
                return False
            return bool(found) and int(found[0]["value"][1]) == len(self.pods) + 1

        daemons.wait("prometheus", read)

    def _send(self) -> None:
        threads = [
            threading.Thread(target=ask, args=(self._port(pod), pod.requests, _infer if pod.protocol else _invoke))
            for pod in self.pods.values()
            if pod.requests and not pod.of
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _cluster_metrics(self) -> ThreadingHTTPServer:
        """What kube-state-metrics says of the pods."""
        watched = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = "".join(watched._state_of(pod) for pod in watched.pods.values()).encode()
                self.send_response(OK)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                del format, args

        server = ThreadingHTTPServer((LOOPBACK, self._state), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def _state_of(self, pod: Pod) -> str:
        who = f'namespace="{SPACE}",pod="{pod.labels["pod"]}",container="server"'
        restarts = pod.restarts if self._restarted else 0
        return (
            f"kube_pod_container_status_restarts_total{{{who}}} {restarts}\n"
            f'kube_pod_container_info{{{who},image_spec="{pod.image}"}} 1\n'
        )


def promtool(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code, and what it says."""
    command = [str(programs().path("promtool")), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def ask(port: int, requests: int, request: Callable[[Sequence[float]], bytes]) -> None:
    """Send requests for single rows, the same to every port, and read the answers."""
    draw = np.random.default_rng(7)
    rows = draw.random((requests, 2), dtype=np.float32)
    with socket.create_connection((LOOPBACK, port), timeout=READY_SECONDS) as connection:
        answers = connection.makefile("rb")
        for start in range(0, requests, AT_ONCE):
            some = rows[start : start + AT_ONCE]
            connection.sendall(b"".join(map(request, some.tolist())))
            for _ in some:
                _read_answer(answers)


def _invoke(row: Sequence[float]) -> bytes:
    return post("/invocations", "text/csv", b"%.6f,%.6f" % tuple(row))


def _infer(row: Sequence[float]) -> bytes:
    tensor = {"name": "input", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return post("/v2/models/model/infer", "application/json", json.dumps({"inputs": [tensor]}).encode())


def _read_answer(answers: Any) -> None:
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    answers.read(length)
