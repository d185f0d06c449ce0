import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from settings.versions import READ, STANDARD_SUPPORT_ENDS
from tools import doctor, pulumi_cli, pulumi_release
from tools.artefacts import MARKER, Cache
from tools.commands import Commands
from tools.doctor import Finding, Verdict
from tools.kube_programs import PROGRAMS, KubePrograms

Fake = Callable[[str, str], Path]
PINNED = pulumi_cli.pinned_version()


def offline(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
    del url, seconds, on_bytes
    raise OSError("no route")


def online(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
    del url, seconds, on_bytes
    return f"{'0' * 64}  {pulumi_release.archive_name(PINNED)}\n".encode()


def forbidden(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
    del seconds, on_bytes
    raise AssertionError(f"asked {url} although the answer decides nothing")


def verdicts(cache: Cache, opener: pulumi_release.Opener) -> dict[str, Verdict]:
    return {finding.name: finding.verdict for finding in doctor.pulumi(cache, opener)}


def test_a_fitting_cli_on_path_is_enough(cache: Cache, fake: Fake) -> None:
    fake("pulumi", f"echo v{PINNED}")
    assert verdicts(cache, forbidden) == {"pulumi": Verdict.OK}


def test_a_cli_in_the_cache_is_enough(cache: Cache, fake: Fake) -> None:
    fake("pulumi", "echo v3.1.0")
    folder = cache.path(pulumi_cli.PulumiCli(cache, Commands()).artefact())
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "pulumi").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "bin" / "pulumi").chmod(0o755)
    (folder / MARKER).touch()
    assert verdicts(cache, forbidden) == {"pulumi": Verdict.OK}


def test_go_is_enough_and_then_the_network_is_not_asked(cache: Cache, fake: Fake) -> None:
    fake("go", "echo go1.26.0")
    assert verdicts(cache, forbidden) == {"pulumi": Verdict.LATER, "go": Verdict.OK}


def test_without_go_the_official_release_decides(cache: Cache, fake: Fake) -> None:
    fake("unrelated", "")
    assert verdicts(cache, online) == {"pulumi": Verdict.LATER}
    assert verdicts(cache, offline) == {"pulumi": Verdict.MISSING, "go": Verdict.MISSING}


def test_a_control_plane_is_built_where_go_is_and_then_needs_no_go(cache: Cache, fake: Fake) -> None:
    fake("unrelated", "")
    missing = doctor.control_plane(cache)
    assert (missing.verdict, missing.found, missing.use) == (Verdict.MISSING, "no `go` on PATH", "test-kube")
    assert not missing.local, "environment `local` runs without it"
    fake("go", "echo go1.26.0")
    assert doctor.control_plane(cache).verdict is Verdict.LATER
    for name in PROGRAMS:
        folder = cache.path(KubePrograms(cache, Commands()).artefact(name))
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
        (folder / MARKER).touch()
    fake("go", "exit 1")
    assert doctor.control_plane(cache).verdict is Verdict.OK


def test_what_is_too_old_is_called_so_with_all_three_ways(cache: Cache, fake: Fake) -> None:
    path = fake("pulumi", "echo v3.1.0")
    fake("go", "echo go1.19")
    assert verdicts(cache, offline) == {"pulumi": Verdict.TOO_OLD, "go": Verdict.TOO_OLD}
    remedy = next(finding.remedy for finding in doctor.pulumi(cache, offline))
    assert remedy.startswith(f"{path} is not used: it is v3.1.0, older")
    assert [number for number in range(9) if f"\n  {number}. " in remedy] == [1, 2, 3]


@pytest.mark.parametrize(
    ("script", "verdict"), [("echo tool 1.2", Verdict.OK), ("exit 1", Verdict.FAILS), (None, Verdict.MISSING)]
)
def test_a_program_is_judged_by_what_it_answers(fake: Fake, script: str | None, verdict: Verdict) -> None:
    if script is not None:
        fake("tool", script)
    finding = doctor.program("tool", "--version", needed="any", remedy="get it", local=False)
    assert finding.verdict is verdict
    assert finding.found == {Verdict.OK: "tool 1.2", Verdict.MISSING: "-"}.get(verdict, finding.found)


def test_credentials_are_named_and_never_shown(tmp_path: Path) -> None:
    assert doctor.credentials({}, tmp_path).verdict is Verdict.MISSING
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[profile team]\nsso_session = corp\n[sso-session corp]\nsso_start_url = https://sso.example\n",
        encoding="utf-8",
    )
    (tmp_path / ".aws" / "credentials").write_text("[old]\naws_secret_access_key = s3cr3t\n", encoding="utf-8")
    finding = doctor.credentials({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, tmp_path)
    assert finding.verdict is Verdict.OK
    assert all(name in finding.found for name in ("$AWS_ACCESS_KEY_ID", "profile team", "sso-session corp", "old"))
    assert not any(value in str(finding) for value in ("s3cr3t", "AKIAEXAMPLE", "sso.example"))


def test_a_broken_profile_file_is_reported_not_raised(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("no section\n", encoding="utf-8")
    found = doctor.credentials({"AWS_CONFIG_FILE": str(tmp_path / "broken")}, tmp_path).found
    assert "unreadable (MissingSectionHeaderError)" in found


def test_too_little_space_is_found_where_the_cache_will_be(tmp_path: Path) -> None:
    assert doctor.disk(tmp_path / "not" / "yet", 1e-9).verdict is Verdict.OK
    assert doctor.disk(tmp_path / "not" / "yet", 1e9).verdict is Verdict.FAILS


def test_a_machine_without_loopback_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.loopback().verdict is Verdict.OK

    def refuse(_address: tuple[str, int]) -> socket.socket:
        raise PermissionError("not allowed")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert doctor.loopback().verdict is Verdict.FAILS


def finding(verdict: Verdict, *, local: bool) -> Finding:
    return Finding(name="thing", found="-", needed="any", verdict=verdict, remedy="get a thing", local=local)


@pytest.mark.parametrize(
    ("only", "code"),
    [
        (finding(Verdict.OK, local=True), 0),
        (finding(Verdict.LATER, local=True), 0),
        (finding(Verdict.MISSING, local=False), 0),
        (finding(Verdict.MISSING, local=True), 1),
        (finding(Verdict.TOO_OLD, local=True), 1),
        (finding(Verdict.FAILS, local=True), 1),
    ],
)
def test_the_exit_code_says_whether_local_can_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], only: Finding, code: int
) -> None:
    def examine(*_arguments: object) -> list[Finding]:
        return [only]

    monkeypatch.setattr(doctor, "examine", examine)
    assert doctor.main() == code
    said = capsys.readouterr().out
    assert ("get a thing" in said) == (not only.verdict.good)
    assert said.rstrip().endswith("cannot run before this is solved: thing" if code else "can run: make up")


def test_a_kubernetes_version_is_too_old_for_real_environments_a_quarter_before_its_support_ends() -> None:
    fresh, late = list(doctor.kubernetes(READ)), list(doctor.kubernetes(max(STANDARD_SUPPORT_ENDS.values())))
    assert [found.verdict for found in fresh] == [Verdict.OK] * len(STANDARD_SUPPORT_ENDS)
    assert [found.verdict for found in late] == [Verdict.TOO_OLD] * len(STANDARD_SUPPORT_ENDS)
    assert not any(found.local for found in late), "environment local needs no EKS"


def test_the_whole_examination_touches_no_network(
    cache: Cache, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake("pulumi", f"echo v{PINNED}")

    def connect(_self: socket.socket, address: object) -> None:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    names = [found.name for found in doctor.examine(cache, {}, tmp_path)]
    assert {"python", "make", "pulumi", "uv", "disk space", "loopback", "aws", "AWS credentials"} <= set(names)
    assert "control plane" in names
    assert len(names) == len(set(names))
    assert not cache.root.exists(), "nothing is changed"
