import io
import re
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import suite
from tools.artefacts import MARKER, Cache
from tools.clean import clean
from tools.commands import Commands, SetupError, answer
from tools.environments import FIRST_PARTY, ROOT, Environments, import_path
from tools.lost_strings import lost_strings, main
from tools.progress import Board, elapsed
from tools.suite import Part


def parts(*codes: tuple[str, str]) -> Callable[[], list[Part]]:
    return lambda: [Part(name, ("-c", code)) for name, code in codes]


def test_a_failing_part_stops_no_other_and_fails_the_suite(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = parts(("one", "print('ran one')"), ("two", "raise SystemExit(7)"), ("three", "print('ran three')"))
    monkeypatch.setattr(suite, "SUITES", {"test": chosen})
    assert suite.main(["test"]) == 1
    said = capfd.readouterr().out
    assert "ran one" in said
    assert "ran three" in said
    assert re.search(r"✗ two +\d.* s +\(exit code 7\)", said)
    assert re.search(r"✓ three +\d.* s$", said, re.MULTILINE)
    assert suite.main(["test", "three"]) == 0
    assert "ran one" not in capfd.readouterr().out


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(["test", "unti"])
    assert "has no part unti; it has unit, program, engine, loop" in capsys.readouterr().err


def test_every_test_belongs_to_exactly_one_part() -> None:
    parts = [*suite.parts_of_test(), *suite.parts_of_kube()]
    expressions = [part.command[part.command.index("-m", 2) + 1] for part in parts]
    for marked in ("", "program", "engine", "loop", "kube", "engine loop", "program engine"):
        marks = {mark: mark in marked for mark in ("program", "engine", "loop", "kube")}
        taken = [expression for expression in expressions if eval(expression, marks)]  # noqa: S307 - our own five
        assert len(taken) == 1, marks


DOCUMENTED = """
'''Module.'''
X = 1
'''What X is.'''


class A:
    '''Class.'''

    y: int
    r'''What y is.'''

    def __init__(self) -> None:
        '''Constructor.'''
        self.z = 1
        '''What z is.'''
"""
LOST = {
    "module": "X = 'first '\n'second'\n",
    "class": "class A:\n    x = 'first '\n    'second'\n",
    "function": "def f():\n    x = 'first '\n    '''second'''\n",
    "f-string": "def f(y):\n    x = f'first {y} '\n    f'second {y}'\n",
    "branch": "if True:\n    pass\nelse:\n    'second'\n",
    "after a call": "print('first ')\n'''second'''\n",
}


def test_documentation_is_no_lost_string() -> None:
    assert list(lost_strings(DOCUMENTED)) == []


@pytest.mark.parametrize("where", LOST)
def test_a_string_that_lost_its_parentheses_is_found(where: str) -> None:
    source = LOST[where]
    assert list(lost_strings(source)) == [len(source.splitlines())]


def test_lost_strings_fail_the_check_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fine.py").write_text(DOCUMENTED, encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    (tmp_path / "lost.py").write_text(LOST["module"], encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'lost.py'}:2: ")
    (tmp_path / "lost.py").write_text("def\n", encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'lost.py'}:1: is not Python: ")


def test_the_folders_of_our_packages_are_the_same_for_every_tool() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert list(FIRST_PARTY) == project["pytest"]["ini_options"]["pythonpath"] == project["pyright"]["extraPaths"]
    assert import_path("/mine").split(":") == [*(str(ROOT / folder) for folder in FIRST_PARTY), "/mine"]
    assert not import_path().endswith(":"), "an empty entry would be the current folder"


def test_the_checked_paths_are_those_of_the_type_checker() -> None:
    paths = suite.python_paths()
    assert {"tools", "tests"} <= set(paths)
    assert all((ROOT / path).exists() for path in paths)


def test_cleaning_removes_tool_caches_and_old_environments_and_keeps_the_rest(cache: Cache, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    kept = [".slipway/state", ".venv/lib/__pycache__", "tools"]
    gone = [".ruff_cache", "tools/__pycache__"]
    for name in [*kept, *gone]:
        (checkout / name).mkdir(parents=True)
    environments = Environments(cache, Commands())
    current = cache.path(environments.artefact("image"))
    old, cli = cache.root / "env-image-000000000000", cache.root / "pulumi-3.0.0"
    for folder in (current, old, cli):
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
    clean(checkout, cache, everything=False)
    assert not any((checkout / name).exists() for name in gone)
    assert all((checkout / name).exists() for name in kept)
    assert (current.exists(), old.exists(), cli.exists()) == (True, False, True)
    clean(checkout, cache, everything=True)
    assert not cache.root.exists()
    assert all((checkout / name).exists() for name in kept), "state and a folder of the user's own stay"


def test_a_long_step_is_reported_in_plain_lines_where_there_is_no_terminal() -> None:
    screen = io.StringIO()
    board = Board(screen, plain_seconds=0.02)
    with board.step("building") as step:
        step.detail = "package 7"
        deadline = time.monotonic() + 10
        while "building: package 7 (" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = screen.getvalue().splitlines()
    assert lines[0] == "  … building"
    assert re.fullmatch(r"  … building: package 7 \(0\.\d s\)", lines[1])
    assert re.fullmatch(r"  ✓ building \(0\.\d s\)", lines[-1])
    assert "\x1b" not in screen.getvalue()


def test_a_step_that_fails_is_marked() -> None:
    screen = io.StringIO()
    with pytest.raises(SetupError), Board(screen).step("building"):
        raise SetupError("no")
    assert "✗ building" in screen.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_live_line_that_is_no_wider_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    board = Board(screen)
    with board.step("a" * 30), board.step("b" * 30):
        deadline = time.monotonic() + 10
        while "… aaa" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        shown = screen.getvalue()
    assert "\n" not in shown
    frames = shown.split("\r\x1b[2K")[1:]
    assert frames
    assert all(len(frame) <= 39 for frame in frames)
    assert screen.getvalue().count("\n") == 2


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (187, "3 min 07 s")])
def test_durations_are_words(seconds: float, words: str) -> None:
    assert elapsed(seconds) == words


def test_a_tool_that_fails_hangs_or_is_absent_gives_no_answer(tmp_path: Path) -> None:
    assert answer([sys.executable, "-c", "print(' yes ')"]) == "yes"
    assert answer([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert answer(["/bin/sleep", "30"], seconds=0.1) is None
    assert answer([tmp_path / "absent"]) is None


def test_a_stopped_runner_starts_nothing_more(tmp_path: Path) -> None:
    commands = Commands()
    commands.stop()
    with pytest.raises(SetupError, match=r"^interrupted$"):
        commands.run(["/bin/echo"], log=tmp_path / "log", on_line=print)


def test_a_program_that_cannot_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"`/no/such/uv sync` could not be started"):
        Commands().run(["/no/such/uv", "sync"], log=tmp_path / "log", on_line=print)
