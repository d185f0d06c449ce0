from collections.abc import Callable
from pathlib import Path

import pytest

from tools import locks
from tools.environments import BENCH_GROUPS, GROUPS, REQUIREMENTS, SDK_GROUP, SERVER_GROUPS

HASH = "--hash=sha256:" + "a" * 64


def entry(name: str, version: str, *, hashed: bool = True) -> str:
    return f"{name}=={version} \\\n    {HASH}\n    # via something\n" if hashed else f"{name}=={version}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small locks without a fault."""
    for group, _ in locks.ORDER:
        (tmp_path / f"{group}.in").write_text("# why\n-r other.in\nThing[extra]==1.2.*\nfree\n", encoding="utf-8")
        lock = "# header\n" + entry("free", "9.0") + entry("thing", "1.2.3")
        (tmp_path / f"{group}.txt").write_text(lock, encoding="utf-8")
    return tmp_path


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def test_the_committed_locks_are_consistent() -> None:
    assert list(locks.problems(REQUIREMENTS)) == []
    for group in GROUPS:
        assert locks.locked((REQUIREMENTS / f"{group}.txt").read_text(encoding="utf-8")), group
        assert list(locks.wanted((REQUIREMENTS / f"{group}.in").read_text(encoding="utf-8"))), group


def test_small_locks_without_a_fault_pass(folder: Path) -> None:
    assert list(locks.problems(folder)) == []


FREE = "free==9.0"
FAULTS = [
    ("local.in", "free\n", "free\nadded\n", ["requirements/local.txt: added of local.in is missing"]),
    ("image.in", "1.2.*", "1.3.*", ["requirements/image.txt: thing is 1.2.3, image.in wants ==1.3.*;"]),
    ("image.in", "1.2.*", "1.2", ["requirements/image.txt: thing is 1.2.3, image.in wants ==1.2;"]),
    ("bootstrap.txt", FREE, f"bare==1\n{FREE}", ["requirements/bootstrap.txt: bare 1 has no SHA-256"]),
    (
        "dev.txt",
        "9.0",
        "9.1",
        ["requirements: free differs between groups (program 9.0, local 9.0, image 9.0, dev 9.1)"],
    ),
    (
        "image.txt",
        "# header",
        "--index-url https://example.org/simple",
        ["requirements/image.txt:1: names an index address", "requirements/image.txt:1: names an address"],
    ),
    ("image.txt", "# header", "# via -r /home/me/image.in", ["requirements/image.txt:1: names a path of one machine"]),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), FAULTS)
def test_every_fault_is_reported_with_its_place(folder: Path, file: str, old: str, new: str, said: list[str]) -> None:
    edit(folder / file, lambda s: s.replace(old, new))
    found = list(locks.problems(folder))
    assert len(found) == len(said)
    for problem, start in zip(found, said, strict=True):
        assert problem.startswith(start)


def test_all_faults_are_reported_together(folder: Path) -> None:
    edit(folder / "local.in", lambda s: s + "added\n")
    edit(folder / "image.txt", lambda s: s + entry("bare", "1", hashed=False))
    assert len(list(locks.problems(folder))) == 2
    (folder / "dev.txt").unlink()
    (folder / "program.in").unlink()
    assert list(locks.problems(folder)) == ["requirements/dev.txt: missing", "requirements/program.in: missing"]


def test_a_package_may_have_several_versions_for_several_platforms(folder: Path) -> None:
    for group, _ in locks.ORDER:
        edit(folder / f"{group}.txt", lambda s: s + entry("thing", "1.2.4"))
    assert list(locks.problems(folder)) == []


def test_each_constraint_is_resolved_before_the_locks_that_it_constrains() -> None:
    done: set[str] = set()
    for group, constraint in locks.ORDER:
        assert constraint is None or constraint in done
        done.add(group)
    assert done == {"bootstrap", *GROUPS, SDK_GROUP, *BENCH_GROUPS, *SERVER_GROUPS}


def test_uv_is_told_to_keep_hashes_in_and_addresses_out() -> None:
    words = locks.compile_command(Path("/cache/uv"), "local", "dev", [])
    assert {"--universal", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"} <= set(words)
    assert words[words.index("-c") + 1] == "dev.txt"
    assert words[words.index("-o") + 1] == "local.txt"
    assert "-c" not in locks.compile_command(Path("/cache/uv"), "image", None, [])
