"""From an object in S3 to other predictions and back: every step is the platform's own code, only AWS is played.

The event goes to the retraining function's handler, its pipeline trains and registers, the packager's steps make the
image, the announcement tells the release step what the rule of `components.releasing_objects` would, and the release
step's command asks a Deployment whose pods are server processes behind Envoy. `tests/kube` has the same release step on
a real API server, and the same packager with a real image registry.
"""

from __future__ import annotations

import http.client
import io
import json
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import yaml

from components import drift_objects, serving_pods
from components import releasing_objects as releasing
from components.serving_pods import Workload
from lifecycle import steps
from lifecycle.pipelines import wait_for_execution
from looking import service as looking
from packager.champion import PACKAGE
from release import __main__ as command
from release.api import Server
from retraining import handler
from retraining.facts import Status
from sandbox.console import Console
from sandbox.loop import flights, image, packaging
from sandbox.loop.evaluate import split_label
from sandbox.loop.loopback import ACCESS_KEY, Clients
from sandbox.loop.processes import REPOSITORY, wait_until
from sandbox.loop.retraining import ALARMS, TABLE, object_created, open_local_door, settings_of
from sandbox.loop.run import bring_up
from sandbox.loop.spec import LoopPaths
from sandbox.loop.stages import fetched
from sandbox.replay.months import Month
from sandbox.replay.traffic import Asked, Traffic
from sandbox.replay.watching import Watching
from sandbox.rollout.fleet import Fleet
from sandbox.rollout.fleet import Version as Served
from sandbox.rollout.proxy import Proxy
from scoring import artifact
from tests.functions.test_retraining_aws import Context
from tests.loop import cluster as clusters
from tests.loop.cluster import Cluster, PlainConnection
from tests.loop.specs import LABELS, REGION
from tests.loop.test_end_to_end import csv_answers, encoded
from tests.loop.test_retraining import spec as spec  # noqa: PLC0414 - a fixture
from tests.support import boosters

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from lifecycle.steps import Package
    from release.record import Version
    from sandbox.loop.spec import LoopSpec

pytestmark = pytest.mark.loop

FEBRUARY, MARCH, APRIL = 2, 3, 4
QUESTIONS = 400
"""Flights of the held-out month that are asked about after each step."""
BOARDS = 200
"""Requests of a month, of 20 flights each, whose truth becomes known."""


