import hashlib
import io
import re
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import pulumi_cli, pulumi_release
from tools.artefacts import Cache
from tools.commands import Commands, SetupError
from tools.pulumi_cli import PulumiCli, pinned_version, refusal

Fake = Callable[[str, str], Path]

PINNED = pinned_version()
GO = """
case "$1" in
  env) echo go1.26.0 ;;
  list) echo 'go: downloading example.org/a v1.0.0'; echo example.org/a; echo example.org/b ;;
  build)
    { pwd; echo "cgo=$CGO_ENABLED"; for word in "$@"; do echo "$word"; done; } >"$FAKE_GO_LOG"
    while [ "$1" != -o ]; do shift; done
    /bin/mkdir -p "${2%/*}"; printf '#!/bin/sh\\necho v%s\\n' "$FAKE_GO_MAKES" >"$2"
    /bin/chmod 755 "$2"; echo example.org/a ;;
esac
"""


class Release:
    """The official site: a checksum file and an archive with an engine that answers `version`."""

    def __init__(self, *, version: str = PINNED, tampered: bool = False) -> None:
        self.asked: list[str] = []
        script = f"#!/bin/sh\necho v{version}\n".encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name in ("pulumi/pulumi-language-python", "pulumi/pulumi"):
                member = tarfile.TarInfo(name)
                member.size = len(script)
                tar.addfile(member, io.BytesIO(script))
        self.archive = buffer.getvalue()
        digest = hashlib.sha256(self.archive).hexdigest()
        name = pulumi_release.archive_name(PINNED)
        self.checksums = f"{'0' * 64}  pulumi-v{PINNED}-plan9-mips.tar.gz\n{digest}  {name}\n".encode()
        if tampered:
            self.archive += b"!"

    def __call__(self, url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
        del seconds
        self.asked.append(url)
        body = self.checksums if url.endswith("-checksums.txt") else self.archive
        on_bytes(len(body), len(body))
        return body


def unreachable(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
    del seconds, on_bytes
    raise OSError(f"no route to {url.split('/')[2]}")


def cli(cache: Cache, opener: pulumi_release.Opener = unreachable) -> PulumiCli:
    return PulumiCli(cache, Commands(), opener)


@pytest.fixture
def go_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_GO_LOG", str(tmp_path / "go.log"))
    monkeypatch.setenv("FAKE_GO_MAKES", PINNED)
    return tmp_path / "go.log"


def test_a_fitting_cli_on_path_comes_first(cache: Cache, fake: Fake, go_log: Path) -> None:
    mine = fake("pulumi", f"echo v{PINNED}")
    fake("go", GO)
    release = Release()
    assert cli(cache, release).ensure() == mine
    assert release.asked == []
    assert not go_log.exists()
    assert not cache.root.exists()


def test_the_official_release_comes_second(cache: Cache, fake: Fake, go_log: Path) -> None:
    fake("go", GO)
    release = Release()
    found = cli(cache, release).ensure()
    assert found == cache.root / f"pulumi-{PINNED}" / "bin" / "pulumi"
    assert pulumi_cli.version_of(found) == f"v{PINNED}"
    assert [url.rsplit("/", 1)[1] for url in release.asked] == [
        f"pulumi-{PINNED}-checksums.txt",
        pulumi_release.archive_name(PINNED),
    ]
    assert sorted(path.name for path in found.parent.iterdir()) == ["pulumi"], "a language host beside it changes runs"
    assert not go_log.exists()


def test_the_go_module_comes_third(cache: Cache, fake: Fake, go_log: Path, screen: io.StringIO) -> None:
    fake("go", GO)
    found = cli(cache).ensure()
    assert pulumi_cli.version_of(found) == f"v{PINNED}"
    words = go_log.read_text(encoding="utf-8").splitlines()
    assert words[:2] == [str(pulumi_cli.GO_MODULE), "cgo=0"]
    assert words[words.index("-ldflags") + 1].endswith(f"-X {pulumi_cli.VERSION_VARIABLE}=v{PINNED}")
    assert not any(word.startswith("-mod") for word in words)
    assert "official release not used: " in screen.getvalue()


def test_the_cached_cli_needs_neither_network_nor_go(cache: Cache, fake: Fake, go_log: Path) -> None:
    fake("go", GO)
    made = cli(cache).ensure()
    go_log.unlink()
    release = Release()
    assert cli(cache, release).ensure() == made
    assert release.asked == []
    assert not go_log.exists()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (f"echo v{int(PINNED.split('.')[0]) + 1}.0.0", "another major version"),
        ("echo v3.1.0", f"older than the SDK's {re.escape(PINNED)}"),
        ("echo nonsense", "answers `pulumi version` with 'nonsense'"),
        ("exit 1", "answers `pulumi version` with None"),
    ],
)
def test_an_unfit_cli_on_path_is_refused_with_the_reason(
    cache: Cache, fake: Fake, screen: io.StringIO, answer: str, why: str
) -> None:
    path = fake("pulumi", answer)
    assert cli(cache, Release()).ensure() != path
    assert re.search(rf"not using {re.escape(str(path))}: .*{why}", screen.getvalue())


