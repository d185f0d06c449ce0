"""The drift job: quiet on data like the training data at the rate it was asked for, loud on data that moved."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from processing.__main__ import main
from processing.captures import Captures, Window, read_truth
from processing.shifts import Memory, chance, jensen_shannon, kolmogorov, remember
from scoring import headers, reference
from scoring.capture import Capture
from scoring.codec import Decoder
from scoring.contract import Feature, Kind, Schema
from scoring.drift import Bins
from scoring.messages import Request, Response
from scoring.predictor import Predictor
from tests.support.jobs import flights

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.artifact import Artifact
    from tests.support.jobs import Job

NOW = datetime(2026, 7, 15, 12, 30, tzinfo=UTC)
ROWS, RUNS, FALSE_ALARMS = 1_500, 400, 0.05
roomy = partial(Capture, percent=100, max_queued_bytes=10**9, max_file_bytes=10**6, max_disk_bytes=10**9, max_file_s=60)


def weather(draw: np.random.Generator, count: int, month: int) -> NDArray[np.float32]:
    """Temperature, rain, and a categorical wind direction of one month, like a shop's or an airline's customers see."""
    warm = 12 - 14 * np.cos(2 * np.pi * (month - 0.5) / 12)
    rain = np.maximum(draw.normal(0, 1, count), 0)
    rain[draw.random(count) < 0.1] = np.nan
    return np.stack([draw.normal(warm, 5, count), rain, draw.geometric(0.3, count) % 8], axis=1).astype(np.float32)


SCHEMA = Schema("y", (Feature("temp"), Feature("rain"), Feature("wind", Kind.CATEGORICAL, tuple("abcdefgh"))))


def indices(draw: np.random.Generator, month: int) -> list[tuple[float, float]]:
    """Index and limit of every feature of a month against a model of January."""
    known = reference.describe(weather(draw, 20_000, 1), SCHEMA)
    found: list[tuple[float, float]] = []
    for place, feature in enumerate(SCHEMA.features):
        described: Any = known[feature.name]
        bins = Bins(described)
        bins.count(weather(draw, ROWS, month)[:, place])
        found.append((bins.index, chance(bins.expected, bins.counts, FALSE_ALARMS / SCHEMA.width)))
    return found


def test_captures_like_the_training_data_are_called_drifted_at_most_as_often_as_was_asked_for() -> None:
    draw = np.random.default_rng(23)
    alarms = sum(any(index > limit for index, limit in indices(draw, 1)) for _ in range(RUNS))
    three_deviations = 3 * np.sqrt(RUNS * FALSE_ALARMS)
    assert RUNS * FALSE_ALARMS / 5 < alarms < RUNS * FALSE_ALARMS + three_deviations


def test_a_model_of_winter_in_summer_is_called_drifted_by_the_temperature_alone() -> None:
    (temperature, limit), *others = indices(np.random.default_rng(7), 7)
    assert temperature > 1.0 > limit
    assert all(index < bound for index, bound in others)


@pytest.mark.parametrize(
    ("expected", "actual", "shannon", "distance"),
    [
        ([10, 10, 0], [1, 1, 0], 0.0, 0.0),
        ([10, 0, 0], [0, 0, 5], 1.0, 1.0),
        ([1, 1, 0], [0, 1, 1], np.sqrt(0.5), 0.5),
    ],
)
def test_distances_are_0_for_equal_shares_and_1_for_disjoint_ones(
    expected: list[float], actual: list[float], shannon: float, distance: float
) -> None:
    both = np.array(expected, dtype=float), np.array(actual, dtype=float)
    assert jensen_shannon(*both) == pytest.approx(shannon)
    assert kolmogorov(*both) == pytest.approx(distance)


@pytest.mark.parametrize(
    ("scores", "raised"),
    [
        ([1.5], [False]),
        ([1.5, 1.5], [False, True]),
        ([1.5, 0.5, 1.5], [False, False, False]),
        ([1.5, None, 1.5], [False, False, True]),
        ([1.5, 1.5, 0.9, 0.9, 0.9], [False, True, True, True, True]),
        ([1.5, 1.5, 0.7, 0.9, 0.7, 0.7], [False, True, True, True, True, False]),
        ([None] * 3, [False] * 3),
    ],
)
def test_an_alarm_takes_two_runs_to_rise_and_two_clearly_lower_ones_to_end(
    scores: list[float | None], raised: list[bool]
) -> None:
    memory, found = Memory(), list[bool]()
    for score in scores:
        memory = Memory.of(remember(memory, score, runs=2, clear_below=0.8).to_json())
        found.append(memory.raised)
    assert found == raised


class Place:
    """A job's folder, filled by the server's own capture."""

    def __init__(self, folder: Path, trained: Job, model: Artifact) -> None:
        self.base = folder / "processing"
        self._predict = Predictor(model.model, model.schema).predict
        self._decoder, self._schema = Decoder(model.schema, 10_000), model.schema
        shutil.copytree(trained.base / "model", self.base / "input/model")

    def capture(self, rows: list[list[str]], version: str = "1", at: datetime = NOW, name: str = "caller") -> None:
        """Ask about rows, one a request, as `name-<place>`."""
        capture = roomy(self.base / "input/captures/eks/main", clock=at.timestamp)
        for place, row in enumerate(rows):
            line = io.StringIO()
            csv.writer(line, lineterminator="").writerow(row)
            body = line.getvalue().encode()
            values = np.frombuffer(self._decoder.csv(body).data, np.float32).reshape(1, -1)
            answer = Response(200, b"%.9g\n" % self._predict(values)[0], b"text/csv")
            said = {headers.INFERENCE_ID: f"{name}-{place}".encode()}
            request = Request(b"POST", b"/invocations", b"text/csv", b"", body, 0.0, headers=said)
            while capture.written + capture.dropped < place - 500:
                pass
            capture.offer(request, answer, version, self._schema.names)
        capture.close(30)
        assert capture.dropped == 0

    def tell(self, labels: list[str], at: datetime = NOW, name: str = "caller") -> None:
        """Give the truth about `name-<place>`."""
        path = self.base / f"input/truth/{at:%Y/%m/%d/%H}/labels.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for place, label in enumerate(labels):
                known = {"data": label, "encoding": "CSV"}
                event = {"eventId": "e", "inferenceId": f"{name}-{place}"}
                file.write(json.dumps({"groundTruthData": known, "eventMetadata": event, "eventVersion": "0"}) + "\n")

    def run(self, monkeypatch: pytest.MonkeyPatch, **changes: str) -> dict[str, Any]:
        """Run the job; what it says of the window, with its violations and features."""
        arguments = {
            "window-hours": "24",
            "minimum-rows": "500",
            "minimum-labels": "500",
            "false-alarms": "0.01",
            "effect": "0.1",
            "answers-effect": "0.1",
            "missing-gain": "0.2",
            "metric": "auc",
            "drop": "0.1",
            "runs": "1",
            "clear-below": "0.8",
            "environment": "test",
            "model": "toy",
            "now": NOW.isoformat(),
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(self.base.parent))
        code = main(["drift", *(word for name, value in arguments.items() for word in (f"--{name}", value))])
        assert code == 0, (self.base.parent / "output/message").read_text()
        found = {
            name: json.loads((self.base / f"output/report/{name}.json").read_text())
            for name in ("drift", "constraint_violations", "statistics")
        }
        return found["drift"] | found["constraint_violations"] | found["statistics"]


@pytest.fixture
def place(tmp_path: Path, trained: Job, model: Artifact) -> Place:
    return Place(tmp_path, trained, model)


def rows_of(count: int, seed: int) -> tuple[list[list[str]], list[str]]:
    """Rows like those of the training, and their labels."""
    rows = list(csv.reader(io.StringIO(flights(count, seed))))[1:]
    return [row[:-1] for row in rows], [row[-1] for row in rows]


def test_nothing_is_found_where_nothing_moved_and_the_quality_is_that_of_the_joined_truth(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, labels = rows_of(900, 11)
    place.capture(rows)
    place.tell(labels)
    found = place.run(monkeypatch)

    assert found["violations"] == []
    assert found["raised"] == {"data": False, "prediction": False, "quality": False}
    assert (found["rows"], found["labels"]) == (900, 900)
    assert 0.55 < found["quality"]["auc"] < 0.8
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} <= line.keys()
    assert (line["Environment"], line["Model"], line["data-raised"]) == ("test", "toy", 0.0)


def test_moved_features_missing_values_and_wrong_answers_are_each_found_as_what_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, labels = rows_of(900, 12)
    place.capture([["", "unknown", str(int(row[2]) % 6)] for row in rows])
    place.tell(["0" if label == "1" else "1" for label in labels])
    found = place.run(monkeypatch)

    checks = {(one["kind"], one["feature_name"], one["constraint_check_type"]) for one in found["violations"]}
    assert {
        ("data", "distance", "completeness_check"),
        ("data", "carrier", "completeness_check"),
        ("data", "hour", "baseline_drift_check"),
        ("prediction", "answers", "baseline_drift_check"),
        ("quality", "auc", "LessThanThreshold"),
    } <= checks
    assert found["raised"] == {"data": True, "prediction": True, "quality": True}
    assert {each["name"] for each in found["features"]} == {"distance", "carrier", "hour", "answers"}


def test_too_few_rows_and_labels_say_nothing_and_keep_what_was_remembered(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = place.base / "input/memory/memory.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"data": {"raised": True, "streak": 0}}))
    rows, labels = rows_of(100, 13)
    place.capture([["", *row[1:]] for row in rows])
    place.tell(labels)
    found = place.run(monkeypatch)

    assert found["scores"] == {"data": None, "prediction": None, "quality": None}
    assert found["raised"] == {"data": True, "prediction": False, "quality": False}
    assert json.loads((place.base / "output/memory/memory.json").read_text())["data"] == {"raised": True, "streak": 0}


def test_only_captures_of_the_window_and_of_the_version_are_compared_and_broken_ones_are_counted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = rows_of(30, 14)
    place.capture(rows)
    place.capture(rows[:7], version="2")
    place.capture(rows, at=NOW - timedelta(hours=24))
    newest = max((place.base / "input/captures").rglob("2026/07/15/12/*.jsonl"))
    with newest.open("a") as file:
        file.write('{"captureData": {}}\nno JSON\n')
    found = place.run(monkeypatch, model_version="1")

    assert found["records"] == {"read": 30, "of another version": 7, "malformed": 2}
    assert sum(found["answered"].values()) == 37
    assert sorted(found["answered"].values()) == [7, 30]
    assert found["rows"] == 30


def test_captures_of_an_endpoint_are_told_apart_by_the_folder_of_the_version_that_captured_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker's own records name no version; what a caller says in its attributes decides nothing."""
    captured = place.base / "input/captures"
    rows, _ = rows_of(20, 14)
    for version, asked in (("6", rows[:12]), ("7", rows)):
        place.capture(asked)
        (file,) = (captured / "eks/main").rglob("*.jsonl")
        moved = captured / f"version-{version}/slipway-test-toy/main" / file.relative_to(captured / "eks/main")
        moved.parent.mkdir(parents=True)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line["eventMetadata"]["customAttributes"] = ["model_version=6"]
        moved.write_text("".join(json.dumps(line) + "\n" for line in lines))
        file.unlink()
    found = place.run(monkeypatch, model_version="7")

    assert found["records"] == {"read": 20, "of another version": 12}


