from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost

from scoring import devices
from scoring.boosting import Surroundings, fit
from scoring.checkpoint import Store
from scoring.contract import BINARY, MULTICLASS, REGRESSION, Feature, Kind, Schema
from scoring.errors import PlatformError, UserError
from scoring.hosts import Hosts
from scoring.hyperparameters import Hyperparameters
from scoring.predictor import Predictor
from scoring.stop import StopSignal
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.boosting import Samples

SCHEMA = Schema("y", (*(Feature(f"x{place}") for place in range(5)), Feature("c", Kind.CATEGORICAL, tuple("abcdefg"))))
SETTINGS = Hyperparameters(
    label="y", num_round=16, early_stopping_rounds=0, eta=0.3, max_depth=4, subsample=0.7, colsample_bytree=0.6,
    seed=5, nthread=1, checkpoint_rounds=1, checkpoint_keep=100,
)  # fmt: skip


def samples(rows: int, seed: int) -> Samples:
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 6)).astype(np.float32)
    values[:, 5] = draw.integers(0, 7, rows)
    labels = (values[:, 0] + values[:, 1] * values[:, 2] + (values[:, 5] == 2) + draw.normal(size=rows) > 0.8).astype(
        np.float32
    )
    values[draw.random((rows, 6)) < 0.05] = np.nan
    return values, labels


def classes_of(data: Samples) -> Samples:
    """Make three classes, one of them rare, of the rows of two."""
    rows, labels = data
    rare = (rows[:, 3] > 0.8) & (np.random.default_rng(9).random(len(rows)) < 0.4)
    return rows, labels + rare * (2 - labels)


def numbers_of(data: Samples) -> Samples:
    """Make a number of each row."""
    rows, labels = data
    return rows, labels * 3 + np.nan_to_num(rows[:, 3])


LABELS: dict[str, Callable[[Samples], Samples]] = {
    BINARY: lambda data: data,
    MULTICLASS: classes_of,
    REGRESSION: numbers_of,
}
TRAIN, VALIDATION = samples(600, 1), samples(300, 2)


def run(
    settings: Hyperparameters = SETTINGS, folder: Path | None = None, stop: StopSignal | None = None
) -> tuple[bytes, list[str]]:
    log: list[str] = []
    store = Store(folder, {"seed": settings.seed}, settings.checkpoint_keep, log.append) if folder else None
    around = Surroundings(hosts=Hosts(), store=store, stop=stop or StopSignal(), log=log.append)
    train, validation = (LABELS[settings.objective](data) for data in (TRAIN, VALIDATION))
    return fit(settings, SCHEMA, train, validation, around), log


def changed(**changes: str | float) -> Hyperparameters:
    return Hyperparameters(**({name: getattr(SETTINGS, name) for name in SETTINGS.__slots__} | changes))  # pyright: ignore[reportArgumentType] # a copy of typed values


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        changed(eta=0.4, num_round=60, early_stopping_rounds=6),
        changed(subsample=1.0, colsample_bytree=1.0),
        changed(objective=MULTICLASS, num_class=3, class_weight="balanced", num_round=12, early_stopping_rounds=6),
        changed(objective=REGRESSION, num_round=12),
        changed(
            colsample_bylevel=0.8,
            colsample_bynode=0.8,
            grow_policy="lossguide",
            max_leaves=7,
            gamma=0.1,
            reg_alpha=0.2,
            max_delta_step=0.7,
            monotone_constraints='{"x0": 1}',
        ),
    ],
    ids=["sampling", "early stopping", "no sampling", "classes", "numbers", "every other"],
)
def test_a_run_continued_after_any_round_ends_with_the_same_bytes(tmp_path: Path, settings: Hyperparameters) -> None:
    expected, _ = run(settings)
    whole, _ = run(settings, tmp_path)
    assert whole == expected
    points = sorted(tmp_path.iterdir())
    assert len(points) > 8
    for place, point in enumerate(points, start=1):
        folder = tmp_path / f"from-{place}"
        folder.mkdir()
        (folder / point.name).write_bytes(point.read_bytes())
        model, log = run(settings, folder)
        assert model == expected, place
        assert log[0] == f"continues after round {place} of {settings.num_round} from a checkpoint"


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma": 2.0},
        {"reg_alpha": 2.0},
        {"max_delta_step": 0.05},
        {"colsample_bylevel": 0.5},
        {"colsample_bynode": 0.5},
        {"max_leaves": 4},
        {"max_leaves": 4, "grow_policy": "lossguide", "max_depth": 8},
        {"monotone_constraints": '{"x0": -1}'},
    ],
    ids=str,
)
def test_xgboost_is_told_every_hyperparameter_of_the_trees(changes: dict[str, str | float]) -> None:
    assert run(changed(**changes))[0] != run()[0]


