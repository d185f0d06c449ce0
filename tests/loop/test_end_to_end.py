"""The real data, the real model image, the real server: what the platform promises about them."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from sandbox.console import Console
from sandbox.loop.evaluate import auc, log_loss
from sandbox.loop.flights import CODES, FEATURES, LABEL
from sandbox.loop.processes import REPOSITORY
from sandbox.loop.run import bring_up, tear_down
from sandbox.loop.spec import LoopPaths, LoopReport, LoopSpec
from settings.model import ModelSpec
from tests.loop.specs import loop_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

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