@dataclass
class System:
    """The platform of one model."""

    spec: LoopSpec
    clients: Clients
    cluster: Cluster
    proxy: Proxy
    data: Path
    watching: Watching
    now: list[float]
    asked: Asked = field(default_factory=Asked)
    """By callers who ask while something changes."""

    @property
    def paths(self) -> LoopPaths:
        return LoopPaths.of(self.spec.state_dir)

    def hear(self, *events: object) -> None:
        """What EventBridge brings goes through the queue to the function."""
        bodies = [json.dumps(event) for event in events]
        batch = [{"messageId": str(at), "body": body, "eventSource": "aws:sqs"} for at, body in enumerate(bodies)]
        assert handler.lambda_handler({"Records": batch}, cast("Any", Context())) == {"batchItemFailures": []}

    def put(self, key: str, content: bytes) -> dict[str, Any]:
        """An object arrives; gives the event that says so."""
        self.clients.s3.put_object(Bucket=self.spec.data_bucket, Key=key, Body=content)
        return object_created(self.clients.s3, self.spec.data_bucket, key)

    def executions(self) -> list[str]:
        found = self.clients.sagemaker.list_pipeline_executions(PipelineName=self.spec.pipeline.name)
        return [each.get("PipelineExecutionArn", "") for each in found["PipelineExecutionSummaries"]]

    def versions(self) -> list[Package]:
        """The oldest first."""
        found = self.clients.sagemaker.list_model_packages(ModelPackageGroupName=self.spec.package_group)
        arns = [each["ModelPackageArn"] for each in found["ModelPackageSummaryList"]]
        return sorted((steps.describe_package(self.clients.sagemaker, arn) for arn in arns), key=lambda each: each.arn)

    def package(self, package: Package) -> dict[str, Any] | None:
        """What an approval, or a rejection, starts; gives the announcement of a new image."""
        work = self.paths.packaging(self.spec.model.name, package.version)
        made = packaging.package(self.clients, self.spec, package.arn, work, Console(io.StringIO()))
        return json.loads((work / "announcement.json").read_text())[0] if made else None

    def release(self, told: dict[str, str]) -> int:
        """What CodeBuild runs, in this process."""
        model, (line,) = self.spec.model, specification()["phases"]["build"]["commands"]
        assert model.serving is not None
        assert model.serving.eks is not None
        given = {"AWS_REGION": REGION, **releasing.variables(LABELS, model, model.serving.eks), **told}
        script = line.replace("python -m release", "printf '%s\\n'")
        shell = ["/bin/bash", "--noprofile", "--norc", "-c", script]
        words = subprocess.run(shell, check=True, capture_output=True, text=True, env=given).stdout.splitlines()
        with Traffic(lambda: self.proxy.port).during(month(self.data, MARCH), self.asked):
            return command.main(words)

    def answers(self) -> bytes:
        """Predictions of what serves, to the bit."""
        rows = questions(self.paths)
        with closing(http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=30)) as connection:
            return np.array(csv_answers(connection, rows), dtype=np.float32).tobytes()

    def boosters_answers(self, package: Package) -> bytes:
        """What XGBoost itself says with a version's registered artefact."""
        found = artifact.read(fetched(self.spec, self.paths, self.clients, package))
        return boosters.predicted(found.model, found.schema, encoded(found.schema, questions(self.paths))).tobytes()

    def looked_at(self) -> Package:
        """The version that the function that starts looks chooses; the first one stands in the stack file."""
        first, *_ = versions = self.versions()
        of = first.image_uri.rpartition("@")[2], first.artefact_uri, str(first.version)
        approved = looking.Version(image=of[0], artefact=of[1], number=of[2])
        chosen = looking.choose(versions, drift_objects.place(LABELS, self.spec.model), approved).version
        (found,) = [each for each in versions if str(each.version) == chosen.number]
        assert chosen.artefact == found.artefact_uri
        return found

    def live_through(self, asked: Month) -> bool:
        """A month is asked about, and every answer turns out to be wrong; whether the drift job finds it worse."""
        self.watching.ship(asked)
        Traffic(lambda: self.proxy.port).once(asked, self.asked)
        assert wait_until(lambda: self.watching.captured() >= len(asked.questions), 30)
        self.watching.ship(asked)
        self.watching.tell(asked)
        return self.watching.compare(asked, self.looked_at()).summary["raised"]["quality"]

    def champion(self) -> str:
        """ARN of the version that the next training has to beat."""
        key = f"{self.spec.model.name}/champion/model.tar.gz"
        return self.clients.s3.head_object(Bucket=self.spec.models_bucket, Key=key)["Metadata"][PACKAGE]


def specification() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "functions" / releasing.SPECIFICATION).read_text(encoding="utf-8"))


def month(data: Path, number: int) -> Month:
    """Some requests of a month, with the opposite of the truth."""
    found = Month.read(data, number)
    labels = tuple(tuple(1 - label for label in board) for board in found.labels[:BOARDS])
    return replace(found, questions=found.questions[:BOARDS], labels=labels)


def questions(paths: LoopPaths) -> list[list[str]]:
    (held_out,) = paths.data.glob("holdout/*.csv")
    return [row.split(",") for row in split_label(held_out)[1][:QUESTIONS]]


def told(announcement: dict[str, Any]) -> dict[str, str]:
    """Variables of the build that the rule starts for an announcement."""
    pattern = json.loads(releasing.announcement_pattern("flight-delay"))
    detail = json.loads(announcement["Detail"])
    assert [announcement["Source"]] == pattern["source"]
    assert [announcement["DetailType"]] == pattern["detail-type"]
    assert [detail["model"]] == pattern["detail"]["model"]
    text = releasing.announcement_input()
    for name, path in releasing.ANNOUNCED.items():
        text = text.replace(f"<{name}>", str(detail[path.removeprefix("$.detail.")]))
    return {each["name"]: each["value"] for each in json.loads(text)["environmentVariablesOverride"]}


def declared(spec: LoopSpec, package: Package, announced: dict[str, Any]) -> dict[str, Any]:
    """The Deployment as the program makes it for the first version."""
    assert spec.model.serving is not None
    assert spec.model.serving.eks is not None
    workload = Workload(
        model=spec.model.name,
        spec=spec.model.serving.eks,
        version=package.version,
        image=json.loads(announced["Detail"])["image"],
    )
    about = {"name": workload.name, "namespace": workload.spec.namespace, "labels": workload.version_labels}
    return {"metadata": about, "spec": serving_pods.deployment(workload)}


