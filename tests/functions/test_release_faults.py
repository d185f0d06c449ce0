"""A release whose API server or registry fails at any one call, or from any call on, loses nothing and ends right."""

from __future__ import annotations

import http.client
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from release import __main__ as command
from release import record as records
from release.api import Server
from release.patience import BusyError, Patience, UnreachableError
from tests.functions.test_recall import PACKAGES, Bucket, SageMaker
from tests.functions.test_release_step import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = ["--region", "eu-central-1", "--cluster", "here", "--namespace", "ns", "--model", "m"]
OUT = ["roll-out", *HERE, "--image", version(2).image, "--version", "2", "--package-arn", f"{PACKAGES}2"]
BACK = ["roll-back", *HERE, "--packages", PACKAGES]
LIMITS = ["--minimum-labels", "2000", "--looks", "2", "--trial-hours", "168", "--window-hours", "168"]
RECALL = ["recall", *HERE, "--packages", PACKAGES, "--reports", "s3://models/m/", *LIMITS]
READY_AFTER = 3
"""Looks at the Deployment until its pods are ready."""


def busy(status: int, after: str = "") -> Callable[[], tuple[int, str, str]]:
    return lambda: (status, "{}", after)


def refuse() -> tuple[int, str, str]:
    raise ConnectionRefusedError


def hang_up() -> tuple[int, str, str]:
    raise http.client.RemoteDisconnected("gone")


def stop_short() -> tuple[int, str, str]:
    raise http.client.IncompleteRead(b"{")


BEFORE = {"refused": refuse, **{str(status): busy(status, "7") for status in (401, 429, 500, 502, 503, 504)}}
AFTER = {"disconnected": hang_up, "cut": stop_short, "lost": busy(504)}
"""What becomes of a request before it has an effect, and of its answer afterwards."""
FAULTS = [*((name, False) for name in BEFORE), *((name, True) for name in AFTER)]