@pytest.mark.parametrize("objective", [BINARY, REGRESSION])
@pytest.mark.parametrize("direction", [1, -1])
def test_answers_keep_the_direction_of_a_column_that_is_named(objective: str, direction: int) -> None:
    free, _ = run(changed(objective=objective))
    kept, _ = run(changed(objective=objective, monotone_constraints=f'{{"x1": {direction}, "x4": 1}}'))
    rows = np.repeat(VALIDATION[0], 25, axis=0)
    rows[:, 1] = np.tile(np.linspace(-3, 3, 25, dtype=np.float32), len(VALIDATION[0]))

    def steps(model: bytes) -> NDArray[np.float32]:
        answers = Predictor(model, SCHEMA).predict(rows)
        return direction * np.diff(answers.reshape(-1, 25), axis=1)

    assert steps(free).min() < 0 < steps(free).max()
    assert steps(kept).min() >= 0


@pytest.mark.parametrize("policy", ["depthwise", "lossguide"])
def test_no_tree_has_more_leaves_than_are_allowed(policy: str) -> None:
    model, _ = run(changed(max_leaves=5, grow_policy=policy, max_depth=8, subsample=1.0))
    trees = xgboost.Booster(model_file=bytearray(model)).get_dump()
    leaves = [tree.count("leaf=") for tree in trees]
    assert len(leaves) == SETTINGS.num_round
    assert max(leaves) == 5


def test_xgboost_itself_does_not_continue_a_run_with_sampling_to_the_same_bytes() -> None:
    params = SETTINGS.xgboost_params() | {"nthread": 1, "seed_per_iteration": True}
    features = [feature.name for feature in SCHEMA.features]
    data = xgboost.QuantileDMatrix(
        *TRAIN, feature_names=features, feature_types=SCHEMA.xgboost_types, enable_categorical=True
    )
    whole, first = (xgboost.Booster(params, [data]) for _ in range(2))
    for number in range(8):
        whole.update(data, number)
        if number < 4:
            first.update(data, number)
    second = xgboost.Booster(params, [data], model_file=first.save_raw("ubj"))
    for number in range(4, 8):
        second.update(data, number)
    assert whole.save_raw("ubj") != second.save_raw("ubj")


def test_the_best_rounds_are_those_that_xgboosts_own_early_stopping_keeps() -> None:
    settings = changed(eta=1.0, num_round=60, early_stopping_rounds=6, subsample=1.0, colsample_bytree=1.0)
    model, _ = run(settings)
    names, kinds = SCHEMA.names, SCHEMA.xgboost_types
    known, unseen = (
        xgboost.DMatrix(*data, feature_names=names, feature_types=kinds, enable_categorical=True)
        for data in (TRAIN, VALIDATION)
    )
    params = settings.xgboost_params() | {"nthread": 1, "eval_metric": ["auc", "logloss"]}
    reference = xgboost.train(
        params, known, 60, evals=[(unseen, "validation")], early_stopping_rounds=6, verbose_eval=False
    )
    ours = xgboost.Booster(model_file=bytearray(model))
    assert 1 < ours.num_boosted_rounds() < 60
    assert ours.num_boosted_rounds() == reference.best_iteration + 1
    assert ours.get_dump() == reference[: reference.best_iteration + 1].get_dump()


def test_checkpoints_come_every_so_many_rounds_and_at_the_end(tmp_path: Path) -> None:
    run(changed(checkpoint_rounds=10, checkpoint_seconds=1000.0), tmp_path)
    assert [path.stem.rpartition("-")[2] for path in sorted(tmp_path.iterdir())] == ["000010", "000016"]


def test_checkpoints_come_after_so_many_seconds_even_if_rounds_are_slow(tmp_path: Path) -> None:
    run(changed(checkpoint_rounds=1000, checkpoint_seconds=0.0), tmp_path)
    assert len([*tmp_path.iterdir()]) == 16


