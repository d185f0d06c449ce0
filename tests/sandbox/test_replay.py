"""What is said about a year: its promises are counted from what happened, and a broken one is named."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.load import Tally
from sandbox.loop.spec import Evaluation, LoopError
from sandbox.replay.chart import HEIGHT, WIDTH, Curve, chart
from sandbox.replay.learning import Decision
from sandbox.replay.months import BOARD, Month
from sandbox.replay.player import Chapter, Watched
from sandbox.replay.report import HEAD, Year, lines, page, rows
from sandbox.replay.show import months_of
from sandbox.replay.traffic import Asked
from sandbox.replay.watching import Seen, watched
from settings.check import load_file
from tests.settings.stacks import stack_file

DECISION = Decision(
    events=4,
    lost=0,
    why=("data: one object",),
    executions=("arn",),
    trainings=1,
    package=None,
    reason="auc 0.7 < 0.8",
    metric=0.7,
    challenge={},
)


def seen(auc: float, temperature: float) -> Seen:
    summary: dict[str, Any] = {"quality": {"auc": auc}, "raised": {"prediction": False}}
    violations = [{"feature_name": "temp", "kind": "data"}] if temperature > 0.2 else []
    return Seen(summary, violations, {"temp": temperature, "wind": 0.01, "answers": 0.05})


def chapter(arrived: int, serving: int, loop: float = 0.7, frozen: float = 0.6) -> Chapter:
    watched = Watched(arrived + 1, seen(loop, 0.1), seen(frozen, 3.0), Evaluation(100, frozen, 0.5, 0.6))
    asked = Asked(sent=1_000, versions=Counter({str(serving): 1_000}))
    return Chapter(arrived, DECISION, "promoted", asked, serving, watched)


YEAR = Year(
    [chapter(1, 1, 0.6, 0.6), chapter(2, 2), chapter(3, 2, 0.61, 0.62), replace(chapter(4, 2), watched=None)], "auc"
)


def test_only_months_in_which_another_version_served_are_held_against_the_frozen_model() -> None:
    assert YEAR.later() == [(0.7, 0.6), (0.61, 0.62)]
    assert YEAR.totals()["Months"] == "the loop is ahead of the frozen model in 1 of 2"
    assert YEAR.broken() == []


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        (replace(chapter(2, 2), decision=replace(DECISION, executions=())), "1 events were lost"),
        (replace(chapter(2, 2), decision=replace(DECISION, lost=2)), "2 events were lost"),
        (replace(chapter(2, 2), decision=replace(DECISION, trainings=3)), "2 trainings were doubled"),
        (replace(chapter(2, 2), asked=Asked(sent=9, failures=Counter({"reset": 2}))), "2 requests failed"),
        (replace(chapter(2, 2), decision=replace(DECISION, reason="")), "a decision has no reason"),
        (replace(chapter(2, 2), spoiled=True), "a version that truth found worse serves on"),
        (chapter(2, 2, 0.5, 0.6), "the frozen model is as good as the loop"),
    ],
)
def test_a_broken_promise_is_named(changed: Chapter, promise: str) -> None:
    assert Year([chapter(1, 1), changed], "auc").broken() == [promise]


def whole_year() -> list[Chapter]:
    """Twelve months that show all that a year has to."""
    bad = replace(chapter(7, 2), spoiled=True, recalled="version 3 taken back")
    return [chapter(1, 1), *(bad if month == 7 else chapter(month, 2) for month in range(2, 13))]


def undrifted(one: Chapter) -> Chapter:
    assert one.watched is not None
    return replace(one, watched=replace(one.watched, frozen=seen(0.6, 0.1)))


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        ([replace(one, serving=1) for one in whole_year()], "in a whole year no version took over"),
        (
            [replace(one, spoiled=False, recalled="") for one in whole_year()],
            "in a whole year no version was served wrongly and taken back",
        ),
        (
            [undrifted(one) for one in whole_year()],
            "in a whole year nobody found that the data of the frozen model drifted",
        ),
    ],
)
def test_a_whole_year_that_shows_nothing_keeps_no_promise(changed: list[Chapter], promise: str) -> None:
    assert Year(whole_year(), "auc").broken() == []
    assert Year(changed, "auc").broken() == [promise]
    assert Year(changed[:4], "auc").broken() == [], "a few months may be too few"
    assert "nan" not in "".join(Year(changed, "auc").totals().values())


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_a_year_is_watched_as_the_stack_file_says(name: str) -> None:
    (model,) = load_file(stack_file(name)).models
    assert model.drift is not None
    limits, uncompared = watched(model)
    assert limits["minimum-labels"] == model.drift.quality.minimum_labels
    assert (limits["answers-effect"], limits["runs"]) == (model.drift.prediction.effect, 1)
    assert uncompared == ("month",)
    with pytest.raises(LoopError, match=r"models\[flight-delay\].drift is null"):
        watched(model.model_copy(update={"drift": None}))


def test_every_month_has_a_row_and_its_reason_and_markup_in_it_stays_text() -> None:
    table = list(rows(YEAR))
    assert [row[0] for row in table] == ["Jan", "Feb", "Mar", "Apr"]
    assert {len(row) for row in table} == {len(HEAD)}
    assert lines(YEAR)[-1] == "April: data: one object; auc 0.7 < 0.8; promoted"
    written = page(YEAR)
    assert "auc 0.7 &lt; 0.8" in written
    assert written.count("<svg") == 2


def test_a_version_that_was_taken_back_is_in_the_table_the_totals_and_the_reasons() -> None:
    gone = replace(
        chapter(2, 1), spoiled=True, recalled="version 2 taken back, worse; the registry says of version 2: x"
    )
    year = Year([chapter(1, 1), gone, chapter(3, 3)], "auc")
    assert [row[3] for row in rows(year)] == ["promoted", "back", "promoted"]
    assert year.totals()["Taken back"] == "version 2 taken back, worse"
    assert YEAR.totals()["Taken back"] == "nothing"
    assert lines(year)[-2].endswith("promoted; version 2 taken back, worse; the registry says of version 2: x")
    assert year.broken() == []


def test_a_chart_holds_every_value_inside_its_frame_and_larger_ones_further_up() -> None:
    drawn = chart("a < b", ["x", "y", "z"], [Curve("one", [1.0, 3.0, 2.0]), Curve("two", [2.0, 2.0, 2.0])])
    assert "<h2>a &lt; b</h2>" in drawn
    curves = [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polyline points="([^"]+)"', drawn)
    ]
    assert [len(points) for points in curves] == [3, 3]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for points in curves for x, y in points)
    assert curves[0][0][1] > curves[0][2][1] > curves[0][1][1]


def test_requests_of_a_month_are_named_and_the_truth_has_the_same_names() -> None:
    month = Month(2, ("a,1\nb,2", "c,3"), ((1.0, 0.0), (1.0,)))
    assert b"Inference-Id: 2013-02-00001\r\n" in month.wires()[1]
    first, second = month.truth()
    assert second["eventMetadata"] == {"eventId": "2013-02-00001", "inferenceId": "2013-02-00001"}
    assert first["groundTruthData"] == {"data": "1\n0", "encoding": "CSV"}
    assert month.glances()[0].endswith(b"\r\n\r\na,1")
    labels, flights = month.flights()
    assert (labels.tolist(), flights) == ([1.0, 0.0, 1.0], ["a,1", "b,2", "c,3"])
    assert BOARD > 1
    early, rest = month.split(1)
    assert b"Inference-Id: 2013-02-00000\r\n" in early.wires()[0]
    assert rest.truth() == [second]


def test_only_requests_that_were_sent_can_fail() -> None:
    asked = Asked()
    asked.add(Tally(sent=5, unsent=2, failures=Counter({"late": 1})))
    assert (asked.sent, asked.failures.total()) == (5, 1)


@pytest.mark.parametrize("months", ["1,2", "3,2,1", "1,1,2", "0,1,2", "11,12,13", "a,b,c"])
def test_months_that_are_too_few_or_none_are_refused(months: str) -> None:
    with pytest.raises(LoopError, match="MONTHS="):
        months_of(months)


def test_without_names_all_months_are_played() -> None:
    assert (months_of(""), months_of("1,4,7")) == (list(range(1, 13)), [1, 4, 7])
