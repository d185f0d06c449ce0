"""Training under SageMaker's container contract: folders in, a verified model directory and metrics out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scoring import (
    artifact,
    boosting,
    champion,
    channels,
    cluster,
    contract,
    dataset,
    devices,
    document,
    evaluate,
    features,
    hyperparameters,
    libsvm,
    report,
    targets,
)
from scoring.channels import Format
from scoring.checkpoint import Store
from scoring.errors import AlgorithmError, UserError
from scoring.log import say
from scoring.predictor import Predictor
from scoring.stop import StopSignal
from scoring.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from scoring.boosting import Samples
    from scoring.contract import Schema
    from scoring.dataset import Table
    from scoring.hosts import Hosts
    from scoring.hyperparameters import Hyperparameters
    from scoring.settings import CollectiveSettings, ContainerPaths
    from scoring.targets import Target


@dataclass(frozen=True, slots=True)
class _Data:
    """What one host has read."""

    tables: dict[str, Table]
    schema: Schema
    target: Target
    samples: dict[str, Samples]
    """Per channel, all rows of this host."""
    origin: dict[str, dict[str, object]]
    """Per channel, the part files of all hosts."""
    champion: champion.Champion | None = None
    """The model to compare with, if the job has one; only the first host reads it."""

    @property
    def judged(self) -> str:
        """The channel of the final metrics."""
        return channels.TEST if channels.TEST in self.tables else channels.VALIDATION


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
    with cluster.join(paths.resources, collective) as hosts:
        log = say if hosts.first else _silent
        data = _load(paths, settings, hosts, log)
        rows = " + ".join(str(table.rows) for table in data.tables.values())
        log(f"read {rows} rows, {data.schema.width} features in {time.monotonic() - started:.1f} s")
        if settings.objective == contract.MULTICLASS:
            settings = replace(settings, num_class=data.target.classes)
        data = replace(data, champion=_champion(paths, settings, data, hosts))
        store = _store(paths, settings, data, hosts, log)
        around = boosting.Surroundings(hosts=hosts, store=store, stop=stop, log=log)
        train, validation = (_share(data, name, hosts) for name in channels.REQUIRED)
        model = boosting.fit(settings, data.schema, train, validation, around)
    if hosts.first:  # after the good-bye: loading a model while hosts are joined waits for all of them
        version = _write(paths, settings, data, model, code_version)
        log(f"model {version} written in {time.monotonic() - started:.1f} s")


def _silent(_line: str) -> None:
    """Say nothing, as every host but the first: SageMaker would read each metric once per host."""


def _load(paths: ContainerPaths, settings: Hyperparameters, hosts: Hosts, log: Callable[[str], None]) -> _Data:
    def read() -> dict[str, Table]:
        found = channels.find(paths.channels, paths.data)
        return {name: _read(channel, settings.label, log) for name, channel in found.items()}

    tables = _aligned(hosts.agree(read), settings.label, hosts)
    schema = features.infer_schema(tables[channels.TRAIN], settings.label, hosts)
    for line in features.warnings(tables[channels.TRAIN], schema):
        log(f"warning: {line}")
    report.check_slices(schema, settings.slices)
    target = targets.infer(tables[channels.TRAIN], settings, hosts)
    samples = hosts.agree(lambda: {name: _samples(table, schema, target) for name, table in tables.items()})
    parts = {name: hosts.gather(_parts(table)) for name, table in tables.items()}
    origin = {name: _origin(found if tables[name].sharded else found[:1]) for name, found in parts.items()}
    return _Data(tables, schema, target, samples, origin)


def _champion(paths: ContainerPaths, settings: Hyperparameters, data: _Data, hosts: Hosts) -> champion.Champion | None:
    folder = paths.data / channels.CHAMPION

    def load() -> champion.Champion | None:
        if not hosts.first or not folder.is_dir():
            return None
        return champion.load(folder, paths.failure.parent, data.tables[data.judged], settings)

    return hosts.agree(load)


def _read(channel: channels.Channel, label: str, log: Callable[[str], None]) -> Table:
    for name in channel.ignored:
        log(f"warning: {channel.name}/{name} is not a *{channel.format.suffix} file and is not read")
    match channel.format:
        case Format.CSV:
            return dataset.read(channel)
        case Format.LIBSVM:
            return libsvm.read(channel, label)
        case Format.PARQUET:
            from scoring import parquet  # noqa: PLC0415 # a database engine, which other formats need not load

            return parquet.read(channel)


def _aligned(tables: dict[str, Table], label: str, hosts: Hosts) -> dict[str, Table]:
    """Give sparse tables the features of the training data of all hosts: one that no line gives has no column."""
    if tables[channels.TRAIN].parts[0].format is not Format.LIBSVM:
        return tables
    features_of_host = [name for name in tables[channels.TRAIN].columns if name != label]
    widest = max(hosts.gather(features_of_host), key=len)
    return {name: libsvm.widen(table, widest) for name, table in tables.items()}


def _samples(table: Table, schema: Schema, target: Target) -> Samples:
    features.check_columns(table, schema)
    return features.matrix(table, schema), target.labels(table)


def _share(data: _Data, name: str, hosts: Hosts) -> Samples:
    """Give the rows that this host trains on or evaluates: all that only it has, or every n-th of those all have."""
    rows, labels = data.samples[name]
    if data.tables[name].sharded or hosts.size == 1:
        return rows, labels
    own = slice(hosts.rank, None, hosts.size)
    return np.ascontiguousarray(rows[own]), labels[own].copy()


def _parts(table: Table) -> list[dict[str, object]]:
    return [{"name": part.path.name, "rows": part.rows, "sha256": part.sha256} for part in table.parts]


def _origin(hosts: list[list[dict[str, object]]]) -> dict[str, object]:
    parts = [part for of_host in hosts for part in of_host]
    return {"rows": sum(int(str(part["rows"])) for part in parts), "parts": parts}


def _store(
    paths: ContainerPaths, settings: Hyperparameters, data: _Data, hosts: Hosts, log: Callable[[str], None]
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


def _write(
    paths: ContainerPaths,
    settings: Hyperparameters,
    data: _Data,
    model: bytes,
    code_version: str | None,
) -> str:
    """Evaluate and write the model; give its version."""
    task = TASKS[settings.objective]
    rows, labels = data.samples[data.judged]
    predictions = Predictor(model, data.schema).predict(rows)
    evaluation = report.build(data.tables[data.judged], labels, predictions, settings)
    if data.champion:
        evaluation["champion"] = data.champion.against(task, labels, predictions, settings.seed)
    metrics = evaluate.values(task, evaluation)
    provenance = artifact.Provenance(
        hyperparameters=hyperparameters.as_mapping(settings),
        seed=settings.seed,
        code_version=code_version,
        data=dict(data.origin),
        metrics=metrics,
    )
    artifact.write(paths.model, model, data.schema, evaluation, provenance)
    try:
        written = artifact.read(paths.model)
    except UserError as error:
        raise AlgorithmError(f"the model that was just written is refused: {error}") from error
    paths.output_data.mkdir(parents=True, exist_ok=True)
    (paths.output_data / artifact.EVALUATION).write_bytes(document.dump(evaluation))
    say(contract.metric_words("final", metrics))
    return written.version
