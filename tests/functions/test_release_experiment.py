"""What the release step says of an A/B test in the cluster."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from release import __main__ as command
from release.experiment import NOTE, Question, lines
from release.prometheus import LATENCY, PREDICTIONS, REQUESTS, Metrics
from release.record import Record, ReleaseError, Version
from rollout.judgement import ROUTES
from rollout.plan import Phase, State
from scoring.metrics import LATENCY_BUCKETS
from scoring.predictions import BOUNDS
from tests.functions.test_release_faults import HERE, OUT, World, run

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD, NEW = (Version(image=f"r/m@sha256:{number:064x}", name=str(number)) for number in (1, 2))
RECORD = Record(wanted=NEW, previous=OLD, begun=1_000.0, state=State(Phase.STARTING, 0, 1_000.0))
QUESTION = Question(percent=30, above=0.5, slower_than=0.1)
NOW = 8_200.0
Counts = dict[str, dict[str, float]]


def counts(requests: float, late: float, errors: float = 0.0) -> Counts:
    """Of one version: its requests, and how many of its predictions are above a half."""
    return {
        REQUESTS: {"200": requests - errors, "500": errors},
        LATENCY: {"0.05": requests * 0.9, "0.1": requests * 0.99, "+Inf": requests},
        PREDICTIONS: {"0.25": (requests - late) / 2, "0.5": requests - late, "+Inf": requests},
    }


class Asked:
    """Prometheus with what it knows of each version."""

    def __init__(self, known: Mapping[str, Counts]) -> None:
        self.known, self.queries = known, list[tuple[str, float]]()

    def ask(self, query: str, when: float) -> list[dict[str, Any]]:
        self.queries.append((query, when))
        name = re.search(r'slipway_dev_version="(\w+)"', query)
        by = re.match(r"sum by \((\w+)\) \(increase\((\w+)\{", query)
        assert name is not None
        assert by is not None
        found = self.known.get(name[1], {}).get(by[2], {})
        return [{"metric": {by[1]: label}, "value": [when, str(count)]} for label, count in found.items()]


def said(asked: Asked, record: Record | None = RECORD, question: Question = QUESTION) -> list[str]:
    return list(lines(Metrics(ask=asked.ask, namespace="ns", model="m"), record, question, NOW))


DIFFERENT = {"1": counts(70_000, 7_000, 70), "2": counts(30_000, 3_600, 30)}


def test_errors_latency_and_predictions_are_compared_and_chance_is_told() -> None:
    told = said(Asked(DIFFERENT))
    assert told[0] == "1 (champion) and 2 (challenger), 2.0 hours until 1970-01-01T02:16+00:00"
    assert told[1] == "errors: 0.10% of 70000 (champion), 0.10% of 30000 (challenger)"
    assert told[3] == "  can be chance"
    assert told[4] == "slower than 0.1 s: 1.00% of 70000 (champion), 1.00% of 30000 (challenger)"
    assert told[7] == "predictions above 0.5: 10.00% of 70000 (champion), 12.00% of 30000 (challenger)"
    assert told[8].startswith("  difference +2.00% [+1.")
    assert told[9] == "  significant"
    assert told[10] == NOTE


def test_requests_count_by_whichever_protocol_they_came() -> None:
    asked = Asked(DIFFERENT)
    said(asked)
    counted = [query for query, _ in asked.queries if REQUESTS in query]
    assert len(counted) == 2, "one question for each version"
    assert all(f'route=~"{ROUTES}"' in query for query in counted)


def test_both_versions_are_asked_about_the_time_that_both_served() -> None:
    for record, window, end in (
        (RECORD, "[7200s]", NOW),
        (replace(RECORD, state=State(Phase.PROMOTED, 0, 4_600.0)), "[3600s]", 4_600.0),
    ):
        asked = Asked(DIFFERENT)
        said(asked, record)
        assert len(asked.queries) == 6
        assert {when for _, when in asked.queries} == {end}
        assert all(window in query and 'namespace="ns",slipway_dev_model="m"' in query for query, _ in asked.queries)


def test_another_split_than_the_one_asked_for_is_no_result() -> None:
    told = said(Asked(DIFFERENT), question=replace(QUESTION, percent=50))
    assert all("no result" in line for line in (told[3], told[6], told[9]))


@pytest.mark.parametrize(
    ("record", "known", "question", "message"),
    [
        (None, DIFFERENT, QUESTION, "no two versions to compare"),
        (replace(RECORD, previous=None), DIFFERENT, QUESTION, "no two versions to compare"),
        (RECORD, {"1": DIFFERENT["1"]}, QUESTION, "errors: nobody saw one of the two versions in this time"),
        (RECORD, DIFFERENT, replace(QUESTION, above=0.3), "0.3 is no bound of the buckets .*: 0.25, 0.5$"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    record: Record | None, known: Mapping[str, Counts], question: Question, message: str
) -> None:
    with pytest.raises(ReleaseError, match=message):
        said(Asked(known), record, question)


def test_a_prometheus_that_does_not_answer_is_told() -> None:
    class Away(Asked):
        def ask(self, query: str, when: float) -> list[dict[str, Any]]:
            raise ConnectionRefusedError(f"refused at {when:g}: {query}")

    with pytest.raises(ReleaseError, match="Prometheus does not answer: refused at 8200"):
        said(Away({}))


def test_servers_count_by_the_bounds_that_are_asked_for_by_default() -> None:
    options = command.parse(["experiment", *HERE, "--prometheus", "http://here", "--percent", "30"])
    assert options.above in BOUNDS
    assert options.slower_than in LATENCY_BUCKETS


def test_the_command_reads_the_deployment_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world, asked = World(broken=False), Asked(DIFFERENT)
    assert run(world, OUT, monkeypatch) == 0
    before = world.deployment["metadata"]["resourceVersion"]
    capsys.readouterr()

    def ask(_self: object, query: str, when: float) -> list[dict[str, Any]]:
        return asked.ask(query, when)

    monkeypatch.setattr(command.Prometheus, "ask", ask)
    words = ["experiment", *HERE, "--prometheus", "http://here", "--percent", "30"]
    assert run(world, words, monkeypatch) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 (champion) and 2 (challenger)")
    assert told.endswith(f"{NOTE}\n")
    assert world.deployment["metadata"]["resourceVersion"] == before
    asked.known = {}
    assert run(world, words, monkeypatch) == 1
    assert "nobody saw one of the two versions" in capsys.readouterr().out
