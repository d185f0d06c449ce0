"""The image without a container engine: the Dockerfile's own instructions, read from it and run into a folder.

Not run: FROM (the base is this machine's Python), `useradd` and the ownership of /opt/ml (they would change this
machine), and USER, EXPOSE and LABEL, which only an engine can do.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import sbom
from scoring import artifact
from tools.artefacts import Cache, cache_root
from tools.commands import Commands
from tools.environments import Environments, uv_environment
from tools.progress import Board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.jobs import Job

ROOT = Path(__file__).parents[2]
LIMIT = 350_000_000
BASE = 130_010_000
"""Bytes of python:3.11.16-slim-bookworm on disk, as the maintainers of Docker's official images recorded it."""

ENGINE_ONLY = {"FROM", "ARG", "USER", "EXPOSE", "LABEL", "WORKDIR", "HEALTHCHECK", "ENTRYPOINT", "CMD", "ENV"}


class Instruction(NamedTuple):
    name: str
    text: str


def instructions() -> list[Instruction]:
    """Read the Dockerfile: comments away, continued lines joined."""
    text = (ROOT / "model_image/Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line)
    return [Instruction(name, " ".join(rest.split())) for name, _, rest in lines]


FILE = instructions()


def of(name: str) -> list[str]:
    return [found.text for found in FILE if found.name == name]


def test_the_base_is_named_by_digest_and_the_result_runs_as_a_number_other_than_root_in_exec_form() -> None:
    (base, again, _) = of("ARG")
    assert again == "BASE_IMAGE"
    assert re.fullmatch(r"BASE_IMAGE=python:3\.11[\w.-]+@sha256:[0-9a-f]{64}", base)
    assert {text.partition(" ")[0] for text in of("FROM")} == {"${BASE_IMAGE}"}
    assert "org.opencontainers.image.base.name=${BASE_IMAGE}" in of("LABEL")
    for ability in ("multi-models", "accept-bind-to-port"):
        assert f"com.amazonaws.sagemaker.capabilities.{ability}=true" in " ".join(of("LABEL")).split()
    assert of("USER") == ["10001:0"]
    for name in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(of(name)[-1]), list)


def test_the_build_context_has_what_is_copied_and_no_compiled_files() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {text.split()[0] for text in of("COPY") if not text.startswith("--from")}
    assert rules[0] == "*"
    assert rules[-1] == "**/__pycache__"
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)


def test_the_bill_of_materials_lists_what_the_environment_holds() -> None:
    listed = {f"{c['name']}=={c['version']}" for c in json.loads(sbom.BILL.read_bytes())["components"]}
    assert listed == set(sbom.installed(sbom.LOCK.read_text()))
    assert any(name.startswith("xgboost-cpu==") for name in listed)


