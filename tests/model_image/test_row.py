"""Two containers of the image on one instance, as a multi-container endpoint runs them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scoring import artifact, sagemaker
from scoring.contract import Feature, Schema
from scoring.predictor import Predictor
from tests.support.servers import NotStartedError, Server, serving, write_model

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.loop

SCORED = Schema("y", (Feature("score"),))
"""What a model needs to take another's answers: one number in each row."""
ROWS = b"0.3,0.9\n0.7,0.2\n0.1,0.1\n"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("row")
    write_model(folder / "first", 1)
    write_model(folder / "second", 2, SCORED)
    return folder


@pytest.fixture(scope="module")
def row(folder: Path) -> Generator[tuple[Server, Server]]:
    """Both servers, each on the port that SageMaker would give it."""
    ports = free_port(), free_port()
    with (
        serving(folder / "first", **{sagemaker.PORT: str(ports[0])}) as first,
        serving(folder / "second", **{sagemaker.PORT: str(ports[1])}) as second,
    ):
        assert (first.port, second.port) == ports
        yield first, second


def ask(server: Server, body: bytes, content_type: str = "text/csv") -> tuple[bytes, str]:
    status, headers, answer = server.request("POST", "/invocations", body, content_type=content_type)
    assert status == 200
    return answer, headers["content-type"]


def test_a_request_to_one_of_them_is_answered_by_its_model(row: tuple[Server, Server]) -> None:
    first, second = row
    assert len(ask(first, ROWS)[0].split()) == 3
    assert len(ask(second, b"0.5\n")[0].split()) == 1
    assert first.request("POST", "/invocations", b"0.5\n", content_type="text/csv")[0] == 400


def test_in_series_the_second_answers_to_what_the_first_has_answered(row: tuple[Server, Server], folder: Path) -> None:
    first, second = row
    between, content_type = ask(first, ROWS)
    answers = np.array(ask(second, between, content_type)[0].split(), np.float32)
    scores = np.array(between.split(), np.float32).reshape(-1, 1)
    expected = Predictor(artifact.read(folder / "second").model, SCORED).predict(scores)
    assert answers.tobytes() == expected.tobytes()


def test_two_on_the_same_port_do_not_start(row: tuple[Server, Server], folder: Path) -> None:
    with (
        pytest.raises(NotStartedError, match="exit code 3"),
        serving(folder / "second", **{sagemaker.PORT: str(row[0].port)}),
    ):
        raise AssertionError("it listens")