def test_a_caller_of_pods_cannot_say_which_version_answered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = rows_of(5, 14)
    place.capture(rows, version="8")
    (file,) = (place.base / "input/captures").rglob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line["eventMetadata"]["customAttributes"].append("model_version=7")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert place.run(monkeypatch, model_version="7")["records"] == {"of another version": 5}


def test_many_records_that_break_the_schema_are_a_finding_of_their_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = rows_of(600, 15)
    place.capture(rows)
    file = next((place.base / "input/captures").rglob("*.jsonl"))
    with file.open("a") as lines:
        lines.write("no JSON\n" * 20)
    found = place.run(monkeypatch)
    assert [one["constraint_check_type"] for one in found["violations"]] == ["data_type_check"]


def test_limits_that_everything_would_exceed_are_refused_all_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match=r"(?s)--missing-gain is 0\.0.*--runs is 0"):
        place.run(monkeypatch, missing_gain="0", runs="0")


def tensor(name: str, kind: str, value: object) -> dict[str, object]:
    """A tensor of the Open Inference Protocol for one row."""
    return {"name": name, "shape": [1], "datatype": kind, "data": [value]}


TENSORS = json.dumps(
    {"inputs": [tensor("x", "FP32", 1.5), tensor("carrier", "BYTES", "AA"), tensor("hour", "FP32", 3)]}
)


