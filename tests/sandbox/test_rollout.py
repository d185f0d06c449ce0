"""What Envoy is told of a rollout, and what is read from servers; `tests/reliability` rolls out for real."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import Tally
from rollout.judgement import Observed
from rollout.plan import Phase, State
from sandbox.rollout.exposition import observed
from sandbox.rollout.routes import CHALLENGER, CHAMPION, EVERYONE, ROUTES, VARIANT_HEADER, Table, files
from sandbox.rollout.show import CONNECTIONS, NEW, OLD, Shown
from scoring.metrics import INFER, LATENCY_BUCKETS, Metrics
from scoring.predictions import BOUNDS, Predictions

ports = st.lists(st.integers(1, 65_535), max_size=6, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables whose two versions have ports of their own."""
    found, split = draw(ports), draw(st.integers(0, 6))
    return Table(champion=tuple(found[:split]), challenger=tuple(found[split:]), weight=draw(st.integers(0, 100)))


@given(tables())
def test_the_weights_of_a_version_add_up_to_its_share_exactly(table: Table) -> None:
    shares = table.shares()
    total, new = sum(shares.values()), sum(shares.get(port, 0) for port in table.challenger)

    assert shares.keys() <= {*table.champion, *table.challenger}
    assert all(share > 0 for share in shares.values())
    if table.champion and table.challenger:
        assert new * 100 == table.weight * total
    elif table.challenger:
        assert set(shares) == set(table.challenger)
    else:
        assert set(shares) == set(table.champion)


@given(tables())
def test_processes_of_one_version_have_the_same_weight(table: Table) -> None:
    shares = table.shares()

    for version in (table.champion, table.challenger):
        assert len({shares.get(port, 0) for port in version}) <= 1


def _route_clusters(table: Table) -> list[str]:
    (routes,) = files(table)[ROUTES]["resources"]
    return [route["route"]["cluster"] for route in routes["virtual_hosts"][0]["routes"]]


@given(tables())
def test_routes_are_written_after_the_processes_that_they_lead_to(table: Table) -> None:
    assert list(files(table)) == [EVERYONE, CHAMPION, CHALLENGER, ROUTES]


def test_callers_get_the_version_that_they_ask_for_by_header_or_cookie_and_the_old_one_otherwise() -> None:
    table = Table(champion=(1,), challenger=(2,), by_variant=True)
    (routes,) = files(table)[ROUTES]["resources"]
    asking = [route["match"].get("headers", []) for route in routes["virtual_hosts"][0]["routes"]]

    assert _route_clusters(table) == [CHALLENGER, CHALLENGER, CHAMPION]
    assert [headers[0]["name"] for headers in asking[:2]] == [VARIANT_HEADER, "cookie"]
    assert asking[2] == []


def test_a_shadow_gets_copies_and_no_weight() -> None:
    table = Table(champion=(1,), challenger=(2,), mirror=True)

    assert table.shares() == {1: 1}
    assert json.dumps(files(table)[ROUTES]).count('"request_mirror_policies": [{"cluster": "challenger"}]') == 1


def test_what_a_server_counts_is_read_back() -> None:
    metrics = Metrics()
    metrics.predictions = Predictions()
    metrics.predictions.watching(lambda _: np.array([0.03, 0.97], np.float32))(np.zeros((2, 1), np.float32))
    for route, status, seconds in (
        ("/invocations", 200, 0.0001),
        (INFER, 200, 0.003),
        (INFER, 500, 9.0),
        ("/invocations", 422, 0.003),
    ):
        metrics.answered(route, status, seconds)
    metrics.answered("/v2/models/{name}/ready", 200, 0.1)
    metrics.answered("/ping", 503, 0.1)
    found = observed(metrics.render().decode())

    assert (found.requests, found.errors) == (4, 1)
    assert len(found.latencies) == len(LATENCY_BUCKETS) + 1
    assert (found.latencies[0], found.latencies[-1], sum(found.latencies)) == (1, 1, 4)
    assert len(found.predictions) == len(BOUNDS) + 1
    assert [place for place, count in enumerate(found.predictions) if count] == [
        BOUNDS.index(0.05),
        BOUNDS.index(0.98),
    ]


def test_a_server_without_metrics_has_done_nothing() -> None:
    assert observed("") == Observed()


def ended(phase: Phase, step: int = 0) -> State:
    return State(phase, step, 0.0)


@pytest.mark.parametrize(
    ("what", "new", "failures", "told"),
    [
        (Shown("canary", "", ended(Phase.PROMOTED, 2)), 900, {}, []),
        (Shown("canary", "", ended(Phase.PROMOTED, 2)), 900, {"reset": 2}, ["2 of 1,000 requests failed: 2 by reset"]),
        (Shown("canary", "slow", ended(Phase.ROLLED_BACK)), 50 + CONNECTIONS, {"reset": 0}, []),
        (
            Shown("canary", "slow", ended(Phase.ROLLED_BACK)),
            51 + CONNECTIONS,
            {},
            ["version new answered 115 of 1,000 requests, more than its share of 5 %"],
        ),
        (Shown("canary", "slow", ended(Phase.ROLLED_BACK, 1)), 250, {}, []),
        (Shown("canary", "slow", ended(Phase.PROMOTED, 2)), 400, {}, ["version new is slow, and was promoted"]),
        (Shown("canary", "mixed", ended(Phase.PROMOTED, 2)), 400, {}, []),
        (Shown("rolling", "slow", ended(Phase.PROMOTED, 2)), 400, {}, []),
        (
            Shown("blue-green", "wrong", ended(Phase.ROLLED_BACK)),
            1,
            {"status 500": 3, "late": 1},
            [
                "4 of 1,000 requests failed: 3 by status 500, 1 by late",
                "version new answered 1 of 1,000 requests, more than its share of 0 %",
            ],
        ),
        (Shown("a-b", "slow"), 400, {}, []),
        (Shown("shadow", ""), 1, {}, ["version new answered 1 of 1,000 requests, more than its share of 0 %"]),
    ],
    ids=str,
)
def test_what_a_rollout_may_not_do_is_complained_of(
    what: Shown, new: int, failures: dict[str, int], told: list[str]
) -> None:
    tally = Tally(sent=1000, failures=Counter(failures))
    assert what.complaints({OLD: 1000 - new, NEW: new}, tally) == told
