"""What prod's own autoscaler does, whatever it reads; `tests/kube/test_serving.py` asks the real controller."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from settings.check import load_file
from tests.reliability.measures.churn import place
from tests.settings.stacks import stack_file
from tests.support.autoscaler import SYNC_SECONDS, TOLERANCE, Autoscaler, Reading, asked_for
from tests.support.churn import Cluster, Day, Place, day, ideal_starts, late_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

PROD: Place = place(load_file(stack_file("prod")))
SPEC: dict[str, Any] = dict(PROD.autoscaler)
LEAST, MOST, TARGET = SPEC["minReplicas"], SPEC["maxReplicas"], PROD.target

USES = st.floats(0, 3)


@st.composite
def readings(draw: st.DrawFn, current: int) -> Reading | None:
    """Anything that may be known of so many pods."""
    ready, known = sorted((draw(st.integers(0, current)), draw(st.integers(0, current))))
    reading = Reading(use=draw(USES), ready=ready, unready=known - ready, missing=current - known)
    return draw(st.sampled_from([None, reading]))


@given(st.data())
def test_there_are_never_fewer_pods_than_the_least_nor_more_than_the_most_nor_faster_than_allowed(
    data: st.DataObject,
) -> None:
    scaler, current, past = Autoscaler(SPEC), data.draw(st.integers(LEAST, MOST)), list[int]()
    for look in range(data.draw(st.integers(1, 30))):
        past.append(current)
        wanted = scaler.decide(look * SYNC_SECONDS, current, data.draw(readings(current)))
        assert LEAST <= wanted <= MOST
        assert wanted <= max(2 * current, current + 4)
        assert wanted >= int(max(past[-4:]) * 0.75) or wanted >= current
        current = wanted


@given(st.integers(LEAST, MOST), st.lists(USES, max_size=30))
def test_without_metrics_no_pod_is_taken_away_or_added(current: int, before: list[float]) -> None:
    scaler, now = Autoscaler(SPEC), 0
    for use in before:
        current = scaler.decide(now, current, Reading(use=use, ready=current))
        now += SYNC_SECONDS
    assert [scaler.decide(now + look * SYNC_SECONDS, current, None) for look in range(100)] == [current] * 100


@given(st.integers(1, 100), USES, st.integers(1, 100))
def test_a_pod_without_metrics_never_makes_fewer_pods_than_one_that_uses_all_it_reserves(
    ready: int, use: float, missing: int
) -> None:
    current = ready + missing
    wanted = asked_for(current, Reading(use=use, ready=ready, missing=missing), TARGET)
    full = (use * ready + missing) / current
    assert wanted is not None
    assert wanted >= min(current, asked_for(current, Reading(use=full, ready=current), TARGET) or current)


@given(st.floats(0.3, 10), st.integers(0, 1000))
def test_noise_within_the_tolerance_never_takes_a_pod_away_and_adds_it_again(pods_worth: float, seed: int) -> None:
    draw, scaler, current, seen = random.Random(seed), Autoscaler(SPEC), LEAST, [LEAST]  # noqa: S311 - repeatable
    for look in range(400):
        noise = draw.uniform(-0.9 * TOLERANCE, 0.9 * TOLERANCE)
        use = TARGET * pods_worth * (1 + noise) / current
        current = scaler.decide(look * SYNC_SECONDS, current, Reading(use=use, ready=current))
        seen.append(current)
    steps = [after - before for before, after in itertools.pairwise(seen) if after != before]
    assert not any(down < 0 < up for down, up in itertools.pairwise(steps)), seen


def test_it_grows_as_the_controller_of_a_real_cluster_was_seen_to() -> None:
    scaler, current, seen = Autoscaler(SPEC), LEAST, list[int]()
    for look in range(4):
        current = scaler.decide(look * SYNC_SECONDS, current, Reading(use=2 * TARGET, ready=current))
        seen.append(current)
    assert seen == [6, 10, 10, 10]


def test_fewer_pods_wait_for_the_window_and_then_go_a_quarter_a_minute() -> None:
    scaler, current, seen = Autoscaler(SPEC), MOST, list[tuple[int, int]]()
    scaler.decide(-SYNC_SECONDS, current, Reading(use=TARGET, ready=current))
    for look in range(60):
        wanted = scaler.decide(look * SYNC_SECONDS, current, Reading(use=0, ready=current))
        if wanted != current:
            seen.append((look * SYNC_SECONDS, wanted))
        current = wanted
    window = SPEC["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    assert seen[0] == (window - SYNC_SECONDS, 7)
    assert [pods for _, pods in seen] == [7, 5, 3]
    assert all(after - before >= 60 for (before, _), (after, _) in itertools.pairwise(seen))


def lived(kind: str, asked: Callable[[float, bool], int], monkeypatch: pytest.MonkeyPatch) -> tuple[Day, Cluster]:
    """A day with an autoscaler that asks for pods by the time, and by whether it sees anything."""

    def decide(_self: Autoscaler, now: float, _current: int, reading: Reading | None) -> int:
        return asked(now, reading is None)

    monkeypatch.setattr(Autoscaler, "decide", decide)
    load, cluster = day(np.random.default_rng(1), kind, MOST), Cluster(PROD)
    cluster.live(load)
    return load, cluster


def test_an_autoscaler_that_never_rests_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load, cluster = lived("step", lambda now, _: LEAST + int(now / 900) % 2, monkeypatch)
    assert late_changes(load, cluster.story) > 0


def test_one_that_takes_silence_for_rest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cluster = lived("outage", lambda _, blind: LEAST if blind else MOST, monkeypatch)
    assert cluster.story.shrunk_blind > 0


def test_nodes_that_come_and_go_with_every_whim_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load, cluster = lived("step", lambda now, _: (LEAST, MOST)[int(now / 1800) % 2], monkeypatch)
    assert cluster.story.starts > 2 * ideal_starts(PROD, load)
