"""Replacement of the model in a running server, under load and one at a time."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import signal
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost

from scoring import artifact, served
from scoring.admin import AdminApplication
from scoring.application import ModelApplication
from scoring.errors import UserError
from scoring.messages import Request, Response
from scoring.predictor import Predictor
from scoring.settings import ServerSettings
from scoring.swap import Swapper
from tests.support.servers import write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = [(float(100 * place), place % 4, float(place % 24)) for place in range(64)]


@pytest.fixture(scope="module")
def other(model: artifact.Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second model of the same schema, with fewer trees and so with other answers."""
    booster = xgboost.Booster(model_file=bytearray(model.model))
    provenance = artifact.Provenance(hyperparameters={}, seed=0, code_version=None, data={}, metrics={})
    directory = tmp_path_factory.mktemp("other") / "model"
    artifact.write(directory, bytes(booster[:6].save_raw("ubj")), model.schema, {}, provenance)
    return directory


@pytest.fixture(scope="module")
def damaged(other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose model file is not the one of its manifest."""
    directory = shutil.copytree(other, tmp_path_factory.mktemp("damaged") / "model")
    (directory / artifact.MODEL).write_bytes((directory / artifact.MODEL).read_bytes()[:-1])
    return directory


def oracle(directory: Path) -> tuple[str, list[bytes]]:
    """Give a version's name and the CSV answers of XGBoost itself for every row."""
    found = artifact.read(directory)
    answers = Predictor(found.model, found.schema).predict(np.array(ROWS, dtype=np.float32))
    return found.version, [b"%b\n" % repr(float(str(value))).encode() for value in answers]


@pytest.mark.loop
def test_sighup_serves_what_the_directory_holds_now_and_a_bad_one_changes_nothing(
    start: Callable[..., Any], trained: Any, other: Path, damaged: Path, tmp_path: Path
) -> None:
    link = tmp_path / "current"
    link.symlink_to(trained.base / "model")
    server = start(link)
    versions = [oracle(trained.base / "model")[0], oracle(other)[0]]

    def served_version() -> str:
        return json.loads(server.request("GET", "/version")[2])["model_version"]

    def point(target: Path) -> None:
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").rename(link)
        server.process.send_signal(signal.SIGHUP)

    assert served_version() == versions[0]
    point(other)
    deadline = time.monotonic() + 20
    while served_version() != versions[1] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert served_version() == versions[1]
    point(damaged)
    while b'{result="refused"} 1' not in server.request("GET", "/metrics")[2] and time.monotonic() < deadline + 20:
        time.sleep(0.05)
    assert b'{result="refused"} 1' in server.request("GET", "/metrics")[2]
    assert served_version() == versions[1]
    assert server.request("POST", "/invocations", b"1,AA,3", Content_Type="text/csv")[0] == 200


def test_a_request_is_answered_by_the_version_it_came_to_and_that_version_is_then_freed(
    trained: Any, other: Path
) -> None:
    settings, turns = ServerSettings(), list[Any]()
    application = ModelApplication(settings)
    old, new = (
        served.load(artifact.read(directory), settings, turns.append, application.metrics.predicted)
        for directory in (trained.base / "model", other)
    )
    answers: list[Response] = []
    ask = Request(b"POST", b"/invocations", b"text/csv", b"", b"1,AA,3", 0.0)
    application.use(old)
    application.handle(ask, answers.append)
    application.use(new)
    application.handle(ask, answers.append)
    gone, headers = weakref.ref(old), [old.header, new.header]
    del old
    assert not answers
    assert gone() is not None
    while turns:
        turns.pop(0)()
    assert [answer.headers for answer in answers] == headers
    assert answers[0].body != answers[1].body
    gc.collect()
    assert gone() is None


def ask_admin(
    swapper: Swapper, method: bytes, target: bytes, body: bytes = b"", media: bytes = b"application/json"
) -> tuple[int, dict[str, Any]]:
    answers: list[Response] = []

    async def ask() -> None:
        application = AdminApplication(swapper.application, swapper, "model")
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        application.handle(Request(method, target, media, b"", body, 0.0), answered.set_result)
        answers.append(await answered)

    asyncio.run(ask())
    return answers[0].status, json.loads(answers[0].body)


@pytest.fixture
def swapper(trained: Any) -> Swapper:
    settings = ServerSettings(model_dir=str(trained.base / "model"))
    application = ModelApplication(settings)
    found = artifact.read(settings.directory())
    application.use(served.load(found, settings, lambda turn: turn(), application.metrics.predicted))
    return Swapper(application, settings)


def test_a_model_without_a_feature_that_captures_must_not_have_does_not_take_over(trained: Any, tmp_path: Path) -> None:
    write_model(tmp_path / "model", 1)
    settings = ServerSettings(model_dir=str(trained.base / "model"), capture_drop="carrier")
    swapper = Swapper(ModelApplication(settings), settings)
    with pytest.raises(UserError, match="CAPTURE_DROP: the model has no feature 'carrier'"):
        asyncio.run(swapper.swap(tmp_path / "model"))
    assert swapper.application.metrics.swaps["refused"] == 1
    assert swapper.directory == trained.base / "model"


def test_the_operator_is_told_which_model_is_served_in_sagemakers_words(swapper: Swapper) -> None:
    status, found = ask_admin(swapper, b"GET", b"/models")
    (described,) = found["models"]
    assert (status, described["modelName"], described["modelUrl"]) == (200, "model", str(swapper.directory))
    assert ask_admin(swapper, b"GET", b"/models/model") == (200, described)


@pytest.mark.parametrize(
    ("request_parts", "status", "code"),
    [
        ((b"GET", b"/models/other"), 404, "not_found"),
        ((b"DELETE", b"/models/model"), 404, "not_found"),
        ((b"POST", b"/models/model", b"[]"), 400, "malformed_body"),
        ((b"POST", b"/models/model", b'{"url": "/x"}', b"text/plain"), 415, "unsupported_media_type"),
        ((b"POST", b"/models/model", b'{"url": ""}'), 400, "malformed_body"),
        ((b"POST", b"/models/model", b'{"url": "/x", "uri": "/x"}'), 400, "malformed_body"),
        ((b"POST", b"/models/model", b'{"url": "/nothing/here"}'), 422, "model_refused"),
    ],
)
def test_an_operators_mistake_has_a_code_and_changes_nothing(
    swapper: Swapper, request_parts: tuple[bytes, ...], status: int, code: str
) -> None:
    before = swapper.application.model()
    method, target, *body = request_parts
    found, answer = ask_admin(swapper, method, target, *body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert swapper.application.model() is before


def test_a_second_swap_at_the_same_time_is_refused(swapper: Swapper) -> None:
    swapper.busy = True
    assert ask_admin(swapper, b"POST", b"/models/model", b'{"url": "/x"}')[0] == 409
