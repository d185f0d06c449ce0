"""A Kubernetes control plane on loopback, in a folder of its own, ended with the tests that started it.

etcd is shared; each `Cluster` is an API server with a key prefix of its own in it, so a new cluster is empty and takes
seconds. The programs are those of `tools.kube_programs`. References: kube-apiserver, kube-controller-manager and
kube-scheduler command line reference (kubernetes.io/docs/reference/command-line-tools-reference).
"""

from __future__ import annotations

import csv
import functools
import http
import itertools
import json
import os
import secrets
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.loop.processes import LOOPBACK, free_port, leash_command
from tests.kube.api import Api, Refused
from tools.artefacts import Cache, cache_root
from tools.commands import Commands
from tools.kube_programs import KWOK_MODULE, KubePrograms, module_folders
from tools.progress import Board

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_SECONDS = 120.0
"""Until a part has to answer; a loaded machine with two processors needs a quarter of it."""
GRACE_SECONDS = 10.0
TAIL_LINES = 30
POLL_SECONDS = 0.1
T = TypeVar("T")
USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
}
"""Users of a cluster and their groups; the roles of the last two are Kubernetes' own."""


class NotReadyError(Exception):
    """A part of the control plane ended or did not answer in time; the message has the end of its log."""


@functools.cache
def programs() -> KubePrograms:
    """The executables that set-up built."""
    return KubePrograms(Cache(cache_root(), Board()), Commands())


