"""What exists, what goes wrong, and the state file of a run that was killed."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from sandbox import checkpoint
from sandbox.chaos import Chaos, InjectedError
from sandbox.world import AlreadyExistsError, Record, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world.db")
    yield world
    world.close()


def record(id_: str = "i", urn: str = "urn:1") -> Record:
    return Record("t", id_, urn, {"a": 1}, {"a": 1, "arn": "x"})


def test_a_resource_is_kept_changed_and_removed(world: World) -> None:
    world.create(record())
    assert world.get("t", "i") == record()
    world.update("t", "i", {"a": 2}, {"a": 2})
    assert world.by_urn("urn:1")[0].inputs == {"a": 2}
    world.tamper("t", "i", "a", 3)
    assert world.of_type("t")[0].outputs == {"a": 3}
    world.delete("t", "i")
    world.delete("t", "i")
    assert world.all() == []


def test_a_second_resource_of_the_same_id_is_refused(world: World) -> None:
    world.create(record())
    with pytest.raises(AlreadyExistsError, match="t i"):
        world.create(record(urn="urn:2"))
    assert world.all() == [record()]


def test_two_resources_of_one_urn_are_both_found(world: World) -> None:
    world.create(record("i"))
    world.create(record("j"))
    assert [each.id for each in world.by_urn("urn:1")] == ["i", "j"]


def test_two_processes_share_a_world(tmp_path: Path, world: World) -> None:
    other = World(tmp_path / "world.db")
    other.create(record())
    assert world.all() == [record()]
    other.close()


def test_calls_are_numbered_without_gaps_from_many_threads(world: World) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(world.call("create", "u") for _ in range(25))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 201))


def test_births_count_per_urn(world: World) -> None:
    assert [world.birth("a"), world.birth("a"), world.birth("b")] == [1, 2, 1]


def test_only_the_call_whose_number_has_come_fails(tmp_path: Path) -> None:
    Chaos(fail_call=2, error="AccessDenied").save(tmp_path)
    chaos = Chaos.load(tmp_path)
    chaos.fail(1)
    with pytest.raises(InjectedError, match="AccessDenied"):
        chaos.fail(2)
    chaos.fail(3)
    assert Chaos.load(tmp_path / "nowhere") == Chaos()


def test_a_torn_state_file_gives_way_to_the_version_before_it(tmp_path: Path) -> None:
    state, before = tmp_path / "s.json", tmp_path / "s.json.bak"
    whole = json.dumps({"checkpoint": {"latest": {"pending_operations": [{}]}}})
    before.write_text(whole)
    for torn in ("", whole[: len(whole) // 2]):
        state.write_text(torn)
        checkpoint.mend(state)
        assert state.read_text() == whole
    assert checkpoint.has_pending_operations(state)


def test_a_whole_state_file_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    state.write_text('{"checkpoint": {"latest": {}}}')
    (tmp_path / "s.json.bak").write_text('{"older": 1}')
    checkpoint.mend(state)
    assert state.read_text() == '{"checkpoint": {"latest": {}}}'
    assert not checkpoint.has_pending_operations(state)


def test_a_torn_state_file_with_nothing_before_it_is_a_stack_that_never_was(tmp_path: Path) -> None:
    state = tmp_path / "s.json"
    state.write_text("{")
    checkpoint.mend(state)
    assert not state.exists()
    assert not checkpoint.has_pending_operations(state)


def test_a_state_that_is_just_being_written_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "dev.json"
    state.write_text('{"version": ')
    state.with_name("dev.json.bak").write_text('{"version": 1}')
    writer = threading.Timer(0.1, state.write_text, ['{"version": 2}'])
    writer.start()
    checkpoint.mend(state)
    writer.join()
    assert checkpoint.load(state) == {"version": 2}


def test_torn_attributes_go_and_leave_a_whole_state_file_as_it_is(tmp_path: Path) -> None:
    state, attributes = tmp_path / "s.json", tmp_path / "s.json.attrs"
    state.write_text('{"checkpoint": {"latest": {}}}')
    attributes.write_text("")
    checkpoint.mend(state)
    assert not attributes.exists()
    assert state.read_text() == '{"checkpoint": {"latest": {}}}'
    attributes.write_text('{"md5": ""}')
    checkpoint.mend(state)
    assert attributes.exists()
