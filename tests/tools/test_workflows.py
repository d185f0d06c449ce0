"""The workflows say only what holds here: pinned actions, least permissions, targets and environments that exist."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tools.comment import MARKER
from tools.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
STACKS = {path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml")}
ALLOWED = {
    ("pull-request.yml", "check"): {"contents": "read"},
    ("pull-request.yml", "test"): {"contents": "read"},
    ("pull-request.yml", "kube"): {"contents": "read"},
    ("pull-request.yml", "sdk"): {"contents": "read"},
    ("pull-request.yml", "policy"): {"contents": "read"},
    ("pull-request.yml", "plan"): {"contents": "read"},
    ("pull-request.yml", "report"): {"contents": "read", "pull-requests": "write", "security-events": "write"},
    ("deploy.yml", "preview"): {"contents": "read", "id-token": "write"},
    ("deploy.yml", "up"): {"contents": "read", "id-token": "write"},
}


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in FILES:
        for name, job in workflow(path.name)["jobs"].items():
            yield path.name, name, job


def commands(name: str) -> list[str]:
    return [step["run"] for _, job in workflow(name)["jobs"].items() for step in job["steps"] if "run" in step]


def uses(path: Path) -> list[str]:
    return re.findall(r"uses: *(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_these_workflows() -> None:
    assert [path.name for path in FILES] == ["deploy.yml", "pull-request.yml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_to_one_commit_and_says_which_release_it_is(path: Path) -> None:
    used = uses(path)
    assert used
    for each in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each
    pins = {
        tuple(each.split("@")) for path in FILES for each in re.findall(r"uses: *(.*)$", path.read_text(), re.MULTILINE)
    }
    assert len({action for action, _ in pins}) == len(pins), "one action, one pin"


def test_a_job_has_exactly_the_permissions_that_it_needs() -> None:
    assert all(workflow(path.name)["permissions"] == {} for path in FILES)
    assert {(file, name): job["permissions"] for file, name, job in jobs()} == ALLOWED


def test_every_job_ends_by_itself_and_leaves_no_token_in_the_checkout() -> None:
    for file, name, job in jobs():
        assert job["timeout-minutes"] <= 120, (file, name)
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, (file, name)


def test_a_pull_request_sees_no_secret_and_runs_nothing_of_its_own_with_rights() -> None:
    # yaml reads the key `on` as a truth value
    assert workflow("pull-request.yml")[True] == {"pull_request": None}
    for path in FILES:
        assert "secrets." not in path.read_text(encoding="utf-8")
    for _, _, job in jobs():
        for step in job["steps"]:
            assert not re.search(r"\$\{\{[^}]*github\.(event|head_ref)", step.get("run", ""))


def test_every_target_that_a_workflow_makes_exists() -> None:
    named = {
        target
        for path in FILES
        for command in commands(path.name)
        for target in re.findall(r"\bmake (?:-C \S+ )?([a-z][a-z-]*)", command)
    }
    assert {"policy", "plan", "cost", "report"} <= named
    assert named <= TARGETS


@pytest.mark.parametrize(
    ("name", "target"), [("check", "check"), ("test", "test"), ("kube", "test-kube"), ("sdk", "test-sdk")]
)
def test_a_pull_request_makes_every_suite_whole_and_none_may_fail(name: str, target: str) -> None:
    job = workflow("pull-request.yml")["jobs"][name]
    assert f"make {target}" in [step.get("run") for step in job["steps"]]
    assert not {"if", "continue-on-error"} & {key for each in (job, *job["steps"]) for key in each}


def test_a_pull_request_judges_and_plans_every_environment() -> None:
    described = workflow("pull-request.yml")["jobs"]
    assert set(described["plan"]["strategy"]["matrix"]["stack"]) == STACKS
    assert "make policy OUT=reports" in [step.get("run") for step in described["policy"]["steps"]]
    assert set(described["report"]["needs"]) == {"policy", "plan"}


def test_one_job_alone_writes_and_only_for_branches_of_the_repository_itself() -> None:
    steps = workflow("pull-request.yml")["jobs"]["report"]["steps"]
    writing = [step for step in steps if "upload-sarif" in step.get("uses", "") or "GH_TOKEN" in step.get("env", {})]
    assert len(writing) == 2
    for step in writing:
        assert "github.event.pull_request.head.repo.full_name == github.repository" in step["if"]


def test_a_deployment_is_previewed_then_made_in_environments_and_does_nothing_without_variables() -> None:
    described = workflow("deploy.yml")
    assert set(described[True]) == {"workflow_dispatch"}
    options = described[True]["workflow_dispatch"]["inputs"]["environment"]["options"]
    assert set(options) == STACKS - {"local"}
    assert described["concurrency"]["cancel-in-progress"] is False
    assert described["jobs"]["up"]["needs"] == "preview"
    for name, job in described["jobs"].items():
        assert job["environment"].startswith("${{ inputs.environment }}")
        first, *others = job["steps"]
        assert first["if"] == "${{ vars.AWS_ROLE_ARN == '' }}"
        assert all(step["if"] == "${{ vars.AWS_ROLE_ARN != '' }}" for step in others)
        (engine,) = [step["with"] for step in others if step.get("uses", "").startswith("pulumi/actions@")]
        assert engine["command"] == name
        assert engine["policyPacks"] == "policies"
        assert engine["policyPackConfigs"] == "policies/config/${{ inputs.environment }}.json"


def test_the_engine_that_deploys_is_the_one_that_the_program_is_locked_to() -> None:
    locked = re.search(
        r"^pulumi==([\d.]+)", (ROOT / "requirements" / "program.in").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert locked is not None
    for job in workflow("deploy.yml")["jobs"].values():
        assert [
            step["with"]["pulumi-version"] for step in job["steps"] if "pulumi/actions@" in step.get("uses", "")
        ] == [locked[1]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_script_is_one_that_a_shell_can_read(path: Path) -> None:
    for command in commands(path.name):
        script = re.sub(r"\$\{\{.*?\}\}", "x", command)
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)


def test_the_comment_of_before_is_found_by_the_marker_in_its_first_line(tmp_path: Path) -> None:
    (script,) = [command for command in commands("pull-request.yml") if "gh api" in command]
    assert 'marker="$(head -n 1 reports/comment.md)"' in script
    assert "startswith($marker)" in script
    (tmp_path / "comment.md").write_text(f"{MARKER}\nrest\n", encoding="utf-8")
    first = subprocess.run(["head", "-n", "1", tmp_path / "comment.md"], text=True, capture_output=True, check=True)
    assert first.stdout.strip() == MARKER