class Daemons:
    """Processes that end with the one that started them: when told, or when it dies (Linux)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str, **environ: str) -> None:
        """Start a program of set-up's; its output goes to `<folder>/<name>.log`."""
        command = [*leash_command("child", self.folder / f"{name}.json"), str(programs().path(name)), *arguments]
        with self.log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self, name: str) -> Path:
        """What a program has said so far."""
        return self.folder / f"{name}.log"

    def wait(self, name: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait until `ready`.

        Raises:
            NotReadyError: The program ended or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise self._trouble(name, f"is not ready after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise `NotReadyError` if a program ended by itself."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise self._trouble(name, f"ended with exit code {code}")

    def _trouble(self, name: str, what: str) -> NotReadyError:
        tail = self.log(name).read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
        return NotReadyError("\n".join([f"{name} {what}; the end of {self.log(name)}:", *tail]))

    def stop(self, name: str) -> None:
        """End one program: SIGTERM, and SIGKILL when that does not help."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End all of them, the last one first."""
        for name in reversed(list(self._running)):
            self.stop(name)


class Etcd:
    """The store of all clusters of a test run."""

    def __init__(self, folder: Path) -> None:
        self._daemons = Daemons(folder)
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self._prefixes = itertools.count()

    def __enter__(self) -> Self:
        peer = f"http://{LOOPBACK}:{free_port()}"
        self._daemons.start(
            "etcd",
            f"--data-dir={self._daemons.folder / 'etcd'}",
            *[f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}"],
            *[
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ],
            # Nothing here outlives the tests, so nothing has to reach the disk.
            "--unsafe-no-fsync",
        )
        try:
            self._daemons.wait("etcd", self._healthy)
        except NotReadyError:
            self._daemons.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._daemons.close()

    def prefix(self) -> str:
        """A key prefix that no other cluster has."""
        return f"/cluster-{next(self._prefixes)}"

    def _healthy(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=1) as answer:  # noqa: S310 - our own server on loopback
                return json.load(answer)["health"] == "true"
        except (URLError, OSError):
            return False


class Cluster:
    """An API server with everything on that EKS has on: RBAC, Pod Security, quotas, limit ranges, priorities."""

    def __init__(self, folder: Path, etcd: Etcd) -> None:
        self.folder = folder
        self.daemons = Daemons(folder)
        self._etcd = etcd
        self._port = free_port()
        self._tokens = {user: secrets.token_urlsafe(24) for user in USERS}
        self.api: Api
        """The server, asked as an administrator."""

    def __enter__(self) -> Self:
        self._write_credentials()
        self.daemons.start(
            "kube-apiserver",
            f"--etcd-servers={self._etcd.url}",
            f"--etcd-prefix={self._etcd.prefix()}",
            *[f"--bind-address={LOOPBACK}", f"--secure-port={self._port}", f"--cert-dir={self.folder}"],
            # A service of type ClusterIP for the server itself would need an address other than loopback.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=172.20.0.0/16",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=false",
            "--enable-admission-plugins=PodSecurity,ResourceQuota,LimitRanger,Priority,ServiceAccount",
            "--allow-privileged=true",
            "--service-account-issuer=https://issuer.test",
            f"--service-account-key-file={self.folder / 'accounts.pub'}",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
        )
        try:
            self.daemons.wait("kube-apiserver", self._ready)
        except NotReadyError:
            self.daemons.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.daemons.close()

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file of one of `USERS`; JSON, which is YAML too."""
        file = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        authority = str(self.folder / "apiserver.crt")
        server = {"server": f"https://{LOOPBACK}:{self._port}", "certificate-authority": authority}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": server}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "current-context": "tests",
        }
        file.write_text(json.dumps(content), encoding="utf-8")
        return file

    def start_controllers(self, *options: str) -> None:
        """Start the controller manager: service accounts, quotas, Deployments, autoscalers, node life cycle, garbage.

        Args:
            options: Further command line options.
        """
        self.daemons.start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig('system:kube-controller-manager')}",
            *["--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true"],
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self.folder / 'apiserver.crt'}",
            *options,
        )
        self.daemons.wait("kube-controller-manager", lambda: self.exists("v1", "ServiceAccount", "default", "default"))

    def start_scheduler(self) -> None:
        """Start the scheduler; it says nothing when it is ready."""
        config = self.kubeconfig("system:kube-scheduler")
        self.daemons.start("kube-scheduler", f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0")

    def start_simulated_nodes(self, *, jobs_complete: bool = True) -> None:
        """Start kwok: every node becomes ready and every pod that is bound to one runs, with nothing behind it.

        Args:
            jobs_complete: Whether a Job's pods succeed as soon as they run; otherwise they run until deleted.
        """
        stages = module_folders(KWOK_MODULE, "sigs.k8s.io/kwok")["sigs.k8s.io/kwok"] / "kustomize" / "stage"
        chosen = ["node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-delete"]
        chosen += ["pod/fast/pod-complete"] if jobs_complete else []
        config = self.folder / "stages.yaml"
        config.write_text("---\n".join((stages / f"{stage}.yaml").read_text("utf-8") for stage in chosen), "utf-8")
        port = free_port()
        self.daemons.start(
            "kwok",
            f"--kubeconfig={self.kubeconfig()}",
            f"--config={config}",
            *["--manage-all-nodes=true", "--node-lease-duration-seconds=40", f"--server-address={LOOPBACK}:{port}"],
        )
        self.daemons.wait("kwok", lambda: _answers(f"http://{LOOPBACK}:{port}/healthz"))

    def start_karpenter(self, *, instance_types: Path | None = None, **options: str) -> None:
        """Start Karpenter's core with the provider that makes simulated nodes; needs the definitions installed.

        Args:
            instance_types: JSON file of the instance types there are, as Karpenter's `kwok/examples` show it; without
                it, Karpenter's own invented ones.
            options: More options as environment variables, such as `FEATURE_GATES`.
        """
        health = free_port()
        self.daemons.start(
            "karpenter",
            "--disable-leader-election",
            *[f"--metrics-port={free_port()}", f"--health-probe-port={health}"],
            *([f"--instance-types-file-path={instance_types}"] if instance_types else []),
            KUBECONFIG=str(self.kubeconfig()),
            # Names the namespace of the controller's own objects.
            SYSTEM_NAMESPACE="kube-system",
            **options,
        )
        self.daemons.wait("karpenter", lambda: _answers(f"http://{LOOPBACK}:{health}/readyz"))

    def exists(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> bool:
        """Whether there is such an object."""
        try:
            self.api.get(api_version, kind, name, namespace)
        except Refused as refused:
            if refused.status != http.HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def until(self, wanted: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
        """Wait until a question has an answer that is neither None nor empty, and return it.

        Raises:
            NotReadyError: It has none in time, or a program of the cluster ended.
        """
        deadline = time.monotonic() + seconds
        while not (found := wanted()):
            self.daemons.check()
            if time.monotonic() > deadline:
                raise NotReadyError(f"after {seconds:.0f} s still not: {what}")
            time.sleep(POLL_SECONDS)
        return found

    def _ready(self) -> bool:
        authority = self.folder / "apiserver.crt"
        if not authority.exists():
            return False
        try:
            self.api = Api(self._port, authority, self._tokens["admin"])
            return self.api.text("GET", "/readyz") == "ok"
        except (OSError, Refused):
            return False

    def _write_credentials(self) -> None:
        with (self.folder / "tokens.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([self._tokens[user], user, user, groups] for user, groups in USERS.items())
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.folder / "accounts.key").write_bytes(private)
        (self.folder / "accounts.pub").write_bytes(public)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:  # noqa: S310 - our own server on loopback
            return answer.status == http.HTTPStatus.OK
    except (URLError, OSError):
        return False
