"""What one host reads before training: its channels as tables, what is learnt from them, and encoded rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring import channels, features, libsvm, pages, part_files, report, targets
from scoring.errors import UserError
from scoring.pages import Pages, Spill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from scoring.boosting import Samples
    from scoring.channels import Channel
    from scoring.contract import Schema
    from scoring.dataset import Table
    from scoring.hosts import Hosts
    from scoring.hyperparameters import Hyperparameters
    from scoring.targets import Target


@dataclass(frozen=True, slots=True)
class Data:
    """What one host has read."""

    tables: dict[str, Table]
    """Per channel; that of the training data is an outline if they stay on disk."""
    schema: Schema
    target: Target
    train: Samples | Pages
    """All rows of this host."""
    samples: dict[str, Samples]
    """Of each other channel, all rows of this host."""
    origin: dict[str, dict[str, object]]
    """Per channel, the part files of all hosts."""

    @property
    def judged(self) -> str:
        """The channel of the final metrics."""
        return channels.TEST if channels.TEST in self.tables else channels.VALIDATION

    @property
    def representative(self) -> NDArray[np.float32]:
        """Rows whose distribution is that of training: its own, or the validation rows if its own stay on disk."""
        return (self.samples[channels.VALIDATION] if isinstance(self.train, Pages) else self.train)[0]

    def shares(self, hosts: Hosts) -> tuple[Samples | Pages, Samples]:
        """Give the training and validation rows that this host works on: its own, or every n-th of those all have."""
        train, validation = self.train, self.samples[channels.VALIDATION]
        if hosts.size == 1:
            return train, validation
        if not isinstance(train, Pages) and not self.tables[channels.TRAIN].sharded:
            train = _every(train, hosts)
        return train, _every(validation, hosts)


def _every(samples: Samples, hosts: Hosts) -> Samples:
    own = slice(hosts.rank, None, hosts.size)
    rows, labels = samples
    return np.ascontiguousarray(rows[own]), labels[own].copy()


def load(
    found: dict[str, Channel], settings: Hyperparameters, hosts: Hosts, log: Callable[[str], None], scratch: Path
) -> Data:
    """Read the channels and encode them.

    Args:
        found: The channels' part files.
        settings: Label, objective, slices, and the memory above which training data stay on disk.
        hosts: All make this call.
        log: Told what may be a mistake in the data.
        scratch: Empty folder for copies of streamed files, and for data that stay on disk: these are needed until
            training has ended.

    Raises:
        UserError: with the problems of the first step that has any.
    """

    def read() -> dict[str, Table]:
        return {
            name: _read(channel, settings.label, log, scratch) for name, channel in found.items() if name not in spilled
        }

    spilled = hosts.agree(lambda: _spilled(found[channels.TRAIN], settings, hosts, log, scratch))
    tables = hosts.agree(read) | {name: spill.outline() for name, spill in spilled.items()}
    tables = _aligned({name: tables[name] for name in found}, settings.label, hosts, log)
    spill = spilled.get(channels.TRAIN)

    def rows() -> Iterable[Table]:
        return spill.tables() if spill else [tables[channels.TRAIN]]

    schema = features.infer_schema(tables[channels.TRAIN], settings.label, hosts, rows())
    target = targets.infer(rows(), settings, hosts)
    for line in features.warnings(rows(), schema):
        log(f"warning: {line}")
    report.check_slices(schema, settings.slices)
    features.check_constraints(schema, settings.constraints)
    samples = hosts.agree(
        lambda: {name: _samples(tables[name], schema, target) for name in found if name not in spilled}
    )
    train = spill.encode(schema, target) if spill else samples.pop(channels.TRAIN)
    parts = {name: hosts.gather(_parts(table)) for name, table in tables.items()}
    origin = {name: _origin(found if tables[name].sharded else found[:1]) for name, found in parts.items()}
    if spill:
        origin[channels.TRAIN]["external_memory"] = True
    return Data(tables, schema, target, train, samples, origin)


def _spilled(
    channel: Channel, settings: Hyperparameters, hosts: Hosts, log: Callable[[str], None], scratch: Path
) -> dict[str, Spill]:
    """Read the training data to the disk if memory is not enough for them."""
    if settings.memory_limit_mib and hosts.size > 1:
        raise UserError("hyperparameter 'memory_limit_mib' needs one host; several share the data: ShardedByS3Key")
    if hosts.size > 1 or not pages.needed(channel, settings.memory_limit_mib):
        return {}
    log(f"channel {channel.name!r} may need more memory than there is: it stays on disk, one part file at a time")
    return {channel.name: Spill(channel, lambda part: _read(part, settings.label, log, scratch), scratch)}


def _read(channel: Channel, label: str, log: Callable[[str], None], scratch: Path) -> Table:
    for name in channel.ignored:
        log(f"warning: {channel.name}/{name} is not a *{channel.format.suffix} file and is not read")
    return part_files.read(channel, label, scratch)


def _aligned(tables: dict[str, Table], label: str, hosts: Hosts, log: Callable[[str], None]) -> dict[str, Table]:
    """Give sparse tables the features of the training data of all hosts: what no row of those gives teaches nothing."""
    if not libsvm.is_sparse(tables[channels.TRAIN]):
        return tables
    widest = max(hosts.gather(libsvm.features_of(tables[channels.TRAIN], label)), key=len)
    for name, table in tables.items():
        if unknown := [feature for feature in libsvm.features_of(table, label) if feature not in widest]:
            log(f"warning: channel {name!r} gives {', '.join(unknown)}, which no row of train has; they are not read")
    return {name: libsvm.fit(table, widest, label) for name, table in tables.items()}


def _samples(table: Table, schema: Schema, target: Target) -> Samples:
    features.check_columns(table, schema)
    rows, labels = features.matrix(table, schema), target.labels(table)
    target.check(table.channel, labels)
    return rows, labels


def _parts(table: Table) -> list[dict[str, object]]:
    return [{"name": part.path.name, "rows": part.rows, "sha256": part.sha256} for part in table.parts]


def _origin(hosts: list[list[dict[str, object]]]) -> dict[str, object]:
    parts = [part for of_host in hosts for part in of_host]
    return {"rows": sum(int(str(part["rows"])) for part in parts), "parts": parts}
