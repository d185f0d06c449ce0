"""Winter, then summer: the loop's promises, with everything real but the account."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.console import Console
from sandbox.loop.processes import REPOSITORY
from sandbox.replay.player import ENOUGH_CAPTURED
from sandbox.replay.show import show
from tests.loop.specs import loop_spec
from tests.loop.test_end_to_end import local_model

if TYPE_CHECKING:
    from sandbox.replay.report import Year
    from sandbox.replay.watching import Seen

pytestmark = pytest.mark.loop


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    folder = tmp_path_factory.mktemp("year")
    spec = loop_spec(local_model(), folder, Path(sys.executable), REPOSITORY / "model_image")
    return show(Console(io.StringIO()), spec, (1, 7, 8, 9), folder / "year")


def test_no_event_is_lost_no_training_doubled_and_no_request_fails(year: Year) -> None:
    assert (year.lost, year.doubled, year.failed) == (0, 0, 0)
    assert [len(chapter.decision.executions) for chapter in year.chapters] == [1, 1, 1, 1]
    objects, request, early = 2 * 4, 1, 1
    kinds = [set(raised(chapter.watched.served)) for chapter in year.chapters if chapter.watched]
    alarms = [kind for raised_in_month in kinds for kind in raised_in_month]
    early -= "quality" in kinds[2]
    assert year.events == 2 * (objects + request + early + len(alarms)), "each is delivered twice"


def test_a_drift_alarm_is_among_the_reasons_of_the_next_training(year: Year) -> None:
    first, second, third, _ = year.chapters
    assert "the first model, of January (make loop)" in "".join(first.decision.why)
    assert "slipway-local-flight-delay-drift-data" in "".join(second.decision.why)
    assert "train/2013-08.csv" in "".join(third.decision.why)


def raised(seen: Seen) -> list[str]:
    return [kind for kind, alarm in seen.summary["raised"].items() if alarm]


def test_callers_ask_all_the_time(year: Year) -> None:
    assert year.requests > 2_500


def test_a_model_of_winter_is_called_drifted_in_summer_by_the_weather(year: Year) -> None:
    july, august, _ = year.watched
    for seen in (july.served, july.frozen, august.frozen):
        assert seen.summary["raised"]["data"]
        assert {"temp", "dewp"} <= set(seen.moved)
        assert not {"carrier", "origin", "distance"} & set(seen.moved)
    assert august.served.distances["temp"] < august.frozen.distances["temp"] / 2


def test_what_the_loop_trained_takes_over_and_beats_the_frozen_model(year: Year) -> None:
    assert [chapter.rollout for chapter in year.chapters[:2]] == ["serves", "promoted"]
    assert year.chapters[1].asked.versions.keys() == {"1", "2"}
    (loop, frozen), *_ = year.later()
    assert loop > frozen + 0.01


def test_a_version_that_the_truth_finds_worse_goes_back_and_the_registry_says_which_one_served_when(year: Year) -> None:
    august = year.chapters[2]
    assert (august.rollout, august.spoiled, august.serving) == ("promoted", True, 2)
    assert august.recalled.startswith("version 3 taken back, worse than its evaluation in 1 looks with ")
    assert "the registry says of version 3: rolled-back sha256:" in august.recalled
    assert "; of 2: promoted sha256:" in august.recalled
    assert "again in place of 3, followed by 3 at 2013-08-31T23:00:00+00:00" in august.recalled
    assert august.asked.versions.keys() == {"2", "3"}
    assert "slipway-local-flight-delay-drift-quality" in "".join(year.chapters[3].decision.why)


def test_the_quality_that_the_drift_job_joined_is_that_of_asking_the_version_itself(year: Year) -> None:
    july = year.watched[0]
    assert july.served.summary["labels"] >= ENOUGH_CAPTURED * july.frozen_quality.rows
    assert july.served.summary["quality"]["auc"] == pytest.approx(july.frozen_quality.auc, abs=2e-3)