class World:
    """An API server with one Deployment, a registry with two versions, and a clock that only waits move."""

    def __init__(self, *, broken: bool) -> None:
        self.broken, self.looks, self.calls, self.now, self.waited = broken, 0, 0, 1e9, list[float]()
        self.fault: Callable[[], tuple[int, str, str]] | None = None
        self.after, self.from_call, self.to_call = False, 0, 0
        template = {"metadata": {"labels": {records.VERSION: "1"}}, "spec": {"containers": [self._container(1)]}}
        self.deployment: dict[str, Any] = {
            "metadata": {"name": "m", "namespace": "ns", "resourceVersion": "1", "generation": 1},
            "spec": {"replicas": 1, "template": template},
        }
        self.registry = SageMaker()

    @staticmethod
    def _container(number: int) -> dict[str, str]:
        return {"name": "server", "image": version(number).image}

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds

    def fails(self, name: str, at: int, *, to: int | None = None, after: bool = False) -> None:
        self.fault, self.after = (AFTER if after else BEFORE)[name], after
        self.calls, self.from_call, self.to_call = 0, at, at if to is None else to

    def answer(self, method: str, path: str, body: str | None) -> tuple[int, str, str]:
        self.calls += 1
        struck = self.fault if self.from_call <= self.calls <= self.to_call else None
        if struck is not None and not self.after:
            return struck()
        status, found = self._do(method, path, body)
        return (status, json.dumps(found), "") if struck is None else struck()

    def _do(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        if "/rollouts/" in path:
            return 404, {}
        if method == "PATCH":
            return self._apply(json.loads(body or ""))
        self.looks += 1
        ready = self.looks > READY_AFTER and not (self.broken and self.image() == version(2).image)
        generation = self.deployment["metadata"]["generation"]
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(ready)}
        return 200, {**self.deployment, "status": {"observedGeneration": generation, **counts}}

    def _apply(self, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        metadata = self.deployment["metadata"]
        if wanted["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            return 409, {}
        if wanted["spec"]["template"] != self.deployment["spec"]["template"]:
            metadata["generation"] += 1
            self.looks = 0
        self.deployment["spec"]["template"] = wanted["spec"]["template"]
        metadata["annotations"] = wanted["metadata"]["annotations"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        return 200, self.deployment

    def image(self) -> str:
        return self.deployment["spec"]["template"]["spec"]["containers"][0]["image"]

    def end(self) -> tuple[object, ...]:
        """All that is left, without the times."""
        found = records.read(self.deployment)
        said = {
            arn: (package["ModelApprovalStatus"], str(package.get("CustomerMetadataProperties")).split(" at ")[0])
            for arn, package in self.registry.packages.items()
        }
        return self.image(), None if found is None else (found.wanted, found.previous, found.state.phase), said

    def check(self) -> None:
        """Image and record say the same."""
        found = records.read(self.deployment)
        assert found is None or found.serving.image == self.image()


def run(world: World, words: list[str], monkeypatch: pytest.MonkeyPatch, registry: object = None) -> int:
    """One start of the release step in this world."""

    class Connection:
        def __init__(self, *_: object, **__: object) -> None: ...

        def request(self, method: str, target: str, body: str | None, headers: dict[str, str]) -> None:
            assert headers["Authorization"] == "Bearer token"
            self.asked = (method, target, body)

        def getresponse(self) -> SimpleNamespace:
            status, text, after = world.answer(*self.asked)

            def getheader(name: str, other: str) -> str:
                return {"Retry-After": after}[name] or other

            return SimpleNamespace(status=status, read=text.encode, getheader=getheader)

        def close(self) -> None: ...

    patience = Patience(clock=lambda: world.now, sleep=world.sleep)
    server = Server(url="https://api", tls=cast("Any", None), token=lambda: "token", patience=patience)
    report = {"window": {"start": "2001-09-09T02:00:00+00:00"}, "labels": 5000, "raised": {"quality": True}}
    reports = Bucket({f"m/{run}/drift.json": json.dumps({**report, "version": "2"}).encode() for run in "ab"})
    clients: dict[str, object] = {"sagemaker": registry or world.registry, "s3": reports}

    def client(_options: object, service: str) -> object:
        return clients[service]

    def the_server(_region: str, _cluster: str) -> Server:
        return server

    monkeypatch.setattr(http.client, "HTTPSConnection", Connection)
    monkeypatch.setattr(command, "server", the_server)
    monkeypatch.setattr(command, "_client", client)
    monkeypatch.setattr(command, "time", SimpleNamespace(time=lambda: world.now, sleep=world.sleep))
    return command.main(words)


CASES = {"good": (False, (OUT,)), "broken": (True, (OUT,)), "taken back": (False, (OUT, BACK))}


def undisturbed(case: str, monkeypatch: pytest.MonkeyPatch) -> tuple[World, int]:
    """How it ends where nothing fails; with the calls of the last start."""
    broken, starts = CASES[case]
    world, code = World(broken=broken), 0
    for words in starts:
        world.calls, code = 0, run(world, words, monkeypatch)
    return world, code


def prepared(case: str, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(broken=CASES[case][0])
    for words in CASES[case][1][:-1]:
        assert run(world, words, monkeypatch) == 0
    return world


def calls(total: int) -> Iterator[int]:
    """Each call at the beginning, some of the many equal ones in the middle, each at the end."""
    yield from sorted({*range(1, min(total, 16) + 1), *range(1, total, 29), *range(max(1, total - 12), total + 1)})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("fault", "after"), FAULTS)
def test_one_call_that_fails_or_whose_answer_is_lost_changes_nothing(
    case: str, fault: str, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    whole, code = undisturbed(case, monkeypatch)
    for number in calls(whole.calls):
        world = prepared(case, monkeypatch)
        world.fails(fault, number, after=after)
        assert run(world, CASES[case][1][-1], monkeypatch) == code, number
        assert world.end() == whole.end(), number


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("fault", "after"), [("refused", False), ("503", False), ("disconnected", True)])
def test_where_nothing_answers_any_more_the_step_says_where_it_stands_and_the_next_start_ends_right(
    case: str, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, after: bool
) -> None:
    whole, code = undisturbed(case, monkeypatch)
    for number in calls(whole.calls):
        world = prepared(case, monkeypatch)
        world.fails(fault, number, to=10**9, after=after)
        capsys.readouterr()
        assert run(world, CASES[case][1][-1], monkeypatch) == 1
        assert "start this again, and it goes on from there" in capsys.readouterr().out.splitlines()[-1]
        world.check()
        world.fails(fault, 0)
        assert run(world, CASES[case][1][-1], monkeypatch) == code
        assert world.end() == whole.end(), number


class Faulty:
    """A registry whose n-th call fails, before it has an effect or after."""

    def __init__(self, real: SageMaker, at: int, error: Exception, *, after: bool) -> None:
        self.real, self.left, self.error, self.after = real, at, error, after

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(**request: Any) -> object:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise self.error
            answer = getattr(self.real, name)(**request)
            if self.left == 0:
                raise self.error
            return answer

        return call


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slower"}}, "UpdateModelPackage")
LOST = ReadTimeoutError(endpoint_url="https://aws")


@pytest.mark.parametrize("words", [OUT, BACK, RECALL], ids=lambda words: words[0])
@pytest.mark.parametrize(("error", "after"), [(THROTTLED, False), (LOST, False), (LOST, True)])
def test_a_registry_that_fails_at_any_call_hears_the_whole_of_it_at_the_next_start(
    words: list[str],
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    after: bool,
) -> None:
    def begin() -> World:
        world = World(broken=words is OUT)
        if words is not OUT:
            assert run(world, OUT, monkeypatch) == 0
        return world

    whole, counted = begin(), Faulty(SageMaker(), 0, error, after=after)
    counted.real = whole.registry
    code = run(whole, words, monkeypatch, counted)
    assert -counted.left >= 1
    for number in range(1, -counted.left + 1):
        world = begin()
        assert run(world, words, monkeypatch, Faulty(world.registry, number, error, after=after)) == 1
        assert "start this again" in capsys.readouterr().out.splitlines()[-1]
        world.check()
        assert run(world, words, monkeypatch) == code
        assert world.end() == whole.end(), number


def test_a_version_that_was_taken_back_is_released_once_more_when_somebody_has_approved_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(broken=True)
    assert run(world, OUT, monkeypatch) == 1
    before = world.end()
    world.broken = False
    assert run(world, OUT, monkeypatch) == 1
    assert "--again" in capsys.readouterr().out.splitlines()[-1]
    assert run(world, [*OUT, "--again"], monkeypatch) == 1
    assert f"{PACKAGES}2 is Rejected" in capsys.readouterr().out
    assert world.end() == before

    world.registry.update_model_package(ModelPackageArn=f"{PACKAGES}2", ModelApprovalStatus="Approved")
    assert run(world, [*OUT, "--again"], monkeypatch) == 0
    assert world.image() == version(2).image
    assert world.registry.said("2").startswith("promoted ")


def test_a_server_that_says_when_is_asked_no_earlier_and_waits_grow_and_end() -> None:
    waited, now = list[float](), [0.0]

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    def once() -> None:
        raise BusyError("429", after=30.0 if not waited else 0.0)

    with pytest.raises(UnreachableError, match="no answer for 300 s, at last BusyError: 429"):
        Patience(clock=lambda: now[0], sleep=sleep).ask(once)
    assert waited[0] >= 30
    assert sum(waited) <= 300
    assert all(0.25 <= wait <= 20 for wait in waited[1:])
    assert len(waited) < 40
    assert len(set(waited)) == len(waited), "askers do not come back together"


def test_a_refusal_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(broken=False)
    world.fault, world.from_call, world.to_call = busy(403), 1, 10**9
    assert run(world, OUT, monkeypatch) == 1
    assert (world.calls, world.waited) == (1, [])
    assert "403" in capsys.readouterr().out
