"""Argo Rollouts itself carries out what the program declares, on a real control plane with simulated nodes.

Tests stand in for Prometheus, whose answers they choose, and for the load balancer, whose weights they read from the
Ingress. Pauses are shortened; everything else is what the program registers.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from components.labels import VERSION_LABEL
from components.serving_pods import CONTAINER, HASH_LABEL
from release.progress import of_rollout
from sandbox.loop.processes import LOOPBACK, free_port
from tests.kube.definitions import definitions, install
from tests.kube.serving import PROGRAM, Served
from tests.support.objects import KUBERNETES, RELEASE
from tests.support.rolled_out import rolled_out

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.kube.api import Object
    from tests.kube.control_plane import Cluster

pytestmark = pytest.mark.kube

MODEL, SPACE, ARGO = "in-shares", "ml-inference", "argo-rollouts"
ACTION = f"alb.ingress.kubernetes.io/actions.{MODEL}"
ROLLOUT, DEPLOYMENT = "argoproj.io/v1alpha1", "apps/v1"
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
    for long, short in (('"duration": "5m"', '"duration": "2s"'), ('"duration": "30s"', '"duration": "1s"')):
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
    """What the program registers for the model, for the controller, and for their namespaces."""
    found = [item for item in rolled_out().resources if item.type.startswith(KUBERNETES) and item.type != RELEASE]
    around = ("Namespace", "PriorityClass", "IngressClass", "ServiceAccount")
    ours = [
        item.inputs
        for item in found
        if item.name.startswith((f"serving-{MODEL}", "rollouts-"))
        or (item.inputs["kind"] in around and item.inputs["metadata"].get("namespace", SPACE) in (SPACE, ARGO))
    ]
    needed = [item for item in ours if not item["kind"].endswith("Patch") and item["kind"] != "NetworkPolicy"]
    needed.sort(key=lambda item: (item["kind"] != "Namespace", item["kind"] not in around))
    return [shortened(item, prometheus) for item in needed]


@dataclass
class Rolled:
    """A cluster in which the model is rolled out."""

    cluster: Cluster
    prometheus: Prometheus

    def held(self, kind: str, api_version: str) -> Object:
        return {"apiVersion": api_version, "kind": kind, **self.cluster.api.get(api_version, kind, MODEL, SPACE)}

    def weight(self) -> int:
        """Share of the new version that the load balancer is told."""
        action = self.held("Ingress", "networking.k8s.io/v1")["metadata"]["annotations"].get(ACTION)
        groups: list[Object] = json.loads(action)["ForwardConfig"]["TargetGroups"] if action else []
        return sum(group["Weight"] for group in groups if group["ServiceName"] == f"{MODEL}-canary")

    def progress(self) -> Any:
        return of_rollout(self.held("Rollout", ROLLOUT), self.held("Deployment", DEPLOYMENT))

    def release(self, version: int) -> None:
        """Change the version as the release step does."""
        image = f"registry.example/app@sha256:{version:064x}"
        template = {
            "metadata": {"labels": {VERSION_LABEL: str(version)}},
            "spec": {"containers": [{"name": CONTAINER, "image": image}]},
        }
        document = {
            "apiVersion": DEPLOYMENT,
            "kind": "Deployment",
            "metadata": {"name": MODEL, "namespace": SPACE},
            "spec": {"template": template},
        }
        self.cluster.api.apply(document, manager="slipway-release", force=True)

    def versions(self) -> dict[str, int]:
        """Running pods by version."""
        found: dict[str, int] = {}
        for item in self.cluster.api.list("v1", "Pod", SPACE, labels=f"app.kubernetes.io/name={MODEL}"):
            if "deletionTimestamp" not in item["metadata"] and item["status"]["phase"] == "Running":
                version = item["metadata"]["labels"][VERSION_LABEL]
                found[version] = found.get(version, 0) + 1
        return found

    def selected(self, service: str) -> str:
        """Version of the pods that a Service leads to."""
        selector = self.cluster.api.get("v1", "Service", service, SPACE)["spec"]["selector"]
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        (version,) = {
            item["metadata"]["labels"][VERSION_LABEL]
            for item in self.cluster.api.list("v1", "Pod", SPACE, labels=labels)
        }
        return version

    def ended(self, *, failure: bool) -> list[int]:
        """Wait for the end of a rollout; return the shares on the way."""
        shares: list[int] = []

        def over() -> bool:
            share, progress = self.weight(), self.progress()
            if not shares or shares[-1] != share:
                shares.append(share)
            return bool(progress.failure) if failure else progress.done

        self.cluster.until(over, "the rollout has ended", SECONDS)
        return shares

    def expect_back(self, version: str) -> None:
        """Expect the failure of a rollout at its first share, and do what the release step does then."""
        assert max(self.ended(failure=True)) <= 5
        self.cluster.until(lambda: self.weight() == 0, "nobody is sent to the new version", SECONDS)
        assert self.selected(MODEL) == version
        self.release(int(version))
        self.cluster.until(lambda: self.progress().done, "the previous version is the one that is wanted", SECONDS)


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


@pytest.fixture(scope="module")
def rolled(
    open_cluster: Callable[[], AbstractContextManager[Cluster]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rolled]:
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
            f"--kubeconfig={controller_config(cluster, tmp_path_factory.mktemp('argo'))}",
            *[f"--healthzPort={free_port()}", f"--metricsPort={free_port()}", "--leader-elect=false"],
            ARGO_ROLLOUTS_NAMESPACE=ARGO,
            POD_NAMESPACE=ARGO,
        )
        here = Rolled(cluster, prometheus)
        cluster.until(lambda: here.progress().done, "the first version serves", SECONDS)
        yield here


@pytest.fixture(autouse=True)
def good(rolled: Rolled) -> None:
    rolled.prometheus.answers.clear()
    rolled.prometheus.answers.update(GOOD)


def test_the_rollout_takes_the_pods_over_and_the_deployment_ends_with_none(rolled: Rolled) -> None:
    rolled.cluster.until(
        lambda: rolled.held("Deployment", DEPLOYMENT)["spec"]["replicas"] == 0, "it has no pods", SECONDS
    )
    rolled.cluster.until(lambda: rolled.versions() == {"7": PODS}, "as many pods as the autoscaler wants", SECONDS)
    assert rolled.weight() == 0


def test_a_good_version_gets_each_share_and_then_everything(rolled: Rolled) -> None:
    rolled.release(8)
    shares = rolled.ended(failure=False)
    assert [share for share in shares if 0 < share < 100] == [5, 50]
    rolled.cluster.until(lambda: rolled.versions() == {"8": PODS}, "only the new version is there", SECONDS)
    assert rolled.selected(MODEL) == "8"


@pytest.mark.parametrize(
    "answers",
    [{"errors": 50.0}, {"p95": 50.0}, {"predictions": 0.4}, {"restarts": 1.0}],
    ids=lambda answers: next(iter(answers)),
)
def test_a_version_that_one_test_is_sure_is_bad_gets_no_more_than_its_first_share(
    rolled: Rolled, answers: dict[str, float]
) -> None:
    before = rolled.selected(MODEL)
    rolled.prometheus.answers.update(answers)
    rolled.release(90 + sum(map(ord, next(iter(answers)))) % 100)
    rolled.expect_back(before)


def test_a_version_of_which_nothing_is_seen_is_taken_back(rolled: Rolled) -> None:
    before = rolled.selected(MODEL)
    rolled.prometheus.answers.clear()
    rolled.release(300)
    rolled.expect_back(before)


def test_the_next_update_of_the_program_conflicts_with_nobody_and_leaves_weights_and_versions_alone(
    rolled: Rolled,
) -> None:
    before = (rolled.weight(), rolled.selected(MODEL), rolled.selected(f"{MODEL}-canary"))
    for item in program_objects(rolled.prometheus):
        # Of these the provider takes what it ignores from the live object, see `test_release.py`.
        if item["kind"] not in ("Deployment", "Service"):
            rolled.cluster.api.apply(item, manager=PROGRAM, force=False)
    assert (rolled.weight(), rolled.selected(MODEL), rolled.selected(f"{MODEL}-canary")) == before
    assert before[1] == before[2]
    assert rolled.progress().done


def test_back_to_rolling_the_deployment_serves_before_the_rollout_goes(rolled: Rolled) -> None:
    """As docs/rollouts.md tells a person to; the next update then changes the Service without a conflict."""
    api, cluster = rolled.cluster.api, rolled.cluster
    declared = next(
        item
        for item in program_objects(rolled.prometheus)
        if item["kind"] == "Service" and item["metadata"]["name"] == MODEL
    )
    cluster.daemons.stop("rollouts-controller")
    api.merge(rolled.held("Deployment", DEPLOYMENT), {"spec": {"replicas": PODS}})
    cluster.until(
        lambda: rolled.held("Deployment", DEPLOYMENT)["status"].get("availableReplicas") == PODS, "it has pods", SECONDS
    )
    fewest: list[int] = []

    def serving() -> int:
        """Pods behind the Service; the fewest ever are kept."""
        selector = api.get("v1", "Service", MODEL, SPACE)["spec"]["selector"]
        found = api.list("v1", "Pod", SPACE, labels=",".join(f"{key}={value}" for key, value in selector.items()))
        fewest.append(sum("deletionTimestamp" not in each["metadata"] and _ready(each) for each in found))
        return fewest[-1]

    api.merge(rolled.held("Service", "v1"), {"spec": {"selector": {HASH_LABEL: None}}})
    cluster.until(lambda: serving() == sum(rolled.versions().values()) > PODS, "it leads to the pods of both", SECONDS)
    api.apply(declared, manager=PROGRAM, force=False)
    api.delete(rolled.held("Rollout", ROLLOUT))
    cluster.until(lambda: serving() == PODS == sum(rolled.versions().values()), "the Deployment's are left", SECONDS)
    assert min(fewest) >= PODS