class StopsAfter(StopSignal):
    """Acts as if the signal came while the given round was under way."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._left = rounds

    @property
    def asked(self) -> bool:
        self._left -= 1
        return self._left < 0

    @asked.setter
    def asked(self, value: bool) -> None:
        assert value is False


def test_a_stop_signal_loses_no_finished_round(tmp_path: Path) -> None:
    settings = changed(checkpoint_rounds=1000, checkpoint_seconds=1000.0)
    expected, _ = run(settings)
    with pytest.raises(PlatformError, match="stopped by SIGTERM after round 6; a restart continues there; no model"):
        run(settings, tmp_path, StopsAfter(5))
    model, log = run(settings, tmp_path)
    assert log[0].startswith("continues after round 6 of 16")
    assert model == expected


def test_without_a_folder_for_checkpoints_a_stop_says_so() -> None:
    with pytest.raises(PlatformError, match="after round 3; there is no folder for checkpoints"):
        run(stop=StopsAfter(2))


def test_balanced_classes_train_like_the_weight_that_balances_them() -> None:
    _, labels = TRAIN
    ratio = float(np.sum(labels == 0) / np.sum(labels == 1))
    assert ratio != pytest.approx(1, abs=0.2)
    balanced, _ = run(changed(class_weight="balanced"))
    assert balanced == run(changed(scale_pos_weight=ratio))[0]
    assert balanced != run()[0]


def test_balanced_classes_of_three_find_the_rare_one_more_often() -> None:
    _, labels = classes_of(TRAIN)
    assert np.bincount(labels.astype(int)).min() < 0.2 * len(labels)
    rows, actual = classes_of(VALIDATION)
    found: list[int] = []
    for weight in ("none", "balanced"):
        model, _ = run(changed(objective=MULTICLASS, num_class=3, class_weight=weight))
        guesses = Predictor(model, SCHEMA).predict(rows).argmax(axis=1)
        found.append(int(np.sum((guesses == 2) & (actual == 2))))
    assert found[1] > found[0]


@pytest.mark.parametrize(("objective", "classes"), [(MULTICLASS, 3), (REGRESSION, 0)])
def test_the_rounds_are_those_of_xgboost_itself(objective: str, classes: int) -> None:
    settings = changed(objective=objective, num_class=classes, subsample=1.0, colsample_bytree=1.0)
    train, validation = (LABELS[objective](data) for data in (TRAIN, VALIDATION))
    names, kinds = SCHEMA.names, SCHEMA.xgboost_types
    known = xgboost.QuantileDMatrix(*train, feature_names=names, feature_types=kinds, enable_categorical=True)
    reference = xgboost.train(settings.xgboost_params() | {"nthread": 1}, known, settings.num_round)
    model, log = run(settings)
    assert xgboost.Booster(model_file=bytearray(model)).get_dump() == reference.get_dump()
    rows = xgboost.DMatrix(validation[0], feature_names=names, feature_types=kinds, enable_categorical=True)
    assert Predictor(model, SCHEMA).predict(validation[0]).tobytes() == reference.predict(rows).tobytes()
    assert f"validation-{TASKS[objective].stopping}=" in log[0]


def test_a_gpu_that_cannot_be_used_is_refused_and_auto_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose("cpu") == devices.choose("auto") == "cpu"
    with pytest.raises(UserError, match=r"'device' is 'cuda', but the installed XGBoost is built without CUDA"):
        devices.choose("cuda")
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})
    monkeypatch.setattr(devices, "DRIVER", "libno-such-driver.so")
    assert devices.choose("auto") == "cpu"
    with pytest.raises(UserError, match="but no GPU is visible"):
        devices.choose("cuda")
    monkeypatch.setattr(devices, "visible_gpus", lambda: 1)
    assert devices.choose("auto") == devices.choose("cuda") == "cuda"


@pytest.mark.parametrize(("objective", "classes"), [(BINARY, 0), (MULTICLASS, 3), (REGRESSION, 0)])
def test_contributions_sum_up_to_the_answer(objective: str, classes: int) -> None:
    predictor = Predictor(run(changed(objective=objective, num_class=classes))[0], SCHEMA)
    rows = VALIDATION[0]
    found = predictor.contributions(rows)
    assert found.shape == (len(rows), classes or 1, SCHEMA.width + 1)
    margin = found.sum(axis=2, dtype=np.float64)
    powers = np.exp(margin)
    answers = {
        BINARY: lambda: (powers / (1 + powers))[:, 0],
        MULTICLASS: lambda: powers / powers.sum(axis=1, keepdims=True),
        REGRESSION: lambda: margin[:, 0],
    }[objective]()
    np.testing.assert_allclose(answers, predictor.predict(rows), atol=1e-5)
    assert np.abs(found[:, :, :-1]).max() > 0.1