@pytest.mark.parametrize(
    ("body", "answer", "answers"),
    [
        (b'{"instances": [["1.5", "AA", 3], [null, "dd", 4]]}', b'{"predictions":[0.25,0.5]}', None),
        (b'{"instances": [[1.5, "AA", 3], [null, "zz", 4]]}', b'{"predictions":[0.25,0.5]}', [0.25, 0.5]),
        (b'{"instances": [[1.5, "AA", 3]]}', b'{"predictions":[[0.25,0.75]]}', [[0.25, 0.75]]),
        (b'{"instances": [[1.5, "AA", 3]]}', b'{"predictions":[0.25,0.5]}', None),
        (b'{"inputs": []}', b'{"outputs":[]}', None),
        (
            TENSORS.encode(),
            b'{"outputs":[{"name":"predictions","shape":[1],"datatype":"FP32","data":[0.25]}]}',
            [0.25],
        ),
    ],
)
def test_json_is_read_as_the_server_reads_it_and_what_does_not_fit_is_counted(
    tmp_path: Path, body: bytes, answer: bytes, answers: list[Any] | None
) -> None:
    schema = Schema("y", (Feature("x"), Feature("carrier", Kind.CATEGORICAL, ("AA", "BB")), Feature("hour")))
    capture = roomy(tmp_path)
    request = Request(b"POST", b"/invocations", b"application/json", b"", body, 0.0)
    capture.offer(request, Response(200, answer), "1", schema.names)
    capture.close()
    read = Captures(schema, "")
    found = list(read.records(list(tmp_path.rglob("*.jsonl"))))
    assert dict(read.outcomes) == {"malformed" if answers is None else "read": 1}
    assert [record.answers.tolist() for record in found] == ([] if answers is None else [answers])
    assert all(record.rows[0].tolist() == [1.5, 0.0, 3.0] for record in found)


