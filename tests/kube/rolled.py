"""Argo Rollouts at work on a real control plane: the program's models, the release step, and what tests see of both.

Tests stand in for Prometheus, whose answers they choose, and for the load balancer, whose weights they read from the
Ingress. Pauses are shortened; everything else is what the program registers.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from components import releasing_objects
from components.labels import VERSION_LABEL
from components.serving_pods import CONTAINER
from release import record as records
from release.__main__ import parse, run
from release.api import ModelWorkload, Server
from release.progress import of_rollout
from release.record import ReleaseError, Version
from release.step import WAKE_SECONDS
from rollout.plan import Phase, State
from sandbox.loop.processes import LOOPBACK, free_port
from tests.kube.access import token_of
from tests.kube.definitions import definitions, install
from tests.kube.serving import PROGRAM, Served
from tests.support.objects import KUBERNETES, RELEASE
from tests.support.rolled_out import ROLLOUTS, rolled_out

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from release.record import Record
    from tests.kube.api import Object
    from tests.kube.control_plane import Cluster

MODEL, SPACE, ARGO = "in-shares", "ml-inference", "argo-rollouts"
INGRESS, ROLLOUT, DEPLOYMENT = "networking.k8s.io/v1", "argoproj.io/v1alpha1", "apps/v1"
PODS = 3
GOOD = {"errors": -100.0, "p95": -100.0, "p99": -100.0, "predictions": 0.0, "sample": 5000.0, "restarts": 0.0}
SECONDS = 120.0


@dataclass
class Prometheus:
    """Answers every query by the metric that asks it, which its address names."""

    answers: dict[str, float] = field(default_factory=GOOD.copy)
    port: int = field(default_factory=free_port)

    @contextlib.contextmanager
    def serving(self) -> Generator[Prometheus]:
        """Answer until the context ends."""
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                query = parse_qs(self.rfile.read(length).decode())["query"][0]
                value = answers.get(query)
                result: list[Any] = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
                body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                del format, args

        server = http.server.ThreadingHTTPServer((LOOPBACK, self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield self
        server.shutdown()
        server.server_close()


def shortened(item: Object, prometheus: Prometheus) -> Object:
    """An object of the program that waits for seconds instead of minutes, and asks the tests' Prometheus."""
    text = json.dumps(item)
    for long, short in (('"duration": "5m"', '"duration": "2s"'), ('"duration": "30s"', '"duration": "2s"')):
        text = text.replace(long, short)
    made: Object = json.loads(text)
    metrics: list[Object] = made["spec"]["metrics"] if made["kind"] == "AnalysisTemplate" else []
    for metric in metrics:
        query = metric["provider"]["prometheus"]["query"]
        assert "{{args." in query
        metric |= {"interval": "1s", **({"count": 8} if "count" in metric else {})}
        metric["provider"]["prometheus"] = {"address": f"http://{LOOPBACK}:{prometheus.port}", "query": metric["name"]}
    return made


def program_objects(prometheus: Prometheus) -> list[Object]:
    """What the program registers for the models, for the controller, and for their namespaces."""
    found = [item for item in rolled_out().resources if item.type.startswith(KUBERNETES) and item.type != RELEASE]
    around = ("Namespace", "PriorityClass", "IngressClass", "ServiceAccount")
    ours = [
        item.inputs
        for item in found
        if item.name.startswith(("rollouts-", *(f"serving-{model}" for model in ROLLOUTS)))
        or (item.inputs["kind"] in around and item.inputs["metadata"].get("namespace", SPACE) in (SPACE, ARGO))
    ]
    needed = [item for item in ours if not item["kind"].endswith("Patch") and item["kind"] != "NetworkPolicy"]
    needed.sort(key=lambda item: (item["kind"] != "Namespace", item["kind"] not in around))
    return [shortened(item, prometheus) for item in needed]


