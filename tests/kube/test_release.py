"""The release step on a real API server and its controllers; what kubelets would say of pods, the test says."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from components import releasing_objects
from components.tenancy_objects import RELEASE, role_rules
from release import record as records
from release.api import ModelWorkload, Server
from release.record import OvertakenError, ReleaseError, Version
from release.step import Release
from rollout.judgement import Judgement
from rollout.plan import Phase, Plan, begin
from rollout.verdicts import Finding, Verdict
from tests.kube.access import token_of
from tests.kube.api import Refused
from tests.kube.pods import pod

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from tests.kube.api import Api, Object
    from tests.kube.control_plane import Cluster

pytestmark = pytest.mark.kube

NAMESPACE = "serving"
CONTAINER = "main"
REPLICAS = 3
PROGRAM = "pulumi-kubernetes-1234abcd"
"""Field manager as Pulumi's provider names it."""
PLAN = Plan(weights=(100,), step_seconds=0, patience_seconds=5, ready_seconds=30)
GOOD = Judgement((Finding("errors", Verdict.GOOD, "0 %"),))
BAD = Judgement((Finding("errors", Verdict.BAD, "5 %"),))
names = itertools.count(1)


def version(number: int) -> Version:
    return Version(image=f"registry.example/model@sha256:{number:064x}", name=str(number))


BROKEN = version(13)


class Kubelets(threading.Thread):
    """Make pods ready, unless they run the broken image; the fewest ready ones ever seen are kept by Deployment."""

    def __init__(self, api: Api) -> None:
        super().__init__(daemon=True)
        self.api = api
        self.ended = threading.Event()
        self.fewest: dict[str, int] = {}

    def run(self) -> None:
        while not self.ended.wait(0.1):
            for item in self.api.list("v1", "Pod", NAMESPACE):
                image = item["spec"]["containers"][0]["image"]
                if image != BROKEN.image and item.get("status", {}).get("phase") != "Running":
                    self._make_ready(item)
            for item in self.api.list("apps/v1", "Deployment", NAMESPACE):
                ready, name = item.get("status", {}).get("readyReplicas", 0), item["metadata"]["name"]
                if name in self.fewest or ready == REPLICAS:
                    self.fewest[name] = min(self.fewest.get(name, REPLICAS), ready)

    def _make_ready(self, item: Object) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        try:
            self.api.merge(item, {"status": {"phase": "Running", "conditions": [ready]}}, subresource="status")
        except Refused as refused:
            if refused.reason != "NotFound":
                raise


@pytest.fixture(scope="module")
def cluster(open_cluster: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Cluster]:
    with open_cluster() as opened:
        opened.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        opened.until(lambda: opened.exists("v1", "ServiceAccount", "default", NAMESPACE), "the account is there")
        yield opened


@pytest.fixture(scope="module")
def kubelets(cluster: Cluster) -> Generator[Kubelets]:
    thread = Kubelets(cluster.api)
    thread.start()
    yield thread
    thread.ended.set()
    thread.join()


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    """Of somebody who has the duty `release`."""
    return token_of(cluster, NAMESPACE, "releaser", role_rules(RELEASE))


class Model:
    """A Deployment that the program made, and the release step that changes it."""

    def __init__(self, cluster: Cluster, token: str) -> None:
        self.api = cluster.api
        self.name = f"model-{next(names)}"
        self.cluster = cluster
        self.workload = self.asked_as(token)
        self.program_applies(self.manifest(version(1)))
        cluster.until(lambda: self.workload.progress().done, "the first version serves")

    def asked_as(self, token: str) -> ModelWorkload:
        """The Deployment as the owner of a token sees it."""
        tls = ssl.create_default_context(cafile=str(self.cluster.folder / "apiserver.crt"))
        server = Server(url=self.api.url, tls=tls, token=lambda: token)
        return ModelWorkload(server=server, namespace=NAMESPACE, name=self.name, container=CONTAINER)

    def manifest(self, wanted: Version) -> Object:
        """As the program declares it."""
        labels = {"app": self.name}
        template = pod(NAMESPACE)
        template["spec"]["containers"][0]["image"] = wanted.image
        metadata = {"labels": {**labels, records.VERSION: wanted.name}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name, "namespace": NAMESPACE, **metadata},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "progressDeadlineSeconds": 3,
                "template": {"metadata": metadata, "spec": template["spec"]},
            },
        }

    def program_applies(self, manifest: Object) -> Object:
        """Server-side apply as Pulumi's provider does it: without force."""
        path = self.api.path("apps/v1", "Deployment", NAMESPACE, self.name)
        return self.api.call("PATCH", path, manifest, {"fieldManager": PROGRAM}, content="application/apply-patch+yaml")

    def release(self, judgement: Judgement | None = GOOD, sleep: Callable[[float], None] | None = None) -> Release:
        return Release(
            workload=self.workload,
            container=CONTAINER,
            plan=PLAN,
            back_seconds=PLAN.ready_seconds,
            judge=lambda _: judgement,
            clock=time.time,
            sleep=sleep or (lambda _: time.sleep(0.2)),
            tell=lambda _: None,
        )

    def images(self) -> set[str]:
        """Of all pods that are there."""
        pods = self.api.list("v1", "Pod", NAMESPACE, labels=f"app={self.name}")
        return {each["spec"]["containers"][0]["image"] for each in pods if "deletionTimestamp" not in each["metadata"]}