@pytest.mark.loop
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28"])
def test_every_locked_package_has_a_wheel_for_both_architectures(platform: str, tmp_path: Path) -> None:
    uv = Environments(Cache(cache_root(), Board()), Commands()).uv()
    command = [*(uv, "pip", "install", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--target", tmp_path)]
    command += ["--python-version", "3.11", "--python-platform", platform, "-r", sbom.LOCK]
    done = subprocess.run(command, env=uv_environment(uv), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^ \+ (\S+)", done.stderr, re.MULTILINE)) == set(sbom.installed(sbom.LOCK.read_text()))


class Built(NamedTuple):
    """The image's file system below a folder."""

    folder: Path
    env: dict[str, str]

    def moved(self, text: str) -> str:
        """Give an instruction's text with the image's paths below the folder."""
        return re.sub(r"(?<![\w/.])/(opt|tmp)\b", rf"{self.folder}/\1", text)

    def tree(self) -> dict[str, tuple[int, int]]:
        found = (path for path in (self.folder / "opt").rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

    def command(self, *names: str) -> list[str]:
        return [word for name in names for word in json.loads(of(name)[-1].rpartition("CMD ")[2])]


def copy(built: Built, text: str) -> None:
    source, target = text.split()
    place = Path(built.moved(target))
    place.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / source, place)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Run every instruction that needs no engine, in order; both stages share the folder."""
    cleared = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "SLIPWAY", "VIRTUAL"))}
    python = str(Path(sys.executable).resolve().parent)  # in place of the base image's
    path = {"PATH": f"{python}:{cleared['PATH']}", "CODE_VERSION": "c0de"}
    made = Built(tmp_path_factory.mktemp("image"), cleared | path)
    (made.folder / "tmp").mkdir()
    for name, text in FILE:
        if name == "ENV":
            pairs = (pair.partition("=") for pair in shlex.split(made.moved(text)))
            made.env.update({key: Template(value).safe_substitute(made.env) for key, _, value in pairs})
        elif name == "COPY" and not text.startswith("--from=build"):
            copy(made, text)
        elif name == "RUN" and not text.startswith("useradd"):
            env = made.env | {"PIP_NO_CACHE_DIR": "0"}  # so that wheels may come from this machine
            subprocess.run(["/bin/sh", "-c", made.moved(text)], env=env, check=True, capture_output=True)
        else:
            assert name in ENGINE_ONLY | {"COPY", "RUN"}, name
    for path in (made.folder / "opt").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    yield made
    for path in (made.folder / "opt").rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


def files_of(built: Built) -> list[Path]:
    return [path for path in (built.folder / "opt").rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.loop
def test_the_image_keeps_its_size(built: Built) -> None:
    size = sum(path.stat().st_blocks * 512 for path in files_of(built))
    assert size + BASE <= LIMIT, f"{size / 1e6:.0f} MB and a base of {BASE / 1e6:.0f} MB"


@pytest.mark.loop
def test_the_image_has_neither_an_installer_nor_tests_and_is_compiled(built: Built) -> None:
    files = files_of(built)
    assert not [path for path in files if path.parts[-2] == "tests"]
    assert not list((built.folder / "opt/venv/lib").glob("python*/site-packages/pip"))
    assert (built.folder / "opt/program/sbom.cdx.json").is_file()
    compiled = {path.name.partition(".")[0] for path in files if path.suffix == ".pyc" and "program" in path.parts}
    assert {path.stem for path in files if path.suffix == ".py" and "program" in path.parts} == compiled


def install(package: str, target: Path) -> None:
    """Install a package without what it needs, as a wheel."""
    uv = Environments(Cache(cache_root(), Board()), Commands()).uv()
    command = [*(uv, "pip", "install", "--no-deps", "--only-binary", ":all:", "--target", target), package]
    subprocess.run([*command, "--python", sys.executable], env=uv_environment(uv), check=True, capture_output=True)


def asked(port: int, method: str, path: str, body: str = "") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body.encode(), {"Content-Type": "text/csv"})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()


@pytest.mark.loop
def test_the_entry_point_trains_from_the_folder(built: Built, job: Job) -> None:
    env, here = built.env | {"SAGEMAKER_BASE_DIR": str(job.base)}, built.folder / "opt/program"
    command = [*built.command("ENTRYPOINT"), "train"]
    done = subprocess.run(command, env=env, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert artifact.read(job.base / "model").provenance["code_version"] == "c0de"


@pytest.mark.loop
def test_an_image_with_a_native_library_that_is_built_from_ours_trains_and_answers(
    built: Built, job: Job, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"  # what `FROM` our digest, `RUN pip install --target` and `COPY` would add
    install("xxhash==4.1.0", layer)
    shutil.copy(ROOT / "tests/support/own_image/own.py", layer)
    assert list(layer.rglob("*.so"))
    env = built.env | {"PYTHONPATH": f"{layer}:{built.env['PYTHONPATH']}", "SAGEMAKER_BASE_DIR": str(job.base)}
    env |= {"SLIPWAY_HOST": "127.0.0.1", "SLIPWAY_PORT": "0", "SLIPWAY_DRAIN_S": "0"}
    here, command = built.folder / "opt/program", [*built.command("ENTRYPOINT")[:-1], "own"]

    done = subprocess.run([*command, "train"], env=env, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^part[-\w]*\.csv [0-9a-f]{16}$", done.stdout, re.MULTILINE)) == 3
    with subprocess.Popen([*command, "serve"], env=env, cwd=here, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
            assert "ready" in asked(port, "GET", "/ping")
            answers = asked(port, "POST", "/invocations", "700,AA,9\n2400,dé,23\n")
            assert [0 < float(line) < 1 for line in answers.split()] == [True, True]
        finally:
            process.terminate()
            process.wait(timeout=10)
    assert process.returncode == 0


@pytest.mark.loop
def test_the_entry_point_serves_from_the_folder_within_a_second_of_cpu_and_writes_nothing(
    built: Built, trained: Any, tmp_path: Path
) -> None:
    shutil.copytree(trained.base / "model", tmp_path / "ml/model")
    env = built.env | {"SLIPWAY_HOST": "127.0.0.1", "SLIPWAY_PORT": "0", "SLIPWAY_DRAIN_S": "0"}
    env |= {"SAGEMAKER_BASE_DIR": str(tmp_path / "ml")}
    here = built.folder / "opt/program"
    before = built.tree()
    process = subprocess.Popen(built.command("ENTRYPOINT", "CMD"), env=env, cwd=here, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        announcement = json.loads(process.stdout.readline())
        env["SLIPWAY_PORT"] = announcement["address"].rpartition(":")[2]
        check = built.command("HEALTHCHECK")
        try:
            assert subprocess.run(check, env=env, cwd=here, check=False).returncode == 0, announcement
            used = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            assert (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK") <= 1.0
        finally:
            process.terminate()
            process.wait(timeout=10)
    assert process.returncode == 0
    assert subprocess.run(check, env=env, cwd=here, check=False).returncode == 1
    assert artifact.read(trained.base / "model").version == announcement["version"]
    assert built.tree() == before