def test_binary_bodies_are_counted_and_break_no_schema(tmp_path: Path) -> None:
    schema = Schema("y", (Feature("x"),))
    capture = roomy(tmp_path)
    request = Request(b"POST", b"/invocations", b"application/x-npy", b"", b"\x93NUMPY", 0.0)
    capture.offer(request, Response(200, b"\x93NUMPY", b"application/x-npy"), "1", schema.names)
    capture.close()
    read = Captures(schema, "")
    assert list(read.records(list(tmp_path.rglob("*.jsonl")))) == []
    assert read.outcomes == {"binary": 1}


def test_a_metric_of_which_less_is_better_is_refused_with_those_that_there_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match="has auc, accuracy"):
        place.run(monkeypatch, metric="log_loss")


def test_a_window_has_the_hour_that_has_begun_and_those_before_it(tmp_path: Path) -> None:
    hours = ["2026/07/14/12", "2026/07/14/13", "2026/07/15/12", "2026/07/15/13", "2026/99/15/12", "x"]
    for hour in hours:
        (tmp_path / "a/b" / hour).mkdir(parents=True)
        (tmp_path / "a/b" / hour / "one.jsonl").touch()
    found = Window.before(NOW, 24).files(tmp_path)
    assert [path.relative_to(tmp_path / "a/b").parent.as_posix() for path in found] == [
        "2026/07/14/13",
        "2026/07/15/12",
    ]


def test_the_newest_truth_counts_and_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    record = '{{"groundTruthData": {{"data": "{0}"}}, "eventMetadata": {{"inferenceId": "a"}}}}\n'
    path = tmp_path / "truth.jsonl"
    path.write_text(record.format("0") + "?\n" + record.format("1\\n0"))
    assert read_truth([path]) == ({"a": [1.0, 0.0]}, 1)