def test_newer_minor_versions_fit() -> None:
    major, minor, _ = PINNED.split(".")
    assert refusal(f"v{major}.{int(minor) + 9}.0", PINNED) is None
    assert refusal(f"v{PINNED}", PINNED) is None
    assert refusal(f"v{major}.{int(minor) - 1}.9", PINNED) is not None


def test_without_any_way_one_error_names_the_three_and_why_each_failed(cache: Cache, fake: Fake) -> None:
    path = fake("pulumi", "echo v3.1.0")
    with pytest.raises(SetupError) as raised:
        cli(cache).ensure()
    message = str(raised.value)
    assert [number for number in range(9) if f"\n  {number}. " in message] == [1, 2, 3]
    assert f"(1) {path}: it is v3.1.0, older" in message
    assert re.search(r"\(2\) https://\S+ cannot be reached: no route to", message)
    assert message.endswith("(3) no `go` on PATH.")
    assert not (cache.root / f"pulumi-{PINNED}").exists()


def test_a_go_that_is_too_old_is_refused(cache: Cache, fake: Fake) -> None:
    fake("go", "echo go1.19.8")
    with pytest.raises(SetupError, match=r"\(3\) Go on PATH is 1\.19\.8, older than 1\.21\.$"):
        cli(cache).ensure()


def test_an_archive_that_is_not_what_was_published_is_never_installed(cache: Cache, fake: Fake, tmp_path: Path) -> None:
    fake("unrelated", "")
    release = Release(tampered=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(SetupError, match="is not what was published"):
        pulumi_release.install(PINNED, folder, lambda _detail: None, release)
    assert list(folder.iterdir()) == []
    with pytest.raises(SetupError, match="No Pulumi CLI"):
        cli(cache, release).ensure()
    assert not (cache.root / f"pulumi-{PINNED}").exists()


def test_an_archive_that_the_checksum_file_does_not_list_is_refused(tmp_path: Path) -> None:
    release = Release()
    release.checksums = release.checksums.splitlines(keepends=True)[0]
    with pytest.raises(SetupError, match="lists no checksum for"):
        pulumi_release.install(PINNED, tmp_path, lambda _detail: None, release)
    assert len(release.asked) == 1, "the archive itself was not fetched"


def test_a_site_that_never_answers_costs_a_bounded_time() -> None:
    forever = threading.Event()

    def hang(url: str, *, seconds: float, on_bytes: Callable[[int, int], None]) -> bytes:
        del url, seconds, on_bytes
        forever.wait(30)
        return b""

    started = time.monotonic()
    with pytest.raises(SetupError, match=r"no answer within 0\.2 s$"):
        pulumi_release.published_checksum(PINNED, hang, seconds=0.2)
    assert time.monotonic() - started < 5
    forever.set()


def test_a_build_that_fails_shows_the_end_of_its_output(cache: Cache, fake: Fake) -> None:
    fake("go", 'case "$1" in env) echo go1.26.0 ;; *) echo first; echo the module proxy says no; exit 3 ;; esac')
    with pytest.raises(
        SetupError, match=r"exit code 3\.\n    first\n    the module proxy says no\nThe whole output is in"
    ):
        cli(cache).ensure()


def test_the_go_module_pins_the_version_of_the_sdk() -> None:
    module = (pulumi_cli.GO_MODULE / "go.mod").read_text(encoding="utf-8")
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PINNED}" in module
    sums = (pulumi_cli.GO_MODULE / "go.sum").read_text(encoding="utf-8")
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PINNED} h1:" in sums


def test_a_cli_that_was_built_before_is_adopted_by_asking_its_version(cache: Cache, fake: Fake) -> None:
    fake("unrelated", "")
    binary = cache.root / f"pulumi-{PINNED}" / "bin" / "pulumi"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho v{PINNED}\n", encoding="utf-8")
    binary.chmod(0o755)
    assert cli(cache).ensure() == binary
    assert cache.ready(cli(cache).artefact())
