"""Models of every kind through the whole pipeline, to an answer over HTTP: other objectives, formats, ways of data."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

from sandbox.console import Console
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.run import tear_down
from scoring import artifact
from settings.model import ModelSpec
from tests.loop import whole
from tests.loop.specs import loop_spec
from tests.loop.test_run import MODEL
from tests.support import boosters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from sandbox.loop.spec import LoopSpec
    from scoring.artifact import Artifact
    from tests.loop.whole import Served

    Trained = Callable[[ModelSpec], list[Served]]

pytestmark = pytest.mark.loop

CHAMPION: dict[str, object] = {
    "newestFiles": 1,
    "minimumGain": 0.0,
    "significance": 0.05,
    "slices": [],
    "sliceRows": 50,
    "sliceLoss": 0.0,
    "collapse": 1.0,
}
FEW, MANY = 60, 3000
KINDS = ("red", "green", "blue")


def model(name: str, label: str, *, metric: str, data: dict[str, Any], training: dict[str, Any], **told: Any) -> Any:
    base: Any = MODEL
    chosen = {**base["training"]["hyperparameters"], "max_depth": 4, "num_round": 30, "eta": 0.3, **told}
    return ModelSpec.model_validate(
        {
            **base,
            "name": name,
            "datasetPrefix": f"{name}/",
            "label": label,
            "data": {**base["data"], "smallestPart": 0.0, **data},
            "training": {**base["training"], **training, "hyperparameters": {**chosen, "early_stopping_rounds": 5}},
            "gate": {"metric": metric, "minimum": 0.1, "champion": CHAMPION},
        }
    )


CLASSES = model(
    "kinds",
    "kind",
    metric="accuracy",
    data={"format": "parquet"},
    training={"inputMode": "FastFile"},
    objective="multi:softprob",
    class_weight="balanced",
    grow_policy="lossguide",
    max_leaves=12,
    colsample_bynode=0.9,
)
NUMBERS = model(
    "prices",
    "price",
    metric="r2",
    data={"splitBy": ["shop"]},
    training={},
    objective="reg:squarederror",
    monotone_constraints={"size": 1, "age": -1},
    gamma=0.01,
    reg_alpha=0.1,
)
SPARSE = model(
    "words",
    "spam",
    metric="auc",
    data={"format": "libsvm", "validationShare": 0.4, "testShare": 0.6},
    training={"inputMode": "FastFile"},
    max_delta_step=0.7,
)
MODELS: tuple[ModelSpec, ...] = (CLASSES, NUMBERS, SPARSE)


def table(rows: int, seed: int) -> dict[str, NDArray[Any]]:
    """Columns that say something of a class, a price and a word, and more of them than one row needs."""
    draw = np.random.default_rng(seed)
    size, age, shop = draw.uniform(10, 200, rows).round(1), draw.integers(0, 50, rows), draw.integers(0, 40, rows)
    colour = draw.integers(0, 3, rows)
    noise = draw.normal(0, 1, rows)
    return {
        "kind": np.digitize(size / 100 + (colour == 1) + noise / 5, [0.7, 1.6]),
        "price": (3 * size - 2 * age + 40 * (colour == 2) + 20 * noise).round(2),
        "spam": (size / 100 + (colour == 0) - age / 50 + noise / 3 > 1).astype(int),
        "size": size,
        "age": age,
        "shop": shop,
        "colour": np.array(KINDS)[colour],
    }


def write(target: Path, label: str, rows: int, seed: int) -> None:
    """One file of a model's data, in the format that its name says; every ninth size is missing."""
    columns = table(rows, seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".libsvm":
        sparse = zip(columns[label], columns["size"], columns["age"], columns["colour"], strict=True)
        lines = [
            f"{y}{'' if at % 9 == 0 else f' 0:{size}'} 1:{age} {2 + KINDS.index(colour)}:1"
            for at, (y, size, age, colour) in enumerate(sparse)
        ]
        # A feature that one row of all has: in which channel it is depends on the row.
        target.write_text("\n".join([*lines, f"1 0:{seed} 1:3 6:1"]) + "\n")
        return
    names = [label, "size", "age", "shop", "colour"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    cells = zip(*(columns[name].tolist() for name in names), strict=True)
    writer.writerows([y, "" if at % 9 == 0 else size, *rest] for at, (y, size, *rest) in enumerate(cells))
    plain = target.with_suffix(".csv")
    plain.write_text(text.getvalue())
    if target.suffix == ".parquet":
        duckdb.sql(f"COPY (FROM '{plain}') TO '{target}'")
        plain.unlink()


def deliver(folder: Path, spec: ModelSpec, month: int, rows: int) -> None:
    """A month more of the model's data."""
    for number, use in enumerate(spec.data.delivered):
        write(folder / use / f"2025-{month:02}.{spec.data.format}", spec.label, rows, 100 * month + number)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LoopSpec]]:
    """One account for all of the models."""
    folder = tmp_path_factory.mktemp("kinds")
    python, source = Path(sys.executable), REPOSITORY / "model_image"
    yield {
        each.name: loop_spec(each, folder, python, source, tuple(other for other in MODELS if other is not each))
        for each in MODELS
    }
    tear_down(folder, Console(io.StringIO()))


