import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import locks
from tools.environments import REQUIREMENTS, ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
STACKS = {path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml")}
PROGRAM = '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\nexit "${FAKE_CODE:-0}"\n'


def make(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | environ
    return subprocess.run(["make", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A `python3` that prints its arguments, each in brackets."""
    path = tmp_path / "python"
    path.write_text(PROGRAM, encoding="utf-8")
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_make_alone_lists_every_target() -> None:
    assert {"up", "down", "preview", "plan", "test", "check", "lock", "doctor", "clean"} <= TARGETS
    listed = set(re.findall(r"^  ([a-z][a-z-]*)  +\S", make().stdout, re.MULTILINE))
    assert listed == TARGETS


@pytest.mark.parametrize("stack", ["", "nope", "dev prod", "dev; echo injected"])
@pytest.mark.parametrize("target", ["preview", "plan", "cost", "capacity"])
def test_an_environment_that_does_not_exist_is_refused_with_those_that_do(python: str, target: str, stack: str) -> None:
    assert len(STACKS) >= 2
    done = make(target, python, f"STACK={stack}")
    assert done.returncode == 2
    assert done.stdout == "", "nothing was run"
    message = re.search(
        r"STACK='(.*)' names no environment\. There are: (.*)\. Write for example: (.*)\.  Stop", done.stderr
    )
    assert message is not None
    assert message[1] == stack
    assert set(message[2].split()) == STACKS
    assert message[3].startswith(f"make {target} STACK=")
    assert message[3].rsplit("=", 1)[1] in STACKS


def test_a_share_of_the_capacity_reaches_the_measurement(python: str) -> None:
    done = make("latency", python, "PORT=8080", "ROWS=my rows.csv", "SHARE=0.7", "SECONDS=5")
    words = re.findall(r"^<(.*)>$", done.stdout, re.MULTILINE)
    told = ["--port", "8080", "--rows", "my rows.csv", "--drop", "", "--share", "0.7", "--seconds", "5"]
    assert words[words.index("--") :] == ["--", "bench.latency", *told]


def test_a_server_without_a_model_is_refused_with_an_example(python: str) -> None:
    done = make("serve", python, "MODEL=")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Write for example: make serve MODEL=model.ubj PORT=8080" in done.stderr


def test_stack_and_file_reach_the_program_as_they_are(python: str) -> None:
    done = make("plan", python, "STACK=prod", "OUT=my plan $$(id).json")
    words = re.findall(r"^<(.*)>$", done.stdout, re.MULTILINE)
    assert words[words.index("--") :] == ["--", "sandbox", "plan", "--stack", "prod", "--out", "my plan $(id).json"]


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ({}, ["", "", ""]),
        ({"PLAN": "a b.json", "BASE": "$$(id).json", "OUT": "out.json"}, ["a b.json", "$(id).json", "out.json"]),
    ],
)
def test_files_of_an_estimate_are_optional_and_reach_the_program_as_they_are(
    python: str, given: dict[str, str], reached: list[str]
) -> None:
    done = make("cost", python, "STACK=dev", *(f"{name}={value}" for name, value in given.items()))
    words = re.findall(r"^<(.*)>$", done.stdout, re.MULTILINE)
    flags = [word for pair in zip(("--plan", "--base", "--out"), reached, strict=True) for word in pair]
    assert words[words.index("--") :] == ["--", "sandbox", "cost", "--stack", "dev", *flags]


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        (["IN=my rows $$(id).csv"], ["sandbox", "transform", "--model", "m", "--in", "my rows $(id).csv", "--out", ""]),
        (
            ["STACK=prod", "IN=s3://b/m/", "OUT=a b"],
            ["operations.transform", "--stack", "prod", "--model", "m", "--in", "s3://b/m/", "--out", "a b"],
        ),
    ],
)
def test_a_batch_is_run_here_or_asked_for_there(python: str, given: list[str], reached: list[str]) -> None:
    words = re.findall(r"^<(.*)>$", make("transform", python, "MODEL=m", *given).stdout, re.MULTILINE)
    assert words[words.index("--") + 1 :] == reached


@pytest.mark.parametrize(
    ("given", "reached"), [([], ["", ""]), (["MONTHS=1,2", "POISON=a b $$(id)"], ["1,2", "a b $(id)"])]
)
def test_months_and_what_is_wrong_with_one_reach_the_program_as_they_are(
    python: str, given: list[str], reached: list[str]
) -> None:
    words = re.findall(r"^<(.*)>$", make("up", python, *given).stdout, re.MULTILINE)
    flags = [word for pair in zip(("--months", "--poison"), reached, strict=True) for word in pair]
    assert words[words.index("--") + 1 :] == ["sandbox", "up", *flags]


def test_every_target_says_what_it_does_how_long_it_took_and_keeps_the_exit_code(python: str) -> None:
    done = make("down", python)
    assert done.returncode == 0
    assert re.search(r"^==> down local$", done.stdout, re.MULTILINE)
    assert re.search(r"^<== down local: done, \d+ s$", done.stdout, re.MULTILINE)
    failed = make("down", python, FAKE_CODE="3")
    assert failed.returncode == 2
    assert re.search(r"^<== down local: failed with exit code 3, \d+ s$", failed.stdout, re.MULTILINE)


def test_ci_runs_the_tests_then_the_checks_and_stops_at_a_failure(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text("test check test-kube:\n\t@echo ran $@; test $@ != $(FAIL)\n", encoding="utf-8")
    bare = tmp_path / "Makefile"

    def ci(fail: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            ["bash", ".ci/run"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "FAIL": fail},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, re.findall(r"^ran (.*)$", done.stdout, re.MULTILINE)

    assert ci("nothing") == (0, ["test", "check"])
    bare.write_text(bare.read_text(encoding="utf-8") + "test-kube: test-more\ntest-more:\n", encoding="utf-8")
    assert ci("nothing") == (0, ["test", "check", "test-kube"])
    assert ci("test")[0] != 0
    assert ci("test")[1] == ["test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_documents_name_only_commands_that_exist() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (page.name, command)
        for page in pages
        for command in re.findall(r"(?:`|\$ )make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    }
    assert named
    assert {command for _, command in named} <= TARGETS, named


def test_links_of_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_file_of_kube_tests_has_its_question_in_the_table() -> None:
    page = (ROOT / "docs" / "control-plane.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(test_\w+\.py)` \| \S", page, re.MULTILINE)
    assert sorted(rows) == sorted(file.name for file in (ROOT / "tests" / "kube").glob("test_*.py"))


def test_every_direct_dependency_has_a_line_that_says_what_it_is_for() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE)
    described = {re.sub(r"\[.*\]", "", name).strip() for cell in first_cells for name in cell.split(",")}
    direct = {
        package
        for group, _ in locks.ORDER
        for package, _ in locks.wanted((REQUIREMENTS / f"{group}.in").read_text(encoding="utf-8"))
    }
    assert len(direct) > 20
    assert direct <= described


@pytest.mark.parametrize(("given", "more"), [({}, []), ({"AGAIN": "1"}, ["--again"])])
def test_a_version_is_released_once_more_only_where_that_is_said(
    python: str, given: dict[str, str], more: list[str]
) -> None:
    said = {"STACK": "prod", "MODEL": "$$(id)", "VERSION": "7", "PROMETHEUS": "http://here:9090", **given}
    done = make("release", python, *(f"{name}={value}" for name, value in said.items()))
    words = re.findall(r"^<(.*)>$", done.stdout, re.MULTILINE)
    told = ["--model", "$(id)", "--stack", "prod", "--version", "7", "--prometheus", "http://here:9090"]
    assert words[words.index("--") :] == ["--", "operations.release", *told, *more]


def test_what_is_asked_about_an_experiment_reaches_the_program(python: str) -> None:
    said = {"STACK": "prod", "MODEL": "m", "PERCENT": "30", "PROMETHEUS": "http://here:9090", "SLOWER": "0.2"}
    done = make("experiment", python, *(f"{name}={value}" for name, value in said.items()))
    words = re.findall(r"^<(.*)>$", done.stdout, re.MULTILINE)
    told = ["--model", "m", "--stack", "prod", "--percent", "30", "--prometheus", "http://here:9090"]
    asked = ["--above", "", "--slower-than", "0.2"]
    assert words[words.index("--") :] == ["--", "operations.experiment", *told, *asked]


@pytest.mark.parametrize("target", ["release", "experiment"])
def test_what_a_release_or_an_experiment_needs_is_asked_for(python: str, target: str) -> None:
    done = make(target, python, "STACK=prod", "MODEL=m")
    assert done.returncode == 2
    assert f"Write for example: make {target} MODEL=flight-delay" in done.stderr
    assert done.stdout == "", "nothing was run"