@contextmanager
def running(spec: LoopSpec, clients: Clients, first: Package, now: list[float]) -> Generator[System]:
    """The first version in service."""
    paths = LoopPaths.of(spec.state_dir)
    watching = Watching(spec, paths, clients, image.build(spec.image_source))
    settings = {"SLIPWAY_CAPTURE_DIR": str(watching.folder), "SLIPWAY_MAX_CAPTURE_FILE_S": "0.5"}

    def start(version: Version) -> Fleet:
        folder = paths.root / "pods" / version.image[-12:]
        served = Served(
            name=version.name,
            model_dir=clusters.pull(clients.ecr, version.image, paths.root / "packaging", folder),
            python=spec.image_python,
            source=spec.image_source,
            settings=settings,
        )
        return Fleet(served, folder)

    work = paths.packaging(spec.model.name, first.version)
    deployment = declared(spec, first, json.loads((work / "announcement.json").read_text())[0])
    data = flights.prepare(paths.root / "year", (FEBRUARY, MARCH, APRIL), None).root
    with Proxy(paths.root / "proxy") as proxy:
        cluster = Cluster(deployment, serving_pods.CONTAINER, proxy, start, [])
        try:
            yield System(spec, clients, cluster, proxy, data, watching, now)
        finally:
            cluster.stop()


@pytest.fixture
def system(spec: LoopSpec, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    endpoint, now = bring_up(spec, Console(io.StringIO())).places["AWS APIs"], [1_700_000_000.0]
    clients = Clients(endpoint, spec.region)
    open_local_door(clients, settings_of(spec), lambda: now[0])
    for name, value in {"TABLE": TABLE, "ALARMS": ALARMS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, ACCESS_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", spec.region)
    monkeypatch.setattr(handler, "time", SimpleNamespace(time=lambda: now[0]))
    handler.lambda_door.cache_clear()
    first = steps.find_package(clients.sagemaker, spec.package_group, lambda _: True)
    assert first is not None
    with running(spec, clients, first, now) as found, clusters.serving(found.cluster) as address:
        monkeypatch.setattr(http.client, "HTTPSConnection", PlainConnection)
        server = Server(url=address, tls=cast("Any", None), token=lambda: "token")

        def the_server(_region: str, _cluster: str) -> Server:
            return server

        monkeypatch.setattr(command, "server", the_server)
        yield found
    handler.lambda_door.cache_clear()


def test_an_object_changes_the_predictions_once_and_truth_brings_the_old_ones_back_bit_for_bit(system: System) -> None:
    first, before = system.versions()[0], system.answers()
    assert before == system.boosters_answers(first)
    assert system.looked_at() == first, "nothing was released yet"
    system.hear(handler.TICK_EVENT)

    key, content = f"{system.spec.model.dataset_prefix}train/2013-02.csv", trained_month(system)
    event = system.put(key, content)
    system.hear(event)
    second = trained(system)
    assert (second.version, second.status) == (2, "Approved")
    announcement = system.package(second)
    assert announcement is not None
    assert system.release(told(announcement)) == 0
    after = system.answers()
    assert after == system.boosters_answers(second)
    assert after != before

    again = system.put(key, content)
    system.hear(event, again)
    system.now[0] += 60
    system.hear(handler.TICK_EVENT)
    served, generation = system.cluster.fleet.ports(), system.cluster.generation
    assert len(system.executions()) == 2
    assert system.package(second) is None
    assert system.release(told(announcement)) == 0
    assert (system.cluster.fleet.ports(), system.cluster.generation) == (served, generation)

    assert system.looked_at().version == second.version
    for asked in (MARCH, APRIL):
        assert system.release({"VERB": "recall"}) == 0
        assert system.answers() == after, "one look is not enough"
        assert system.live_through(month(system.data, asked))
    assert system.release({"VERB": "recall"}) == 0
    assert system.answers() == before
    assert system.looked_at().version == first.version
    assert [each.status for each in system.versions()] == ["Approved", "Rejected"]
    assert system.champion() == second.arn
    assert system.package(second) is None, "the build of a rejection makes no image"
    assert system.champion() == first.arn
    assert system.asked.failures == {}
    assert system.asked.versions.keys() == {"1", "2"}


def trained_month(system: System) -> bytes:
    return (system.data / "train" / "2013-02.csv").read_bytes()


def trained(system: System) -> Package:
    """Wait until no more objects come, and until the training that the function starts has ended."""
    system.now[0] += 60
    system.hear(handler.TICK_EVENT)
    book = handler.lambda_door().ledger.read(system.spec.model.name)
    assert book.last is not None
    wait_for_execution(
        system.clients.sagemaker, book.last.arn, on_progress=lambda _: None, poll_seconds=0.2, timeout_seconds=300
    )
    system.hear(handler.TICK_EVENT)
    ended = handler.lambda_door().ledger.read(system.spec.model.name).last
    assert ended is not None
    assert ended.status is Status.SUCCEEDED
    return system.versions()[-1]
