"""One small training job, run once as SageMaker would run it, and a way to start the server on what it wrote."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scoring import artifact
from tests.support import servers
from tests.support.jobs import Job, prepare
from tests.support.servers import Server, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of its own for a test that changes it."""
    return prepare(tmp_path / "ml")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished job; read only."""
    done = prepare(tmp_path_factory.mktemp("trained"))
    code, errors = done.train()
    assert code == 0, errors
    return done


@pytest.fixture(scope="session")
def model(trained: Job) -> artifact.Artifact:
    """The model of the finished job."""
    return artifact.read(trained.base / "model")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Three models, one of them as SageMaker lays it out, and a damaged one; with the answers of the three."""
    folder = tmp_path_factory.mktemp("repository")
    places = {"one": folder / "one", "two": folder / "two", "three": folder / "three/model"}
    answers = {name: write_model(place, seed) for seed, (name, place) in enumerate(places.items())}
    shutil.copytree(folder / "one", folder / "damaged")
    (folder / "damaged" / artifact.MODEL).write_bytes(b"?")
    assert len(set(answers.values())) == len(answers)
    return folder, answers


@pytest.fixture(scope="session")
def start(trained: Job) -> Iterator[Callable[..., Server]]:
    """Start servers on the trained model; all are stopped at the end."""
    started: list[Server] = []

    def start_one(directory: Path | None = trained.base / "model", **settings: str) -> Server:
        started.append(servers.start(directory, **settings))
        return started[-1]

    yield start_one
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """A server that tests share; it never drains."""
    return start()
