import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import kube_programs
from tools.artefacts import Cache
from tools.commands import Commands, SetupError
from tools.environments import ROOT
from tools.go_programs import pins_key, required_version
from tools.kube_programs import KUBE_MANIFESTS, KUBE_MODULE, KWOK_MODULE, PROGRAMS, KubePrograms

Fake = Callable[[str, str], Path]

GO = """
case "$1" in
  env) echo go1.26.0 ;;
  list) echo "go: downloading $3 v1.0.0"; echo example.org/a ;;
  mod) echo '{"Path": "example.org/charts", "Dir": "/charts"}{"Path": "example.org/more", "Dir": "/more"}' ;;
  build)
    echo "${PWD##*/} $*" >>"$FAKE_GO_LOG"
    while [ "$1" != -o ]; do shift; done
    /bin/mkdir -p "${2%/*}"; echo '#!/bin/sh' >"$2"; /bin/chmod 755 "$2" ;;
esac
"""


@pytest.fixture
def go_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_GO_LOG", str(tmp_path / "go.log"))
    return tmp_path / "go.log"


def test_every_program_is_built_once_from_the_module_that_pins_it(
    cache: Cache, fake: Fake, go_log: Path, screen: io.StringIO
) -> None:
    fake("go", GO)
    programs = KubePrograms(cache, Commands())
    programs.ensure()
    built = go_log.read_text(encoding="utf-8").splitlines()
    assert [line.rsplit("/bin/", 1)[1].split()[0] for line in built] == list(PROGRAMS)
    for line, (name, source) in zip(built, PROGRAMS.items(), strict=True):
        assert line.startswith(f"{source.pins.name} build ")
        assert line.endswith(f" {source.module}/{source.package}".rstrip("/"))
        assert (f" -tags {','.join(source.tags)} " in line) == bool(source.tags)
        assert programs.path(name).is_file()
    version = required_version(KUBE_MODULE, "k8s.io/kubernetes")
    assert f"-X k8s.io/component-base/version.gitVersion=v{version} -o" in built[0]
    assert f"✓ building kube-apiserver {version}" in screen.getvalue()

    go_log.unlink()
    programs.ensure()
    assert not go_log.exists(), "the second time nothing is built"


def test_without_go_the_error_says_what_needs_it(cache: Cache, fake: Fake) -> None:
    fake("unrelated", "")
    with pytest.raises(SetupError, match=r"no `go` on PATH\..* install Go 1\.21 or newer .* Nothing else needs it\."):
        KubePrograms(cache, Commands()).ensure()
    with pytest.raises(SetupError, match="is not built; `make test-kube` builds it"):
        KubePrograms(cache, Commands()).path("etcd")


def test_a_change_of_the_pins_is_another_artefact(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {KubePrograms(cache, Commands()).artefact("etcd").name}
    for file in ("go.mod", "go.sum"):
        (tmp_path / file).write_bytes((KUBE_MODULE / file).read_bytes() + b"\n")
    source = PROGRAMS["etcd"]
    changed = kube_programs.Source(tmp_path, source.module, source.package, source.version_variable)
    monkeypatch.setattr(kube_programs, "PROGRAMS", {"etcd": changed})
    names.add(KubePrograms(cache, Commands()).artefact("etcd").name)
    assert len(names) == 2
    assert all(name.startswith("etcd-3.") for name in names)


@pytest.mark.parametrize("pins", [KUBE_MODULE, KWOK_MODULE, KUBE_MANIFESTS], ids=lambda pins: pins.name)
def test_every_required_module_has_its_hash(pins: Path) -> None:
    required = re.findall(r"^(?:require )?\s*(\S+) v(\S+)", (pins / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    sums = (pins / "go.sum").read_text(encoding="utf-8")
    direct = [(module, version) for module, version in required if module in direct_modules(pins)]
    assert direct
    for module, version in direct:
        assert f"{module} v{version} h1:" in sums, module


def direct_modules(pins: Path) -> set[str]:
    lines = (pins / "go.mod").read_text(encoding="utf-8").partition("\nreplace")[0].splitlines()
    return {
        line.removeprefix("require").split()[0] for line in lines if " v" in line and not line.endswith("// indirect")
    }


def test_libraries_of_kubernetes_are_of_the_release_of_its_servers() -> None:
    version = required_version(KUBE_MODULE, "k8s.io/kubernetes")
    lines = (KUBE_MODULE / "go.mod").read_text(encoding="utf-8").partition("\nreplace (")[2].strip(" )\n").splitlines()
    assert len(lines) > 25
    for line in lines:
        module, arrow, same, release = line.split()
        assert (module, arrow, release) == (same, "=>", f"v0.{version.partition('.')[2]}")


def test_folders_of_modules_are_what_go_says(fake: Fake) -> None:
    fake("go", GO)
    assert kube_programs.module_folders() == {"example.org/charts": Path("/charts"), "example.org/more": Path("/more")}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("""echo '{"Path": "a", "Error": "the proxy says no"}'; exit 1""", "the proxy says no"),
        ("echo 'checksum mismatch' >&2; exit 1", "checksum mismatch"),
    ],
)
def test_a_module_that_cannot_be_had_is_an_error_that_says_why(fake: Fake, script: str, said: str) -> None:
    fake("go", script)
    with pytest.raises(SetupError, match=rf"(?s)kube_manifests/go\.mod: cannot be fetched.*{said}"):
        kube_programs.module_folders()


def test_make_builds_a_control_plane_for_its_tests_only(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    python.chmod(0o755)

    def said(target: str) -> str:
        return subprocess.run(
            ["make", target, f"PYTHON={python}"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert "--group dev --kube -- tools.suite kube\n" in said("test-kube")
    assert "--kube" not in said("test") + said("test-unit") + said("check")


def test_the_key_of_pins_is_of_both_files(tmp_path: Path) -> None:
    keys: set[str] = set()
    for content in ({"go.mod": "a", "go.sum": "b"}, {"go.mod": "x", "go.sum": "b"}, {"go.mod": "a", "go.sum": "x"}):
        for name, text in content.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        keys.add(pins_key(tmp_path))
    assert len(keys) == 3
