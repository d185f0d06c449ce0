"""What all tests of a real control plane share: one etcd, and clusters that start empty."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kube.admitted import Admitted, admit
from tests.kube.control_plane import Cluster, Etcd
from tests.kube.elastic import Elastic
from tests.support.recorded import STACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager


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
