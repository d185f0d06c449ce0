import ast
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tools import bootstrap, environments
from tools.artefacts import MARKER, Cache
from tools.commands import GRACE_SECONDS, Commands, SetupError
from tools.environments import ROOT, Environments, link_environment
from tools.progress import Board
from tools.pulumi_cli import pinned_version

FAKE_UV = r"""#!/bin/sh
echo "$*" >>"$FAKE_UV_LOG"; echo $$ >"$FAKE_UV_LOG.pid"
case "$1" in
  venv)
    for folder in "$@"; do :; done
    /bin/mkdir -p "$folder/bin"
    /bin/ln -s "$FAKE_UV_PYTHON" "$folder/bin/python" ;;
  pip)
    echo "Downloaded something"
    [ -z "$FAKE_UV_FAILS" ] || { echo "no such index"; exit 2; }
    i=0; while [ -e "$FAKE_UV_HOLD" ] && [ $i -lt 200 ]; do /bin/sleep 0.05; i=$((i + 1)); done ;;
esac
exit 0
"""
"""Makes an environment whose python is the one of the tests; works until the file $FAKE_UV_HOLD is gone."""
TELL = ("platform", "terse")


def link_of_this_checkout() -> Path | None:
    link = ROOT / ".venv"
    return link.readlink() if link.is_symlink() else None


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables of a user with an empty home, and a uv in the cache that is the script above.

    Runs in it may ask for group `image` only: the others are linked into the checkout that the tests run in.
    """
    linked = link_of_this_checkout()
    uv = tmp_path / "slipway" / Environments(Cache(tmp_path, Board()), Commands()).uv_artefact().name
    (uv / "bin").mkdir(parents=True)
    (uv / "bin" / "uv").write_text(FAKE_UV, encoding="utf-8")
    (uv / "bin" / "uv").chmod(0o755)
    (uv / MARKER).touch()
    yield {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "PATH": os.defpath,
        "FAKE_UV_LOG": str(tmp_path / "uv.log"),
        "FAKE_UV_HOLD": str(tmp_path / "hold"),
        "FAKE_UV_PYTHON": sys.executable,
    }
    assert link_of_this_checkout() == linked


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tools.bootstrap", *words]


def start(machine: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words), cwd=ROOT, env=dict(machine), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(machine: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=ROOT, env=dict(machine), capture_output=True, text=True, timeout=30, check=False
    )


def calls(machine: Mapping[str, str]) -> list[str]:
    log = Path(machine["FAKE_UV_LOG"])
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def wait_for_sync(machine: Mapping[str, str]) -> None:
    deadline = time.monotonic() + 10
    while not any(call.startswith("pip sync") for call in calls(machine)):
        assert time.monotonic() < deadline, "uv was never asked to install"
        time.sleep(0.02)


def cached(machine: Mapping[str, str]) -> list[str]:
    root = Path(machine["XDG_CACHE_HOME"]) / "slipway"
    return sorted(path.name for path in root.glob("env-*") if path.is_dir())


def test_a_first_run_installs_and_then_becomes_the_module(machine: dict[str, str]) -> None:
    done = run(machine, "--group", "image", "--", *TELL)
    assert done.returncode == 0, done.stderr
    assert platform.system() in done.stdout
    assert "✓ installing the packages of group `image`" in done.stderr
    venv, sync = calls(machine)
    assert venv.startswith("venv --relocatable")
    assert re.match(
        r"pip sync --require-hashes --compile-bytecode --python \S+/bin/python \S+/requirements/image.txt$", sync
    )


def test_a_second_run_installs_nothing_and_says_nothing(machine: dict[str, str]) -> None:
    run(machine, "--group", "image", "--", *TELL)
    before = calls(machine)
    started = time.monotonic()
    done = run(machine, "--group", "image", "--", *TELL)
    assert time.monotonic() - started < 3, "0.3 s on an idle machine"
    assert done.returncode == 0
    assert done.stderr == ""
    assert calls(machine) == before != []


def test_the_module_learns_where_the_tools_are_and_gets_its_arguments_untouched(machine: dict[str, str]) -> None:
    path = Path(machine["HOME"]) / "path"
    path.mkdir()
    pulumi = path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\necho v{pinned_version()}\n", encoding="utf-8")
    pulumi.chmod(0o755)
    script = Path(machine["HOME"]) / "tell.py"
    script.write_text("import os, sys; print(sys.argv[1:]); print(os.environ)\n", encoding="utf-8")
    machine |= {"PATH": f"{path}:{machine['PATH']}", "PYTHONPATH": machine["HOME"]}
    done = run(machine, "--group", "image", "--cli", "--", "tell", "up", "--group", "x y")
    assert done.returncode == 0, done.stderr
    assert "['up', '--group', 'x y']" in done.stdout
    assert f"'SLIPWAY_PULUMI': '{pulumi}'" in done.stdout
    assert f"'PYTHONPATH': '{environments.import_path(machine['PYTHONPATH'])}'" in done.stdout
    image = next(name for name in cached(machine) if name.startswith("env-image"))
    assert f"'SLIPWAY_IMAGE_PYTHON': '{machine['XDG_CACHE_HOME']}/slipway/{image}/bin/python'" in done.stdout


def test_two_runs_at_the_same_time_install_once(machine: dict[str, str]) -> None:
    Path(machine["FAKE_UV_HOLD"]).touch()
    with start(machine, "--group", "image", "--", *TELL) as first:
        wait_for_sync(machine)
        with start(machine, "--group", "image", "--", *TELL) as second:
            assert second.stderr is not None
            heard = ""
            while "waiting for" not in heard:
                heard = second.stderr.readline()
                assert heard, "the second run ended without waiting"
            Path(machine["FAKE_UV_HOLD"]).unlink()
            assert second.communicate(timeout=20)[0]
        assert first.communicate(timeout=20)[0]
    assert f"process {first.pid} is making it" in heard
    assert (first.returncode, second.returncode) == (0, 0)
    assert sum(call.startswith("pip sync") for call in calls(machine)) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_is_completed_by_the_next(machine: dict[str, str], how: signal.Signals) -> None:
    Path(machine["FAKE_UV_HOLD"]).touch()
    with start(machine, "--group", "image", "--", *TELL) as process:
        wait_for_sync(machine)
        process.send_signal(how)
        if how is signal.SIGKILL:
            # The orphaned uv keeps the pipes open for as long as it is held.
            Path(machine["FAKE_UV_HOLD"]).unlink()
        said = process.communicate(timeout=20)[1]
    assert all(".partial-" in name for name in cached(machine)), "nothing incomplete has the final name"
    if how is not signal.SIGKILL:
        assert process.returncode == bootstrap.INTERRUPTED
        assert "run the same command again" in said
        assert "Traceback" not in said
        assert cached(machine) == []
        with pytest.raises(ProcessLookupError):
            os.kill(int(Path(machine["FAKE_UV_LOG"] + ".pid").read_text(encoding="utf-8")), 0)
        Path(machine["FAKE_UV_HOLD"]).unlink()
    done = run(machine, "--group", "image", "--", *TELL)
    assert done.returncode == 0, done.stderr
    assert [name.count("partial") for name in cached(machine)] == [0]


def test_a_failing_installer_is_shown_without_a_traceback(machine: dict[str, str]) -> None:
    done = run(machine | {"FAKE_UV_FAILS": "yes"}, "--group", "image", "--", *TELL)
    assert done.returncode == 1
    assert re.search(r"set-up failed after .*: `.*pip sync.*` failed with exit code 2\.", done.stderr)
    assert "    no such index\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "", "the module must not run"


def test_a_module_needs_a_group_to_run_in(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bootstrap.parse(["--", "sandbox", "up"])
    assert "--group program|local|image|dev" in capsys.readouterr().err


def test_at_the_first_failure_the_other_task_is_stopped(tmp_path: Path) -> None:
    commands = Commands()

    def slow() -> None:
        commands.run(["/bin/sleep", "60"], log=tmp_path / "log", on_line=lambda _line: None)

    def fail() -> None:
        raise SetupError("no index")

    started = time.monotonic()
    with pytest.raises(SetupError, match=r"^no index$"):
        bootstrap.together([slow, fail], commands)
    assert time.monotonic() - started < GRACE_SECONDS, "it was asked to end, not killed"


def test_an_interrupt_while_the_tasks_are_started_stops_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, running, ended = Commands(), threading.Event(), threading.Event()
    start_thread = threading.Thread.start

    def slow() -> None:
        try:
            commands.run(
                ["/bin/sh", "-c", "echo on; exec sleep 60"], log=tmp_path / "log", on_line=lambda _: running.set()
            )
        finally:
            ended.set()

    def interrupted(thread: threading.Thread) -> None:
        if running.is_set():
            raise KeyboardInterrupt
        start_thread(thread)
        running.wait(GRACE_SECONDS)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.together([slow, slow], commands)
    assert ended.is_set()


def test_tasks_run_at_the_same_time() -> None:
    meet = threading.Barrier(2)

    def task() -> None:
        meet.wait(10)

    bootstrap.together([task, task], Commands())


def test_set_up_needs_nothing_but_the_standard_library() -> None:
    facts = "settings.versions"
    modules = [
        *sorted((ROOT / "tools").glob("*.py")),
        ROOT / "settings" / "__init__.py",
        ROOT / "settings" / "versions.py",
    ]
    assert len(modules) > 5
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imported.append(node.module or "")
            for name in imported:
                known = name == facts or name.split(".")[0] in sys.stdlib_module_names | {"tools"}
                assert known, f"{path.name} imports {name}"


def test_an_old_python_is_told_what_to_do() -> None:
    source = (ROOT / "tools" / "__init__.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.hexversion = 0x03090000\n{source}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stderr.rstrip().endswith("make up PYTHON=python3.12")


def ready(cache: Cache, group: str) -> Path:
    folder = cache.path(Environments(cache, Commands()).artefact(group))
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / MARKER).touch()
    return folder


def test_the_link_in_the_checkout_names_the_richest_environment_that_is_ready(cache: Cache, tmp_path: Path) -> None:
    link, made = tmp_path / ".venv", Environments(cache, Commands())
    assert link_environment(cache, made, link) is None
    assert not link.is_symlink(), "never dangling"
    local = ready(cache, "local")
    assert link_environment(cache, made, link) is None
    assert link.readlink() == local
    dev = ready(cache, "dev")
    link_environment(cache, made, link)
    assert link.readlink() == dev
    (dev / MARKER).unlink()
    link_environment(cache, made, link)
    assert link.readlink() == local
    assert [path.name for path in tmp_path.glob(".venv*")] == [".venv"]


def test_a_folder_of_the_users_own_is_left_alone(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    ready(cache, "dev")
    note = link_environment(cache, Environments(cache, Commands()), tmp_path / ".venv")
    assert note is not None
    assert note.startswith(".venv is a folder of your own")
    assert (tmp_path / ".venv").is_dir()
    assert not (tmp_path / ".venv").is_symlink()


def test_another_lock_or_interpreter_is_another_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = {environments.lock_key("image"), environments.lock_key("dev")}
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    keys.add(environments.lock_key("image"))
    assert len(keys) == 3
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    with pytest.raises(SetupError, match="`make lock` writes it"):
        environments.lock_key("image")


def test_the_index_that_pip_is_set_up_for_is_used_by_uv_too(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"global.index-url='https://mirror.example/simple'\"\n", encoding="utf-8")
    python.chmod(0o755)
    env = environments.uv_environment(tmp_path / "uv", {"PIP_CERT": "/ca.pem", "VIRTUAL_ENV": "/other"})
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert env["SSL_CERT_FILE"] == "/ca.pem"
    assert "VIRTUAL_ENV" not in env
    own = environments.uv_environment(tmp_path / "uv", {"UV_DEFAULT_INDEX": "https://own.example"})
    assert own["UV_DEFAULT_INDEX"] == "https://own.example"
