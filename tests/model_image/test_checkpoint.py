from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from scoring.checkpoint import Checkpoint, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDENTITY = {"eta": 0.1, "data of channel train": ["00ff"]}


class Log(list[str]):
    """Collects what a store tells."""


def point(rounds: int) -> Checkpoint:
    values = [0.1 + 1 / (3 + number) for number in range(rounds)]
    return Checkpoint(bytes([10, 0, 255]) * rounds, {"auc": values, "logloss": values[::-1]})


def store(folder: Path, log: Log | None = None, keep: int = 3, **changes: object) -> Store:
    return Store(folder, IDENTITY | changes, keep, (log if log is not None else Log()).append)


def test_what_was_written_is_read_back_exactly_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    writer = store(tmp_path)
    assert writer.latest() is None
    for rounds in (9, 10, 99, 100, 101):
        writer.write(point(rounds))
    assert store(tmp_path).latest() == point(101)
    assert [path.stem.rpartition("-")[2] for path in sorted(tmp_path.iterdir())] == ["000099", "000100", "000101"]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "truncated": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"x",
    "empty": lambda _: b"",
    "checksum": lambda data: bytes([data[0] ^ 1]) + data[1:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    writer, log = store(tmp_path), Log()
    for rounds in (1, 2):
        writer.write(point(rounds))
    newest = max(tmp_path.iterdir())
    data = newest.read_bytes()
    newest.write_bytes(damage(data))
    assert newest.read_bytes() != data
    assert store(tmp_path, log).latest() == point(1)
    assert len(log) == 1
    assert log[0].startswith(f"warning: checkpoint {newest.name} is not used: it is damaged")


def test_a_checkpoint_cut_short_at_any_byte_is_recognised(tmp_path: Path) -> None:
    store(tmp_path).write(point(1))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert store(tmp_path).latest() is None, length
    path.write_bytes(data)
    assert store(tmp_path).latest() == point(1)


def test_a_checkpoint_of_another_run_is_neither_used_nor_removed_and_the_difference_is_named(tmp_path: Path) -> None:
    store(tmp_path, eta=0.3, seed=4).write(point(7))
    log = Log()
    other = store(tmp_path, log, keep=1)
    assert other.latest() is None
    assert "is of another run, which differs in eta, seed; training starts anew" in log[0]
    other.write(point(1))
    other.write(point(2))
    assert other.latest() == point(2)
    assert store(tmp_path, eta=0.3, seed=4).latest() == point(7)


def test_a_checkpoint_renamed_to_look_like_ours_is_not_used(tmp_path: Path) -> None:
    store(tmp_path, eta=0.3).write(point(7))
    (theirs,) = tmp_path.iterdir()
    store(tmp_path).write(point(1))
    (ours,) = set(tmp_path.iterdir()) - {theirs}
    theirs.rename(ours.with_name(ours.name.replace("000001", "000007")))
    log = Log()
    assert store(tmp_path, log).latest() == point(1)
    assert "it is of another run" in log[0]


def test_a_full_disk_costs_a_warning_and_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    writer = store(tmp_path, log)
    writer.write(point(1))

    def full(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        writer.write(point(2))
    assert "could not be written: [Errno 28]" in log[0]
    assert [path.suffix for path in tmp_path.iterdir()] == [".checkpoint"]
    assert writer.latest() == point(1)


def test_what_a_killed_writer_left_half_written_is_removed(tmp_path: Path) -> None:
    store(tmp_path).write(point(1))
    (path,) = tmp_path.iterdir()
    half = path.with_name(path.name.replace("000001", "000002") + ".partial")
    half.write_bytes(path.read_bytes()[:20])
    other = tmp_path / "theirs.checkpoint.partial"
    other.write_bytes(b"")
    assert store(tmp_path).latest() == point(1)
    assert {*tmp_path.iterdir()} == {path, other}
