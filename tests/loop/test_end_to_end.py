"""The real data, the real model image, the real server: what the platform promises about them."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml

from sandbox.console import Console
from sandbox.loop.evaluate import auc, log_loss
from sandbox.loop.flights import CODES, FEATURES, LABEL
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.run import bring_up, tear_down
from sandbox.loop.spec import LoopPaths, LoopReport, LoopSpec
from scoring import artifact
from scoring.forest import FEW
from settings.model import ModelSpec
from tests.loop.specs import loop_spec
from tests.support import boosters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from scoring.contract import Schema

    Ask = Callable[[http.client.HTTPConnection, list[list[str]]], list[float]]

pytestmark = pytest.mark.loop


def local_model() -> ModelSpec:
    document = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
    return ModelSpec.model_validate_json(json.dumps(document["config"]["slipway:models"][0]))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopSpec]:
    folder = tmp_path_factory.mktemp("loop")
    yield loop_spec(local_model(), folder, Path(sys.executable), REPOSITORY / "model_image")
    tear_down(folder, Console(io.StringIO()))


@pytest.fixture(scope="module")
def january(spec: LoopSpec) -> LoopReport:
    return bring_up(replace(spec, training_months=(1,)), Console(io.StringIO()))


@pytest.fixture(scope="module")
def june(spec: LoopSpec, january: LoopReport) -> LoopReport:
    assert january.model_version == 1
    return bring_up(spec, Console(io.StringIO()))


@pytest.fixture(scope="module")
def regression(spec: LoopSpec, june: LoopReport) -> tuple[float, float]:
    """AUC and log loss on the held-out month of a logistic regression on the same rows and columns."""
    assert june.model_version == 2
    data = LoopPaths.of(spec.state_dir).data
    train, holdout = (read(data, *uses) for uses in (("train", "validation"), ("holdout",)))
    model = logistic_regression()
    model.fit(train[list(FEATURES)], train[LABEL])
    answers: NDArray[np.float64] = model.predict_proba(holdout[list(FEATURES)])[:, 1]
    labels = holdout[LABEL].to_numpy(dtype=np.float64)
    return auc(labels, answers), log_loss(labels, answers)


def read(data: Path, *uses: str) -> Any:
    pandas: Any = import_module("pandas")
    return pandas.concat([pandas.read_csv(path) for use in uses for path in sorted((data / use).glob("*.csv"))])


def logistic_regression() -> Any:
    """Codes one-hot, numbers imputed and scaled: what one would try first."""
    compose, impute, linear, pipeline, prepare = (
        import_module(f"sklearn.{name}") for name in ("compose", "impute", "linear_model", "pipeline", "preprocessing")
    )
    numbers = [name for name in FEATURES if name not in CODES]
    columns = compose.ColumnTransformer(
        [
            ("codes", prepare.OneHotEncoder(handle_unknown="ignore"), list(CODES)),
            ("numbers", pipeline.make_pipeline(impute.SimpleImputer(), prepare.StandardScaler()), numbers),
        ]
    )
    return pipeline.make_pipeline(columns, linear.LogisticRegression(max_iter=1000))


def test_the_served_model_beats_the_base_rate_and_a_logistic_regression_on_the_month_it_has_not_seen(
    june: LoopReport, january: LoopReport, regression: tuple[float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    found = june.holdout
    with capsys.disabled():
        print(f"\n{'July 2013':24} {'AUC':>7} {'log loss':>9}")  # noqa: T201 - the figures are what one runs this for
        for name, area, loss in (
            ("base rate", 0.5, found.base_rate_log_loss),
            ("January only, served", january.holdout.auc, january.holdout.log_loss),
            ("logistic regression", *regression),
            ("served model", found.auc, found.log_loss),
        ):
            print(f"{name:24} {area:7.4f} {loss:9.4f}")  # noqa: T201 - as above

    assert found.rows > 28_000
    assert found.auc > regression[0] > 0.5
    assert found.log_loss < regression[1] < found.base_rate_log_loss


def encoded(schema: Schema, rows: list[list[str]]) -> NDArray[np.float32]:
    """Write cells as the model sees them, without the image's own reader; an unknown code counts as missing."""
    codes = [{code: float(place) for place, code in enumerate(each.categories)} for each in schema.features]
    return np.array(
        [
            [known.get(cell, np.nan) if known else float(cell or "nan") for known, cell in zip(codes, row, strict=True)]
            for row in rows
        ],
        dtype=np.float32,
    )


def csv_answers(connection: http.client.HTTPConnection, rows: list[list[str]]) -> list[float]:
    answer = post(connection, "\n".join(map(",".join, rows)).encode(), "text/csv")
    return [float(line) for line in answer.split()]


def json_answers(connection: http.client.HTTPConnection, rows: list[list[str]]) -> list[float]:
    instances = [
        [(cell if name in CODES else float(cell)) if cell else None for name, cell in zip(FEATURES, row, strict=True)]
        for row in rows
    ]
    answer = post(connection, json.dumps({"instances": instances}).encode(), "application/json")
    return json.loads(answer)["predictions"]


def post(connection: http.client.HTTPConnection, body: bytes, media: str) -> bytes:
    connection.request("POST", "/invocations", body, {"Content-Type": media})
    answer = connection.getresponse()
    assert answer.status == http.client.OK
    return answer.read()


@pytest.mark.parametrize("ask", [csv_answers, json_answers])
@pytest.mark.parametrize("at_a_time", [FEW, 2000], ids=["walked", "by XGBoost"])
def test_every_answer_about_july_is_xgboosts_own_to_the_bit(
    spec: LoopSpec, june: LoopReport, ask: Ask, at_a_time: int
) -> None:
    paths = LoopPaths.of(spec.state_dir)
    (folder,) = (each for each in paths.versions(june.model).glob(f"{june.model_version}-*") if each.is_dir())
    served = artifact.read(folder)
    (month,) = paths.data.glob("holdout/*.csv")
    rows = [line.split(",")[1:] for line in month.read_text().splitlines()[1:]]
    expected = boosters.predicted(served.model, served.schema, encoded(served.schema, rows))
    assert len(expected) > 28_000
    assert any("" in row for row in rows)
    connection = http.client.HTTPConnection(urlsplit(june.endpoint_url).netloc, timeout=30)
    with contextlib.closing(connection):
        answers = [ask(connection, rows[start : start + at_a_time]) for start in range(0, len(rows), at_a_time)]
    assert np.concatenate(answers).astype(np.float32).tobytes() == expected.tobytes()


def test_a_model_that_knows_only_january_is_worse_in_july(june: LoopReport, january: LoopReport) -> None:
    assert january.holdout.auc < june.holdout.auc - 0.03
    assert january.holdout.log_loss > june.holdout.log_loss + 0.02
    assert january.metrics["auc"] > june.metrics["auc"], "it looked better on its own month: drift, not a bad fit"


def test_the_validation_metrics_pass_the_gate_of_the_stack_file(june: LoopReport) -> None:
    gate = local_model().gate

    assert june.metrics[gate.metric] > gate.minimum


def test_training_again_from_nothing_gives_the_same_model(spec: LoopSpec, june: LoopReport) -> None:
    again = bring_up(spec, Console(io.StringIO()))

    assert not again.changed
    tear_down(spec.state_dir, Console(io.StringIO()))
    rebuilt = bring_up(spec, Console(io.StringIO()))
    assert rebuilt.changed
    assert rebuilt.holdout == june.holdout
    assert rebuilt.metrics == june.metrics