@dataclass
class Rolled:
    """A cluster in which a model is rolled out."""

    cluster: Cluster
    prometheus: Prometheus
    model: str = MODEL
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    """Of release steps by model."""

    def of(self, model: str) -> Rolled:
        """Another model of it."""
        return replace(self, model=model)

    def held(self, kind: str, api_version: str, name: str = "") -> Object:
        """An object of the model as the server has it."""
        found = self.cluster.api.get(api_version, kind, name or self.model, SPACE)
        return {"apiVersion": api_version, "kind": kind, **found}

    def action(self) -> list[Object]:
        """Target groups of those callers that no condition picks, as the controller writes them."""
        notes = self.held("Ingress", INGRESS)["metadata"]["annotations"]
        action = notes.get(f"alb.ingress.kubernetes.io/actions.{self.model}")
        return json.loads(action)["ForwardConfig"]["TargetGroups"] if action else []

    def weight(self) -> int:
        """Share of the new version that the load balancer is told."""
        return sum(group["Weight"] for group in self.action() if group["ServiceName"] == f"{self.model}-canary")

    def fields(self) -> dict[str, object]:
        """What callers' requests depend on: every field of Ingress and Services, by its path."""
        services = [self.held("Service", "v1", name) for name in (self.model, f"{self.model}-canary")]
        return {
            path: value
            for item in (self.held("Ingress", INGRESS), *services)
            for part in (item["metadata"].get("annotations", {}), item["spec"])
            for path, value in _flat(f"{item['kind']}/{item['metadata']['name']}", part)
        }

    def step_to(self, share: int) -> set[str]:
        """Wait until the load balancer is told a share; return the fields that have changed for it."""
        before: dict[str, object] = {}

        def there() -> bool:
            seen = self.fields()
            if self.weight() == share:
                return True
            before.update(seen)
            return False

        self.until(there, f"the share is {share} %")
        after = self.fields()
        return {path for path in before | after if before.get(path) != after.get(path)}

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, and let the controller see the model's Rollout now and then, as the release step does."""
        woken = time.monotonic()

        def looked() -> object:
            nonlocal woken
            if time.monotonic() - woken > WAKE_SECONDS:
                woken = time.monotonic()
                with contextlib.suppress(ReleaseError):
                    ModelWorkload(server=self._server(), namespace=SPACE, name=self.model, container=CONTAINER).wake()
            return condition()

        self.cluster.until(looked, what, SECONDS)

    def progress(self) -> Any:
        """How far the rollout is, as the release step sees it."""
        return of_rollout(self.held("Rollout", ROLLOUT), self.held("Deployment", DEPLOYMENT))

    def version(self, number: int) -> str:
        """An image of the model."""
        return f"{self.image().partition('@')[0]}@sha256:{number:064x}"

    def image(self) -> str:
        """What the Deployment wants to run."""
        containers: list[Object] = self.held("Deployment", DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
        (image,) = [each["image"] for each in containers if each["name"] == CONTAINER]
        return image

    def release(self, version: int) -> None:
        """Change the version as the release step does, and say that it serves: a later release may go back to it."""
        wanted = Version(image=self.version(version), name=str(version))
        record = records.Record(wanted=wanted, previous=None, begun=0.0, state=State(Phase.PROMOTED, 0, 0.0))
        document = records.document(record, self.held("Deployment", DEPLOYMENT), CONTAINER)
        # Whoever changed the Deployment meanwhile, this is what is to run.
        del document["metadata"]["resourceVersion"]
        self.cluster.api.apply(document, manager=records.MANAGER, force=True)

    def step(self, verb: str, *words: str) -> Record:
        """The release step itself, with the rights of the model's own build and no others."""
        where = ("--region", "eu-central-1", "--cluster", "tests", "--namespace", SPACE, "--model", self.model)
        ended = run(parse([verb, *where, *words]), self._server())
        assert ended is not None
        return ended

    def _server(self) -> Server:
        if self.model not in self.tokens:
            rules = releasing_objects.role_rules(self.model)
            self.tokens[self.model] = token_of(self.cluster, SPACE, f"release-{self.model}", rules)
        tls = ssl.create_default_context(cafile=str(self.cluster.folder / "apiserver.crt"))
        return Server(url=self.cluster.api.url, tls=tls, token=lambda: self.tokens[self.model])

    def cordon(self, *, closed: bool) -> None:
        """Let the nodes take pods again, or no more."""
        for node in self.cluster.api.list("v1", "Node"):
            item = {"apiVersion": "v1", "kind": "Node", **node}
            self.cluster.api.merge(item, {"spec": {"unschedulable": closed}})

    def versions(self) -> dict[str, int]:
        """Running pods by version."""
        found: dict[str, int] = {}
        for item in self.cluster.api.list("v1", "Pod", SPACE, labels=f"app.kubernetes.io/name={self.model}"):
            if "deletionTimestamp" not in item["metadata"] and item["status"]["phase"] == "Running":
                version = item["metadata"]["labels"][VERSION_LABEL]
                found[version] = found.get(version, 0) + 1
        return found

    def behind(self, service: str = "") -> list[Object]:
        """Pods that a Service leads to and that are ready."""
        selector = self.held("Service", "v1", service)["spec"]["selector"]
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        found = self.cluster.api.list("v1", "Pod", SPACE, labels=labels)
        return [each for each in found if "deletionTimestamp" not in each["metadata"] and _ready(each)]

    def selected(self, service: str = "") -> str:
        """Version of the pods that a Service leads to; all of them where it leads to several."""
        return " ".join(sorted({each["metadata"]["labels"][VERSION_LABEL] for each in self.behind(service)}))

    def images(self) -> set[str]:
        """What serves: images of the pods behind the Service."""
        return {
            each["image"] for pod in self.behind() for each in pod["spec"]["containers"] if each["name"] == CONTAINER
        }

    def ended(self, *, failure: bool) -> list[int]:
        """Wait for the end of a rollout; return the shares on the way."""
        shares: list[int] = []

        def over() -> bool:
            share, progress = self.weight(), self.progress()
            if not shares or shares[-1] != share:
                shares.append(share)
            return bool(progress.failure) if failure else progress.done

        self.until(over, "the rollout has ended")
        return shares

    def expect_back(self, version: str) -> None:
        """Expect the failure of a rollout at its first share, and do what the release step does then."""
        assert max(self.ended(failure=True)) <= 5
        self.expect_served(version)

    def expect_served(self, version: str) -> None:
        """Expect that a failed rollout leaves everything to a version, and do what the release step does then."""
        self.until(lambda: self.weight() == 0, "nobody is sent to the new version")
        assert self.selected() == version
        self.release(int(version))
        self.until(lambda: self.progress().done, "the previous version is the one that is wanted")


def _flat(place: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in cast("Object", value).items():
            yield from _flat(f"{place} {name}", inner)
    else:
        yield place, value


def _ready(pod: Object) -> bool:
    conditions: list[Object] = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def controller_config(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig of the controller's own service account, with no other right than the program gives it."""
    api = cluster.api
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ARGO, "namespace": ARGO}})
    request: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = api.call("POST", f"{api.path('v1', 'ServiceAccount', ARGO, ARGO)}/token", request)["status"]["token"]
    config = json.loads(cluster.kubeconfig().read_text("utf-8"))
    config["users"][0]["user"] = {"token": token}
    file = folder / "argo.kubeconfig"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@contextlib.contextmanager
def rolling_out(open_cluster: Callable[[], AbstractContextManager[Cluster]], folder: Path) -> Generator[Rolled]:
    """A cluster in which every model of `ROLLOUTS` serves its first version."""
    prometheus = Prometheus()
    with prometheus.serving(), open_cluster() as cluster:
        install(cluster, [*definitions("argoproj.io"), *definitions("monitoring.coreos.com")])
        for item in Served(cluster, ()).nodes():
            cluster.api.create(item)
        cluster.start_scheduler()
        cluster.start_simulated_nodes()
        for item in program_objects(prometheus):
            cluster.api.apply(item, manager=PROGRAM, force=False)
        cluster.daemons.start(
            "rollouts-controller",
            f"--kubeconfig={controller_config(cluster, folder)}",
            *[f"--healthzPort={free_port()}", f"--metricsPort={free_port()}", "--leader-elect=false"],
            ARGO_ROLLOUTS_NAMESPACE=ARGO,
            POD_NAMESPACE=ARGO,
        )
        rolled = Rolled(cluster, prometheus)
        for model in ROLLOUTS:
            each = rolled.of(model)
            each.until(lambda each=each: each.progress().done, f"{model} serves")
        yield rolled
