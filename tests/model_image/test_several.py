"""Several models in one process: SageMaker's multi-model contract, the repository API, the memory budget."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring import artifact, trial
from scoring.capture import Capture
from scoring.errors import ArtifactError, UserError
from scoring.hosting import Hosting
from scoring.messages import Request, Response
from scoring.settings import ServerSettings
from scoring.several import SeveralModels

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GROWN = 100_000
ROW = b"0.3,0.9"
SERVER = ServerSettings(max_body_bytes=1000, max_queued_bytes=4000, max_rows=100)


def captured(settings: ServerSettings) -> Capture:
    """Everything, as the settings say."""
    return Capture(
        Path(settings.capture_dir),
        percent=100,
        drop=settings.not_captured(),
        max_queued_bytes=10**6,
        max_file_bytes=10**6,
        max_file_s=60,
        max_disk_bytes=10**6,
    )


class Bench:
    """A server of several models without a connection, and without child processes."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        wanted = {"models_memory_bytes": 10**9, "models_dir": str(folder)} | changes
        limits = {"max_body_bytes": 1000, "max_queued_bytes": 4000, "max_rows": 100}
        self.folder = folder
        self.settings = ServerSettings(**limits, **wanted)  # pyright: ignore[reportArgumentType] # tests give right ones
        self.turns: list[Callable[[], None]] = []
        self.hold = False
        self.capture = captured(self.settings) if self.settings.capture_dir else None
        self.hosting = Hosting(self.settings, self._schedule, capture=self.capture)
        self.server = SeveralModels(self.settings, self.hosting)
        self.server.prepared = True

    def _schedule(self, turn: Callable[[], None]) -> None:
        if self.hold:
            self.turns.append(turn)
        else:
            asyncio.get_running_loop().call_soon(turn)

    def send(self, line: str, body: bytes = b"", media: bytes = b"application/json") -> asyncio.Future[Response]:
        method, target = line.split(" ", 1)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        request = Request(method.encode(), target.encode(), media, b"", body, 0.0)

        def respond(response: Response) -> None:
            future.set_result(response)
            self.server.answered(request.target, response.status, 0.001)

        self.server.handle(request, respond)
        return future

    async def ask(self, line: str, body: object = None, media: bytes = b"application/json") -> tuple[int, Any]:
        """Give status and body, JSON read."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        response = await self.send(line, data, media)
        return response.status, json.loads(response.body) if response.content_type == b"application/json" else (
            response.body.decode()
        )

    async def load(self, name: str, folder: str = "") -> int:
        place = self.folder / (folder or name)
        return (await self.ask("POST /models", {"model_name": name, "url": str(place)}))[0]

    async def invoke(self, name: str) -> tuple[int, Any]:
        status, answer = await self.ask(f"POST /models/{name}/invoke", ROW, b"text/csv")
        return status, answer.strip() if status == 200 else answer["error"]["code"]

    async def loaded(self) -> list[str]:
        return [model["modelName"] for model in (await self.ask("GET /models"))[1]["models"]]


@pytest.fixture
def bench(
    repository: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Bench], Awaitable[None]]], None]:
    """Run a scenario against a new server; what the trial process would measure is a constant."""

    async def run(_directory: Path, _digest: str, _timeout_s: float) -> int:
        return GROWN

    monkeypatch.setattr(trial, "run", run)

    def play(scenario: Callable[[Bench], Awaitable[None]], **changes: Any) -> None:
        async def main() -> None:
            await scenario(Bench(repository[0], **changes))

        asyncio.run(main())

    return play


CHARGE = GROWN + SERVER.max_queued_bytes
"""What one model takes of the budget."""


def test_models_are_loaded_listed_asked_and_unloaded_as_sagemakers_contract_says(bench: Any, repository: Any) -> None:
    answers = repository[1]

    async def scenario(server: Bench) -> None:
        assert await server.ask("GET /models") == (200, {"models": []})
        assert (await server.ask("GET /ping"))[0] == 200
        assert await server.invoke("one") == (404, "model_not_loaded")
        assert await server.load("one") == 200
        assert await server.load("x y/%", "three/model") == 200
        assert await server.load("one", "two") == 409
        assert await server.loaded() == ["one", "x y/%"]
        status, described = await server.ask("GET /models/x%20y%2F%25")
        assert (status, described["modelName"]) == (200, "x y/%")
        assert described["modelUrl"] == str(server.folder / "three/model")
        assert await server.invoke("one") == (200, answers["one"])
        assert await server.invoke("%6Fne") == (200, answers["one"])  # the same name, written otherwise
        found = await server.ask("POST /models/x%20y%2F%25/invoke?q=1", ROW, b"text/csv")
        assert found == (200, answers["three"] + "\n")
        assert (await server.ask("DELETE /models/one"))[0] == 200
        assert (await server.ask("DELETE /models/one"))[0] == 404
        assert (await server.ask("GET /models/one"))[0] == 404
        assert await server.invoke("one") == (404, "model_not_loaded")
        assert await server.load("one", "two") == 200
        assert await server.invoke("one") == (200, answers["two"])

    bench(scenario)


def test_a_model_that_is_refused_harms_no_other_and_the_index_says_why(bench: Any, repository: Any) -> None:
    async def scenario(server: Bench) -> None:
        assert await server.load("one") == 200
        assert await server.load("damaged") == 422
        assert await server.load("absent") == 422
        assert await server.load("root", "..") == 422
        assert await server.invoke("one") == (200, repository[1]["one"])
        assert await server.loaded() == ["one"]
        index = {entry["name"]: entry for entry in (await server.ask("POST /v2/repository/index"))[1]}
        assert index.keys() == {"one", "two", "three", "damaged"}
        assert index["one"]["state"] == "READY"
        assert "manifest.json says" in index["damaged"]["reason"]
        assert index["two"] == {"name": "two", "state": "UNAVAILABLE", "reason": "not loaded"}
        assert [e["name"] for e in (await server.ask("POST /v2/repository/index", {"ready": True}))[1]] == ["one"]

    bench(scenario)


def test_a_full_budget_lets_the_least_recently_used_idle_model_go_and_never_a_busy_one(bench: Any) -> None:
    async def scenario(server: Bench) -> None:
        assert [await server.load(name) for name in ("one", "two")] == [200, 200]
        await server.invoke("one")
        assert await server.load("three", "three/model") == 200
        assert await server.loaded() == ["one", "three"]
        server.hold = True
        waiting = [server.send(f"POST /models/{name}/invoke", ROW, b"text/csv") for name in ("one", "three")]
        status, problem = await server.ask("POST /models", {"model_name": "two", "url": str(server.folder / "two")})
        assert (status, problem["error"]["code"]) == (507, "no_memory_for_model")
        assert f" bytes, 0 of {2 * CHARGE} are free" in problem["error"]["message"]
        server.turns.pop(0)()
        assert (await waiting[0]).status == 200
        assert await server.load("two") == 200
        assert await server.loaded() == ["three", "two"]
        server.turns.pop(0)()
        assert (await waiting[1]).status == 200
        text = (await server.ask("GET /metrics"))[1]
        assert 'slipway_model_events_total{event="evicted"} 2\n' in text
        assert f'slipway_model_charged_bytes{{model="two"}} {CHARGE}\n' in text

    bench(scenario, models_memory_bytes=2 * CHARGE)


def test_where_sagemaker_unloads_a_full_budget_is_507_and_nothing_goes(bench: Any) -> None:
    async def scenario(server: Bench) -> None:
        assert [await server.load(name) for name in ("one", "two")] == [200, 507]
        assert (await server.ask("DELETE /models/one"))[0] == 200
        assert await server.load("two") == 200

    found = ServerSettings.load({"SAGEMAKER_MULTI_MODEL": "true", "SLIPWAY_MODELS_MEMORY_BYTES": "7"})
    bench(scenario, models_memory_bytes=2 * CHARGE - 1, models_full=found.models_full)
    with pytest.raises(UserError, match="set SLIPWAY_MODELS_MEMORY_BYTES too"):
        ServerSettings.load({"SAGEMAKER_MULTI_MODEL": "true"})


def test_a_model_larger_than_the_budget_evicts_nobody_in_vain(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Bench) -> None:
        assert await server.load("one") == 200

        async def larger(*_: object) -> int:
            return 3 * CHARGE

        monkeypatch.setattr(trial, "run", larger)
        assert await server.load("two") == 507
        assert await server.loaded() == ["one"]

    bench(scenario, models_memory_bytes=2 * CHARGE)


def test_the_repository_loads_again_what_changed_and_answers_that_wait_are_of_the_version_they_came_to(
    bench: Any, repository: Any, tmp_path: Path
) -> None:
    source, answers = repository
    shutil.copytree(source / "one", tmp_path / "m")

    async def scenario(server: Bench) -> None:
        assert (await server.ask("POST /v2/repository/models/m/load"))[0] == 200
        server.hold = True
        waiting = server.send("POST /models/m/invoke", ROW, b"text/csv")
        shutil.rmtree(tmp_path / "m")
        shutil.copytree(source / "two", tmp_path / "m")
        assert (await server.ask("POST /v2/repository/models/m/load"))[0] == 200
        server.hold = False
        server.turns.pop()()
        assert (await waiting).body.decode().strip() == answers["one"]
        assert await server.invoke("m") == (200, answers["two"])
        (tmp_path / "m" / artifact.MODEL).write_bytes(b"?")
        assert (await server.ask("POST /v2/repository/models/m/load"))[0] == 422
        assert await server.invoke("m") == (200, answers["two"])
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.3, 0.9]}]}
        status, found = await server.ask("POST /v2/models/m/infer", body)
        assert (status, found["model_name"]) == (200, "m")
        assert str(found["outputs"][0]["data"][0]) == answers["two"]
        assert (await server.ask("POST /v2/repository/models/m/unload"))[0] == 200
        assert (await server.ask("POST /v2/repository/models/m/unload"))[0] == 404
        assert (await server.ask("GET /v2/models/m/ready"))[0] == 404
        assert (await server.ask("POST /v2/repository/models/..%2Fm/load"))[0] == 404

    bench(scenario, models_dir=str(tmp_path))


def test_each_model_has_limits_and_metrics_of_its_own(bench: Any) -> None:
    async def scenario(server: Bench) -> None:
        line = "POST /v2/repository/models/{}/load"
        small = {"parameters": {"max_queued_bytes": 800, "max_batch_rows": 2}}
        assert (await server.ask(line.format("one"), small))[0] == 200
        assert (await server.ask(line.format("two")))[0] == 200
        assert server.hosting.charged_bytes == 2 * GROWN + 800 + 4000
        many = b"\n".join([ROW] * 60)
        server.hold = True
        waiting = [server.send(f"POST /models/{name}/invoke", many, b"text/csv") for name in ("one", "one", "two")]
        assert waiting[1].done()
        assert waiting[1].result().status == 503
        assert not waiting[2].done()
        server.hold = False
        while server.turns:
            server.turns.pop()()
        await asyncio.gather(*waiting)
        text = (await server.ask("GET /metrics"))[1]
        route = 'route="/models/{name}/invoke"'
        assert f'slipway_requests_total{{model="one",{route},code="503"}} 1\n' in text
        assert f'slipway_requests_total{{model="two",{route},code="200"}} 1\n' in text
        assert 'slipway_batch_rows_bucket{model="one",le="2"} 30\n' in text
        assert 'slipway_batch_rows_sum{model="two"} 60.0\n' in text
        families = [part.split()[0] for part in text.split("# TYPE ")[1:]]
        assert len(families) == len(set(families))
        for wrong in ({"max_batch_rows": 0}, {"max_queued_bytes": 799}, {"max_queued_bytes": 4001}):
            assert (await server.ask(line.format("three"), {"parameters": wrong}))[0] == 400
        for strange in ({"max_rows": 1}, {"max_batch_rows": True}, [1]):
            assert (await server.ask(line.format("three"), {"parameters": strange}))[0] == 400

    bench(scenario)


def test_a_name_that_is_being_loaded_is_neither_loaded_twice_nor_unloaded(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Bench) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def slow(*_: object) -> int:
            begun.set()
            await gate.wait()
            raise ArtifactError("it died")

        assert await server.load("one") == 200
        monkeypatch.setattr(trial, "run", slow)
        again = asyncio.ensure_future(server.ask("POST /v2/repository/models/one/load"))
        await begun.wait()
        two = server.send("POST /models", json.dumps({"model_name": "two", "url": str(server.folder / "two")}).encode())
        await asyncio.sleep(0)
        assert server.hosting.loading == {"one", "two"}
        assert await server.load("two") == 409
        assert (await server.ask("DELETE /models/one"))[0] == 409
        assert (await server.invoke("one"))[0] == 200
        assert (await server.ask("POST /v2/repository/index"))[1][-1]["state"] == "LOADING"
        gate.set()
        assert (await again)[0] == 422
        assert (await two).status == 422
        assert await server.loaded() == ["one"]

    bench(scenario)


def test_a_draining_server_is_not_ready_answers_on_and_loads_nothing(bench: Any) -> None:
    async def scenario(server: Bench) -> None:
        assert await server.load("one") == 200
        server.server.drain()
        found = [(await server.ask(f"GET {path}"))[0] for path in ("/ping", "/v2/health/ready", "/v2/models/one/ready")]
        assert found == [503, 503, 503]
        assert (await server.invoke("one"))[0] == 200
        assert await server.load("two") == 503

    bench(scenario)


Segment = st.sampled_from(
    ["models", "v2", "repository", "one", "index", "load", "unload", "invoke", "infer", "health", "live", "%", "ping"]
) | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6)
Body = st.sampled_from([b"", b"{}", b'{"model_name":"q","url":"/"}', b'{"parameters":3}', b"[]"]) | st.binary(
    max_size=9
)


@given(st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]), st.lists(Segment, max_size=5), Body)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_request_is_answered_once_and_never_by_a_server_error(
    bench: Any, method: str, parts: list[str], body: bytes
) -> None:
    async def scenario(server: Bench) -> None:
        response = await server.send(f"{method} /{'/'.join(parts)}", body)
        assert 200 <= response.status < 500
        assert server.server.metrics.in_flight == 0

    bench(scenario)


class Clients:
    """Ask two models without pause, and note every answer that is not the model's own."""

    def __init__(self, port: int, answers: dict[str, str]) -> None:
        self.port = port
        self.answers = {name: answers[name] for name in ("one", "two")}
        self.counts = dict.fromkeys(self.answers, 0)
        self.failures: list[bytes] = []
        self.stopped = False

    async def ask_on(self, name: str) -> None:
        """Use one connection until told to stop."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST /models/{name}/invoke HTTP/1.1\r\nHost: h\r\nContent-Type: text/csv\r\nContent-Length: "
        while not self.stopped:
            writer.write(f"{head}{len(ROW)}\r\n\r\n".encode() + ROW)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(size)
            self.counts[name] += 1
            if body.decode().strip() != self.answers[name]:
                self.failures.append(answer + body)
            await asyncio.sleep(0.002)  # the trial processes run at a low priority, and shall end in time
        writer.close()

    async def operate(self, requests: list[tuple[str, bytes]]) -> list[int]:
        """Send requests one after another beside the load; give their statuses."""
        statuses: list[int] = []
        for line, body in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            media = "text/csv" if body == ROW else "application/json"
            head = f"{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: {media}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            statuses.append(int((await reader.read())[9:12]))
            writer.close()
        self.stopped = True
        return statuses


def test_captures_of_all_models_share_one_writer_and_say_which_model_and_version_answered(
    bench: Any, tmp_path: Path
) -> None:
    async def scenario(server: Bench) -> None:
        assert server.hosting.captured_by_mistake() == [], "nobody knows yet"
        for name in ("one", "two"):
            assert await server.load(name) == 200
        assert await server.load("x y/%", "three/model") == 200
        for name in ("one", "x%20y%2F%25", "two"):
            assert (await server.invoke(name))[0] == 200
        assert (await server.ask("POST /models/one/invoke", b"?", b"text/csv"))[0] == 400
        server.hosting.unload("two")
        listed = (await server.ask("GET /models"))[1]["models"]
        assert server.capture is not None
        server.capture.close()
        metrics = (await server.ask("GET /metrics"))[1]
        assert 'slipway_captured_total{result="written"} 3\n' in metrics
        assert metrics.count("\nslipway_capture_waiting_bytes ") == 1, "for all models"
        assert server.hosting.captured_by_mistake() == ["c"]
        versions.update({each["modelName"]: each["model_version"] for each in listed})

    versions: dict[str, str] = {}
    bench(scenario, capture_dir=str(tmp_path), capture_drop="b,c")
    (file,) = tmp_path.rglob("*.jsonl")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    said = [record["eventMetadata"]["customAttributes"] for record in records]
    assert [attributes[1] for attributes in said] == ["model_name=one", "model_name=x y/%", "model_name=two"]
    assert said[0][0] == f"model_version={versions['one']}"
    assert said[1][0] == f"model_version={versions['x y/%']}"
    assert said[0][0] != said[1][0]
    assert {record["captureData"]["endpointInput"]["data"] for record in records} == {"0.3,\n"}, "b is left out"


@pytest.mark.loop
def test_a_server_of_several_models_captures_and_ends_its_file(
    start: Callable[..., Any], repository: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder = repository[0]
    limits = {"SLIPWAY_MODELS_MEMORY_BYTES": str(10**9), "SLIPWAY_DRAIN_S": "0"}
    server = start(None, SLIPWAY_MODELS_DIR=str(folder), SLIPWAY_CAPTURE_DIR=str(tmp_path), **limits)
    body = json.dumps({"model_name": "one", "url": str(folder / "one")}).encode()
    assert server.request("POST", "/models", body, Content_Type="application/json")[0] == 200
    assert server.request("POST", "/models/one/invoke", ROW, Content_Type="text/csv")[0] == 200
    assert server.stop() == 0
    (file,) = tmp_path.rglob("*.jsonl*")
    assert file.suffix == ".jsonl"
    (record,) = [json.loads(line)["eventMetadata"] for line in file.read_text().splitlines()]
    assert record["customAttributes"][1:] == ["model_name=one"]


@pytest.mark.loop
def test_under_load_models_come_and_go_and_no_request_for_another_model_fails(
    start: Callable[..., Any], repository: tuple[Path, dict[str, str]]
) -> None:
    folder, answers = repository
    limits = {"SLIPWAY_MODELS_MEMORY_BYTES": str(10**9), "SLIPWAY_DRAIN_S": "0"}
    server = start(None, SLIPWAY_MODELS_DIR=str(folder), SLIPWAY_MODELS_AT_START="one,damaged,two", **limits)
    clients = Clients(server.port, answers)
    place = json.dumps({"model_name": "three", "url": str(folder / "three/model")}).encode()
    requests = [
        ("POST /models", place),
        ("POST /v2/repository/models/damaged/load", b"{}"),
        ("POST /v2/repository/models/two/load", b"{}"),
        ("POST /models/three/invoke", ROW),
        ("DELETE /models/three", b""),
    ]

    async def main() -> list[int]:
        load = [asyncio.create_task(clients.ask_on(name)) for name in clients.counts for _ in range(4)]
        statuses = await clients.operate(requests * 2)
        await asyncio.gather(*load)
        return statuses

    assert asyncio.run(asyncio.wait_for(main(), 60)) == [200, 422, 200, 200, 200] * 2
    assert clients.failures == []
    assert min(clients.counts.values()) > 500
    text = server.request("GET", "/metrics")[2].decode()
    for event, count in {"loaded": 6, "refused": 3, "unloaded": 2, "evicted": 0}.items():
        assert f'slipway_model_events_total{{event="{event}"}} {count}\n' in text
    for name in clients.counts:  # no other code than 200 was ever answered by these
        assert text.count(f'slipway_requests_total{{model="{name}"') == 1
    charged = int(text.partition('slipway_model_charged_bytes{model="one"} ')[2].split()[0])
    assert 0 < charged - ServerSettings().max_queued_bytes < 10**8
    assert server.stop() == 0


def test_settings_of_one_model_are_refused_beside_those_of_several() -> None:
    with pytest.raises(UserError) as caught:
        ServerSettings(models_memory_bytes=1, model_dir="/m", admin_port=0, models_full="x")
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "SLIPWAY_MODELS_FULL",
        "SLIPWAY_MODEL_DIR",
        "SLIPWAY_ADMIN_PORT",
    ]
