"""What all tests of a real control plane share: one etcd, and clusters that start empty."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kube.admitted import Admitted, admit
from tests.kube.control_plane import Cluster, Etcd
from tests.kube.elastic import Elastic
from tests.support.recorded import STACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager


FOLDER = Path(__file__).parent
LONGEST = "test_rollouts"
"""Begins first, so that no worker is left alone with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a cluster together on one worker: the tests of a stack's objects, else those of a module."""
    ours = [item for item in items if item.path.parent == FOLDER]
    for item in ours:
        item.add_marker(pytest.mark.xdist_group(_cluster(item)))
    ours.sort(key=lambda item: item.path.stem != LONGEST)
    others = [item for item in items if item.path.parent != FOLDER]
    items[:] = [*others, *ours]


def _cluster(item: pytest.Item) -> str:
    called = getattr(item, "callspec", None)
    return str(called.params["admitted"]) if called and "admitted" in called.params else item.path.stem


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd(tmp_path_factory.mktemp("etcd")) as store:
        yield store


@pytest.fixture(scope="session")
def open_cluster(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[Cluster]]:
    """Starts an empty cluster: an API server, with the controllers that quotas and service accounts need."""

    @contextmanager
    def open_() -> Generator[Cluster]:
        with Cluster(tmp_path_factory.mktemp("cluster"), etcd) as cluster:
            cluster.start_controllers()
            yield cluster

    return open_


@pytest.fixture(scope="session", params=STACKS)
def admitted(
    request: pytest.FixtureRequest, open_cluster: Callable[[], AbstractContextManager[Cluster]]
) -> Iterator[Admitted]:
    """Each stack in turn, its objects created on a cluster of its own."""
    with open_cluster() as cluster:
        yield admit(request.param, cluster)


@pytest.fixture(scope="session")
def elastic_cluster(open_cluster: Callable[[], AbstractContextManager[Cluster]]) -> Iterator[Elastic]:
    """A cluster whose nodes come and go, without pools."""
    with open_cluster() as cluster:
        elastic = Elastic(cluster)
        elastic.start()
        yield elastic


@pytest.fixture
def elastic(elastic_cluster: Elastic) -> Iterator[Elastic]:
    """The same cluster, cleared after each test."""
    yield elastic_cluster
    elastic_cluster.clear()
