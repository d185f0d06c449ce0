"""Training data in LIBSVM's format."""

from __future__ import annotations

import hashlib
import json
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scoring import artifact, channels, features, libsvm
from scoring.__main__ import main
from scoring.contract import BINARY
from scoring.errors import UserError
from scoring.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read(folder: Path, *texts: str, label: str = "y") -> Any:
    files: list[Path] = []
    for place, text in enumerate(texts):
        files.append(folder / f"p{place}.libsvm")
        files[-1].write_text(text)
    return libsvm.read(channels.Channel("train", tuple(files), (), format=channels.Format.LIBSVM), label)


def test_rows_of_all_part_files_become_dense_with_missing_where_a_line_says_nothing(tmp_path: Path) -> None:
    table = read(tmp_path, "1 0:1.5 3:-2\n0 1:7 # a remark\n", "1 3:4e1\n")
    schema = features.infer_schema(table, "y")
    assert schema.names == ("f0", "f1", "f2", "f3")
    nan = np.nan
    expected = np.array([[1.5, nan, nan, -2], [nan, 7, nan, nan], [nan, nan, nan, 40]], np.float32)
    assert np.array_equal(features.matrix(table, schema), expected, equal_nan=True)
    assert Target("y", BINARY, 2).labels(table).tolist() == [1, 0, 1]
    assert [part.rows for part in table.parts] == [2, 1]
    assert table.parts[1].sha256 == hashlib.sha256(b"1 3:4e1\n").hexdigest()
    assert [table.where(row) for row in range(3)] == [
        "train/p0.libsvm line 1",
        "train/p0.libsvm line 2",
        "train/p1.libsvm line 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "channel 'train': no data rows"),
        ("1 0:1\n\n", "line 2: expected a label and features, found a blank line"),
        ("1 0:1\n0\n", "line 2: expected features as index:value after the label '0'"),
        ("1 0:1 qid:3\n", "line 1: expected index:value with an index from 0 to 9999, found 'qid:3'"),
        ("1 0:1 10000:3\n", "found '10000:3'"),
        ("1 -1:1\n", "found '-1:1'"),
        ("1 0:1 2:x\n", "line 1, column 'f2': 'x' is not a number"),
        ("1 0:1 2:\n", "line 1, column 'f2': '' is not a number"),
        ("1 0:1 0:2\n", "line 1, column 'f0': given twice"),
        ("1 0:1 ü\n", "line 1: not ASCII text"),
    ],
)
def test_a_line_that_is_not_of_the_format_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_labels_and_values_beyond_float32_are_refused_as_in_csv_with_file_line_and_column(tmp_path: Path) -> None:
    table = read(tmp_path, "1 0:1\n", "2 0:1\n0 0:1e39\n")
    with pytest.raises(UserError, match=r"train/p1\.libsvm line 1, column 'y': expected 0 or 1, found '2'"):
        Target("y", BINARY, 2).labels(table)
    with pytest.raises(UserError, match=r"train/p1\.libsvm line 2, column 'f0': '1e39' is beyond"):
        features.matrix(table, features.infer_schema(table, "y"))
    with pytest.raises(UserError, match="choose another"):
        read(tmp_path, "1 0:1\n", label="f0")


def test_a_table_gets_the_features_that_it_is_read_for(tmp_path: Path) -> None:
    table = read(tmp_path, "1 0:1.5 3:-2\n0 1:7\n")
    assert libsvm.features_of(table, "y") == ["f0", "f1", "f2", "f3"]
    wider = libsvm.fit(table, [f"f{index}" for index in range(6)], "y")
    assert [*wider.columns] == ["f0", "f1", "f2", "f3", "f4", "f5", "y"]
    assert wider.columns["f5"].texts == ("",)
    assert [*libsvm.fit(table, ["f1"], "y").columns] == ["f1", "y"]


@pytest.fixture
def stop_signal() -> Iterator[None]:
    """Training in this process installs a handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("stop_signal")
def test_equal_numbers_give_the_same_model_from_libsvm_and_from_csv(
    job: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(5)
    sizes = {"train": 300, "validation": 100}
    rows: dict[str, list[list[str]]] = {name: [] for name in sizes}
    for name, size in sizes.items():
        for _ in range(size):
            values = draw.random(4).round(3)
            shown = [str(value) if draw.random() < 0.8 else "" for value in values[:3]]
            shown.append("" if name == "validation" else str(values[3]))  # a feature that validation never gives
            rows[name].append([str(int(values[0] + values[1] > 1)), *(shown if any(shown) else ["0.5", *shown[1:]])])
    settings = {"label": "late", "num_round": "5", "max_depth": "3", "nthread": "1"}
    models: list[bytes] = []
    for kind, media in (("csv", "text/csv"), ("libsvm", "text/libsvm")):
        job.write_config(settings, {name: {"ContentType": media} for name in sizes})
        for name, lines in rows.items():
            folder = job.base / "input/data" / name
            for old in folder.iterdir():
                old.unlink()
            if kind == "csv":
                text = "late,f0,f1,f2,f3\n" + "".join(",".join(line) + "\n" for line in lines)
            else:
                sparse = ([y, *(f"{i}:{v}" for i, v in enumerate(cells) if v)] for y, *cells in lines)
                text = "".join(" ".join(line) + "\n" for line in sparse)
            (folder / f"part.{kind}").write_text(text)
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
        assert main(["train"]) == 0, capsys.readouterr().err
        models.append((job.base / "model" / artifact.MODEL).read_bytes())
        schema = json.loads((job.base / "model" / artifact.SCHEMA).read_text())
        assert [feature["name"] for feature in schema["features"]] == ["f0", "f1", "f2", "f3"]
    assert models[0] == models[1]


def test_a_job_mixes_no_formats_and_a_type_that_is_not_read_is_named(job: Any) -> None:
    def problems(train: str, validation: str) -> str:
        job.write_config({}, {"train": {"ContentType": train}, "validation": {"ContentType": validation}})
        with pytest.raises(UserError) as caught:
            channels.find(job.base / "input/config/inputdataconfig.json", job.base / "input/data")
        return str(caught.value)

    assert "all or none must be text/libsvm" in problems("text/libsvm", "text/csv")
    assert "channel 'train' holds no *.libsvm file" in problems("text/libsvm", "text/libsvm")
    allowed = "this image reads text/csv, text/libsvm and application/x-parquet"
    assert f"ContentType is 'image/png'; {allowed}" in problems("image/png", "text/csv")


@pytest.mark.usefixtures("stop_signal")
def test_a_feature_that_training_never_saw_is_left_out_and_named_in_the_log(
    job: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sparse = {"ContentType": "text/libsvm"}
    job.write_config({"label": "late", "num_round": "2", "nthread": "1"}, {"train": sparse, "validation": sparse})
    for name, text in (("train", "1 0:1 1:2\n0 0:2\n"), ("validation", "1 0:1 3:9\n0 0:2 1:1\n")):
        for old in (job.base / "input/data" / name).iterdir():
            old.unlink()
        (job.base / "input/data" / name / "part.libsvm").write_text(text * 20)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
    assert main(["train"]) == 0, capsys.readouterr().err
    assert "warning: channel 'validation' gives f2, f3, which no row of train has; they are not read" in (
        capsys.readouterr().out
    )
    schema = json.loads((job.base / "model" / artifact.SCHEMA).read_text())
    assert [feature["name"] for feature in schema["features"]] == ["f0", "f1"]
