import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tools.artefacts import MARKER, Artefact, Cache, cache_root
from tools.commands import SetupError
from tools.environments import ROOT
from tools.progress import Step


def executable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)


def artefact(build: Callable[[Path], None], name: str = "thing-1") -> Artefact:
    def whole(folder: Path, _log: Path, _step: Step) -> None:
        build(folder)

    return Artefact(name=name, title="installing a thing", probe="bin/thing", build=whole)


def counting(calls: list[Path]) -> Artefact:
    def build(folder: Path) -> None:
        calls.append(folder)
        executable(folder / "bin" / "thing")

    return artefact(build)


def names(cache: Cache) -> set[str]:
    return {path.name for path in cache.root.iterdir() if path.suffix != ".lock"}


def test_an_artefact_is_made_once_and_found_afterwards(cache: Cache, screen: io.StringIO) -> None:
    calls: list[Path] = []
    first = cache.ensure(counting(calls))
    said = screen.getvalue()
    assert cache.ensure(counting(calls)) == first == cache.root / "thing-1"
    assert len(calls) == 1
    assert "✓ installing a thing" in said
    assert screen.getvalue() == said, "a run that finds everything says nothing"


def test_nothing_has_the_final_name_before_it_is_complete(cache: Cache) -> None:
    seen: list[tuple[bool, int]] = []

    def build(folder: Path) -> None:
        executable(folder / "bin" / "thing")
        seen.append(((cache.root / "thing-1").exists(), folder.stat().st_ino))

    made = cache.ensure(artefact(build))
    assert seen == [(False, made.stat().st_ino)], "the very folder that was filled is renamed, not copied"
    assert (made / MARKER).exists()


def test_a_failed_installation_leaves_nothing_and_the_next_run_makes_it(cache: Cache) -> None:
    def fail(folder: Path) -> None:
        executable(folder / "bin" / "thing")
        raise SetupError("the index is down")

    with pytest.raises(SetupError, match=r"the index is down$"):
        cache.ensure(artefact(fail))
    assert names(cache) == set()
    cache.ensure(counting([]))
    assert names(cache) == {"thing-1"}


def test_an_installation_without_its_executable_is_refused(cache: Cache) -> None:
    with pytest.raises(SetupError, match=r"ended without bin/thing$"):
        cache.ensure(artefact(lambda _folder: None))
    assert names(cache) == set()


def test_what_a_killed_run_left_half_made_is_removed(cache: Cache) -> None:
    executable(cache.root / "thing-1.partial-abc" / "bin" / "thing")
    other = cache.root / "thing-10.partial-abc"
    executable(other / "bin" / "thing")
    cache.ensure(counting([]))
    assert names(cache) == {"thing-1", other.name}, "another artefact's folder may be in use"


@pytest.mark.parametrize("damage", ["no marker", "dangling executable"])
def test_a_damaged_artefact_is_made_again(cache: Cache, damage: str) -> None:
    folder = cache.ensure(counting([]))
    if damage == "no marker":
        (folder / MARKER).unlink()
    else:
        (folder / "bin" / "thing").unlink()
        (folder / "bin" / "thing").symlink_to("/gone/python3")
    calls: list[Path] = []
    assert not cache.ready(counting(calls))
    cache.ensure(counting(calls))
    assert len(calls) == 1
    assert names(cache) == {"thing-1"}
    assert (folder / "bin" / "thing").is_file()


@pytest.mark.parametrize("good", [True, False])
def test_a_folder_without_marker_is_adopted_only_after_a_check(cache: Cache, *, good: bool) -> None:
    executable(cache.root / "thing-1" / "bin" / "thing")
    calls: list[Path] = []

    def check(folder: Path) -> bool:
        return good and (folder / "bin" / "thing").exists()

    cache.ensure(replace(counting(calls), adopt=check))
    assert len(calls) == (0 if good else 1)
    assert (cache.root / "thing-1" / MARKER).exists()


def test_runs_at_the_same_time_install_once_and_the_others_say_that_they_wait(
    cache: Cache, screen: io.StringIO
) -> None:
    calls: list[Path] = []
    begun, proceed = threading.Event(), threading.Event()

    def build(folder: Path) -> None:
        calls.append(folder)
        begun.set()
        assert proceed.wait(10)
        executable(folder / "bin" / "thing")

    threads = [threading.Thread(target=cache.ensure, args=(artefact(build),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    deadline = time.monotonic() + 10
    while screen.getvalue().count("waiting for thing-1") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    proceed.set()
    for thread in threads:
        thread.join(10)
    assert len(calls) == 1
    assert screen.getvalue().count(f"waiting for thing-1: process {os.getpid()} is making it") == 2


def test_a_run_that_was_killed_holds_no_lock(cache: Cache) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tools.artefacts import Artefact, Cache;"
        "from tools.progress import Board\n"
        "def build(folder, log, step):\n"
        "    (folder / 'half').touch(); print('begun', flush=True); time.sleep(60)\n"
        "Cache(Path(sys.argv[1]), Board()).ensure(Artefact(name='thing-1', title='t', probe='p', build=build))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(cache.root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    assert any(re.fullmatch(r"thing-1\.partial-.*", name) for name in names(cache)), "the kill left something behind"
    started = time.monotonic()
    cache.ensure(counting([]))
    assert time.monotonic() - started < 5
    assert names(cache) == {"thing-1"}


def test_the_cache_is_where_the_user_wants_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_root() == Path("/elsewhere/slipway")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_root() == tmp_path / ".cache" / "slipway"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == tmp_path / ".cache" / "slipway"


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(SetupError, match=r"^installing a thing: .*cache"):
        cache.ensure(counting([]))
