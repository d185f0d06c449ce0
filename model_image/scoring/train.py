"""Training under SageMaker's container contract: folders in, a verified model directory and metrics out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scoring import (
    artifact,
    boosting,
    champion,
    channels,
    cluster,
    contract,
    devices,
    document,
    evaluate,
    hyperparameters,
    libraries,
    loading,
    reference,
    report,
)
from scoring.checkpoint import Store
from scoring.errors import AlgorithmError, UserError
from scoring.log import say
from scoring.predictor import Predictor
from scoring.stop import StopSignal
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from scoring.artifact import Artifact
    from scoring.champion import Champion
    from scoring.container import CollectiveSettings, ContainerPaths
    from scoring.hosts import Hosts
    from scoring.hyperparameters import Hyperparameters
    from scoring.loading import Data


def run(paths: ContainerPaths, collective: CollectiveSettings, code_version: str | None) -> None:
    """Train one model.

    Reads hyperparameters and the channels ``train``, ``validation`` and, if it is configured, ``test``; writes the
    model directory and a copy of the metrics under ``output/data``. Equal inputs, seed and thread count give equal
    bytes, also when the run was interrupted and continued from its checkpoints. Of several hosts the first one writes.

    Raises:
        UserError: data or configuration is wrong.
        AlgorithmError: XGBoost failed, or the written model does not read back.
        PlatformError: the job was told to stop, or another host was lost.
    """
    stop = StopSignal()
    stop.install()
    paths.failure.unlink(missing_ok=True)
    started = time.monotonic()
    settings = hyperparameters.parse(document.load(paths.hyperparameters).values)
    settings = replace(settings, device=devices.choose(settings.device))
    with cluster.join(paths.resources, collective) as hosts, _scratch(paths) as scratch:
        log = say if hosts.first else _silent
        found = hosts.agree(lambda: channels.find(paths.channels, paths.data))
        data = loading.load(found, settings, hosts, log, scratch)
        rows = " + ".join(str(table.rows) for table in data.tables.values())
        log(f"read {rows} rows, {data.schema.width} features in {time.monotonic() - started:.1f} s")
        if settings.objective == contract.MULTICLASS:
            settings = replace(settings, num_class=data.target.classes)
        rival = hosts.agree(lambda: _champion(paths, settings, data, scratch) if hosts.first else None)
        store = _store(paths, settings, data, hosts, log)
        around = boosting.Surroundings(hosts=hosts, store=store, stop=stop, log=log)
        model = boosting.fit(settings, data.schema, *data.shares(hosts), around)
    if hosts.first:  # after the good-bye: loading a model while hosts are joined waits for all of them
        written = finish(paths.model, model, settings, data, code_version=code_version, rival=rival, hosts=hosts.size)
        paths.output_data.mkdir(parents=True, exist_ok=True)
        (paths.output_data / artifact.EVALUATION).write_bytes((paths.model / artifact.EVALUATION).read_bytes())
        log(f"model {written.version} written in {time.monotonic() - started:.1f} s")


def _silent(_line: str) -> None:
    """Say nothing, as every host but the first: SageMaker would read each metric once per host."""


@contextmanager
def _scratch(paths: ContainerPaths) -> Generator[Path]:
    """Give a folder on the job's volume for the time of the run."""
    paths.failure.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=paths.failure.parent) as name:
        yield Path(name)


def _champion(paths: ContainerPaths, settings: Hyperparameters, data: Data, scratch: Path) -> Champion | None:
    folder = paths.data / channels.CHAMPION
    return champion.load(folder, scratch, data.tables[data.judged], settings) if folder.is_dir() else None


def _store(
    paths: ContainerPaths, settings: Hyperparameters, data: Data, hosts: Hosts, log: Callable[[str], None]
) -> Store | None:
    """Open the checkpoints, if the job has a folder for them; their identity is everything the model depends on."""
    if not hosts.first or not paths.checkpoints.is_dir():
        return None
    chosen = hyperparameters.as_mapping(settings).items()
    identity: dict[str, object] = {
        name: value for name, value in chosen if name not in hyperparameters.WITHOUT_EFFECT_ON_THE_MODEL
    }
    identity |= {f"data of channel {name}": data.origin[name] for name in channels.REQUIRED}
    identity |= {
        "hosts": hosts.size,
        "metrics": list(TASKS[settings.objective].progress),
        "image_contract": contract.IMAGE_CONTRACT,
        "xgboost_version": contract.XGBOOST_VERSION,
        "nthread": boosting.threads(settings),
        "schema": data.schema.to_json(),
    }
    return Store(paths.checkpoints, identity, settings.checkpoint_keep, log)


def _evaluate(settings: Hyperparameters, data: Data, rival: Champion | None, model: bytes) -> dict[str, object]:
    rows, labels = data.samples[data.judged]
    predictions = Predictor(model, data.schema).predict(rows)
    evaluation = report.build(data.tables[data.judged], labels, predictions, settings)
    if rival:
        evaluation["champion"] = rival.against(TASKS[settings.objective], labels, predictions, settings.seed)
    return evaluation


def finish(
    folder: Path,
    model: bytes,
    settings: Hyperparameters,
    data: Data,
    *,
    code_version: str | None,
    rival: Champion | None = None,
    also: Mapping[str, str] | None = None,
    hosts: int | None = None,
) -> Artifact:
    """Evaluate a trained model and write its directory, with where it comes from.

    Args:
        folder: The model directory, empty or of an earlier run.
        model: XGBoost's UBJSON, with the schema's names and kinds of features.
        settings: What it was trained with.
        data: What it was trained on, and is judged by.
        code_version: What built the image.
        rival: The model in service, to compare it with.
        also: Hyperparameters that this image does not know.
        hosts: That trained it together, as this one; None: another program has.

    Returns:
        The model as a server reads it.

    Raises:
        AlgorithmError: what was written does not read back.
    """
    evaluation = _evaluate(settings, data, rival, model)
    metrics = evaluate.values(TASKS[settings.objective], evaluation)
    provenance = artifact.Provenance(
        hyperparameters={**(also or {}), **hyperparameters.as_mapping(settings)},
        seed=settings.seed,
        code_version=code_version,
        data=dict(data.origin),
        metrics=metrics,
        reference=reference.describe(data.representative, data.schema),
        threads=boosting.threads(settings) if hosts else None,
        hosts=hosts,
        libraries=libraries.versions(),
    )
    artifact.write(folder, model, data.schema, evaluation, provenance)
    try:
        written = artifact.read(folder)
    except UserError as error:
        raise AlgorithmError(f"the model that was just written is refused: {error}") from error
    say(contract.metric_words("final", metrics))
    return written