@pytest.fixture(scope="module")
def trained(specs: dict[str, LoopSpec], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two versions of a model: of one month with few rows, and of that and one with many."""
    done: dict[str, list[Served]] = {}

    def versions(spec: ModelSpec) -> list[Served]:
        if spec.name not in done:
            folder = tmp_path_factory.mktemp(spec.name)
            found: list[Served] = []
            for month, rows in ((1, FEW), (2, MANY)):
                deliver(folder, spec, month, rows)
                found.append(whole.run(specs[spec.name], folder))
            done[spec.name] = found
        return done[spec.name]

    return versions


@pytest.fixture(params=MODELS, ids=[each.name for each in MODELS])
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return request.param


def rows_of(served: Artifact, rows: int = 200) -> tuple[bytes, NDArray[np.float32]]:
    """Rows that no model has seen: as CSV in the order of the model's features, and as the model sees them."""
    columns = table(rows, 7)
    named: dict[str, list[str]] = {name: [str(cell) for cell in cells] for name, cells in columns.items()}
    named |= {"f0": named["size"], "f1": named["age"]}
    named |= {f"f{2 + at}": ["1" if cell == kind else "" for cell in named["colour"]] for at, kind in enumerate(KINDS)}
    cells = [named.get(feature.name, [""] * rows) for feature in served.schema.features]
    codes = [{text: str(at) for at, text in enumerate(feature.categories)} for feature in served.schema.features]
    coded = [[known.get(cell, cell) or "nan" for cell in each] for known, each in zip(codes, cells, strict=True)]
    text = "".join(",".join(row) + "\n" for row in zip(*cells, strict=True))
    return text.encode(), np.array(coded, dtype=np.float64).T.astype(np.float32)


def test_a_model_is_checked_trained_judged_registered_and_answers(spec: ModelSpec, trained: Trained) -> None:
    first, second = trained(spec)
    for number, served in enumerate((first, second), start=1):
        assert served.package.version == number
        assert served.steps[:3] == ("Process", "Train", "Evaluate")
        assert served.evaluation["evaluated_channel"] == "test"
        assert float(served.package.properties[f"evaluation/{spec.gate.metric}"]) > spec.gate.minimum
    model = artifact.read(second.model_dir)
    text, rows = rows_of(model)
    answers = np.array(second.ask(text), dtype=np.float32)
    assert answers.tobytes() == boosters.predicted(model.model, model.schema, rows).tobytes()
    properties = second.package.properties
    assert first.package.properties["champion/outcome"] == "first"
    assert properties["champion/outcome"] == "better"
    assert float(properties["champion/difference"]) > 0


def test_the_training_read_its_channels_in_the_mode_and_format_of_the_settings(
    spec: ModelSpec, trained: Trained
) -> None:
    _, served = trained(spec)
    types = {"csv": "text/csv", "parquet": "application/x-parquet", "libsvm": "text/libsvm"}
    channels = served.training["InputDataConfig"]
    found = {each["ChannelName"]: (each["InputMode"], each["ContentType"]) for each in channels}
    assert found == dict.fromkeys(("train", "validation"), (spec.training.input_mode, types[spec.data.format]))
    assert {*served.read("test")} == {f"2025-{month:02}.{spec.data.format}" for month in (1, 2)}


def test_several_classes_answer_with_a_probability_for_each(trained: Trained) -> None:
    _, served = trained(CLASSES)
    answers = np.array(served.ask(b"150,3,1,green\n20,3,1,red\n"))
    assert answers.shape == (2, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)
    assert answers.argmax(axis=1).tolist() == [2, 0]


def test_a_number_keeps_the_directions_that_the_settings_ask_for(trained: Trained) -> None:
    _, served = trained(NUMBERS)
    sizes = "".join(f"{size},20,3,red\n" for size in range(10, 200, 5))
    ages = "".join(f"90,{age},3,red\n" for age in range(50))
    for rows, direction in ((sizes, 1), (ages, -1)):
        answers: NDArray[np.float64] = np.array(served.ask(rows.encode()), dtype=np.float64)
        steps = direction * (answers[1:] - answers[:-1])
        assert steps.min() >= 0 < steps.max()


def test_rows_that_share_the_value_of_a_named_column_are_on_one_side(
    trained: Trained,
) -> None:
    _, served = trained(NUMBERS)

    def shops(channel: str) -> set[str]:
        texts = (content.decode() for content in served.read(channel).values())
        return {row["shop"] for text in texts for row in csv.DictReader(io.StringIO(text))}

    assert shops("validation")
    assert shops("test")
    assert not shops("validation") & shops("test")


def test_held_out_rows_stay_where_they_are_when_more_data_come(trained: Trained) -> None:
    """Of one delivered folder come three channels, by the shares of the settings; new features move no row."""
    first, second = trained(SPARSE)
    rows = {name: second.read(name) for name in ("train", "validation", "test")}
    for name, files in rows.items():
        assert first.read(name)["2025-01.libsvm"] == files["2025-01.libsvm"]
    count = {name: files["2025-02.libsvm"].count(b"\n") for name, files in rows.items()}
    assert sum(count.values()) == MANY + 1
    assert count["train"] / MANY == pytest.approx(0.6, abs=0.04)
    assert count["test"] / MANY == pytest.approx(0.4 * 0.6, abs=0.04)
    told = json.loads((second.model_dir / "manifest.json").read_text())["provenance"]["data"]
    assert {name: each["rows"] for name, each in told.items()} == {
        name: sum(text.count(b"\n") for text in rows[name].values()) for name in ("train", "validation")
    }


def test_a_class_that_is_announced_and_one_that_is_counted_are_the_same_model(
    specs: dict[str, LoopSpec], trained: Trained, tmp_path: Path
) -> None:
    """Other settings are another training job; the champion of the one can be challenged by the other."""
    told = CLASSES.training.hyperparameters.model_copy(update={"num_class": 3})
    announced = CLASSES.model_copy(update={"training": CLASSES.training.model_copy(update={"hyperparameters": told})})
    _, before = trained(CLASSES)
    for month, rows in ((1, FEW), (2, MANY)):
        deliver(tmp_path, announced, month, rows)
    spec = specs[CLASSES.name]
    other = loop_spec(announced, spec.state_dir, spec.image_python, spec.image_source, (NUMBERS, SPARSE))
    after = whole.run(other, tmp_path)
    assert after.package.version == before.package.version, "an equal model is no better, and no version"
    assert after.steps[:3] == ("Process", "Train", "Evaluate")