@pytest.fixture
def model(cluster: Cluster, token: str, kubelets: Kubelets) -> Model:
    assert kubelets.is_alive()
    return Model(cluster, token)


def test_a_release_replaces_all_pods_and_never_has_fewer_than_before(model: Model, kubelets: Kubelets) -> None:
    ended = model.release().roll_out(version(2))

    assert ended.state.phase is Phase.PROMOTED
    assert model.images() == {version(2).image}
    assert kubelets.fewest[model.name] == REPLICAS


def test_a_version_that_is_never_ready_stops_and_the_previous_one_comes_back(model: Model, kubelets: Kubelets) -> None:
    ended = model.release().roll_out(BROKEN)

    assert ended.state.phase is Phase.ROLLED_BACK
    assert "exceeded its progress deadline" in ended.state.reason or "timed out progressing" in ended.state.reason
    model.cluster.until(lambda: model.images() == {version(1).image}, "only the first version is there")
    assert kubelets.fewest[model.name] == REPLICAS


@pytest.mark.parametrize("judgement", [BAD, None])
def test_a_version_that_is_judged_bad_or_not_at_all_is_taken_back(model: Model, judgement: Judgement | None) -> None:
    ended = model.release(judgement).roll_out(version(2))

    assert ended.state.phase is Phase.ROLLED_BACK
    model.cluster.until(lambda: model.images() == {version(1).image}, "only the first version is there")


def test_a_step_that_was_killed_goes_on_where_it_was(model: Model) -> None:
    def die(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.release(sleep=die).roll_out(version(2))
    ended = model.release().roll_out(version(2))

    assert (ended.state.phase, ended.previous) == (Phase.PROMOTED, version(1))
    revision = model.workload.read()["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert revision == "2", "the template was changed once"


def test_the_way_back_is_one_call(model: Model) -> None:
    model.release().roll_out(version(2))
    back = model.release().roll_back()

    assert back.serving == version(1)
    assert records.running(model.workload.read(), CONTAINER) == version(1)
    model.cluster.until(lambda: model.images() == {version(1).image}, "only the first version is there")


def test_a_change_of_what_others_have_changed_since_it_was_read_is_refused(model: Model) -> None:
    seen = model.workload.read()
    model.api.merge(dict(seen), {"metadata": {"annotations": {"touched": "meanwhile"}}})
    record = records.Record(wanted=version(2), previous=version(1), begun=0.0, state=begin(0.0))

    with pytest.raises(OvertakenError, match="modified"):
        model.workload.apply(record, seen)
    assert records.running(model.workload.read(), CONTAINER) == version(1)
    model.workload.apply(record, model.workload.read())
    assert records.read(model.workload.read()) == record


def test_a_release_that_overtakes_one_that_never_ends_goes_back_to_what_served_before_both(model: Model) -> None:
    def die(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.release(sleep=die).roll_out(BROKEN)
    ended = model.release(BAD).roll_out(version(3))

    assert (ended.state.phase, ended.serving) == (Phase.ROLLED_BACK, version(1))
    model.cluster.until(lambda: model.images() == {version(1).image}, "only the first version is there")


def test_program_and_release_step_do_not_fight_over_fields(model: Model) -> None:
    model.release().roll_out(version(2))
    stale = model.manifest(version(1))
    with pytest.raises(Refused, match=f'conflicts with "{records.MANAGER}"') as refused:
        model.program_applies(stale)
    fields = {line.removeprefix("- ") for line in refused.value.message.splitlines() if line.startswith("- ")}
    assert fields == {
        ".metadata.labels." + records.VERSION,
        ".spec.template.metadata.labels." + records.VERSION,
        f'.spec.template.spec.containers[name="{CONTAINER}"].image',
    }, refused.value.message

    live: dict[str, Any] = model.manifest(version(2))
    live["spec"]["minReadySeconds"] = 1
    model.program_applies(live)
    found = model.workload.read()
    assert found["spec"]["minReadySeconds"] == 1
    assert records.running(found, CONTAINER) == version(2)
    ended = model.release().roll_out(version(3))
    assert ended.state.phase is Phase.PROMOTED
    assert model.workload.read()["spec"]["minReadySeconds"] == 1


def test_whoever_may_release_may_change_no_other_namespace_and_delete_nothing(model: Model, token: str) -> None:
    elsewhere = ModelWorkload(
        server=model.workload.server, namespace="kube-system", name=model.name, container=CONTAINER
    )
    with pytest.raises(ReleaseError, match="403"):
        elsewhere.read()
    with pytest.raises(Refused, match="cannot delete"):
        model.api.with_token(token).delete(model.manifest(version(1)))


def test_the_rights_of_a_models_own_release_are_enough_for_it_and_for_no_other_model(
    model: Model, cluster: Cluster, token: str
) -> None:
    other = Model(cluster, token)
    own = token_of(cluster, NAMESPACE, f"only-{model.name}", releasing_objects.role_rules(model.name))
    model.workload, other.workload = model.asked_as(own), other.asked_as(own)

    assert model.release().roll_out(version(2)).state.phase is Phase.PROMOTED
    assert model.release().roll_back().serving == version(1)
    with pytest.raises(ReleaseError, match="403"):
        other.release().roll_out(version(2))
