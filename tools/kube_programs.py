"""Programs built from Go modules: a control plane, Prometheus and Helm for tests on loopback, crane for images.

`go.mod` of `tools/kube_module`, `tools/kwok_module`, `tools/rollouts_module` and `tools/prometheus_module` pin what is
built, that of `tools/kube_manifests` what is only read (custom resource definitions and charts); their `go.sum` hold
the hashes. Raising a version is a change of those files.
"""

import functools
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tools.artefacts import Artefact, Cache
from tools.commands import Commands, SetupError
from tools.environments import ROOT
from tools.go_programs import OLDEST_GO, GoProgram, go_environment, go_refusal, pins_key, required_version
from tools.progress import Step

KUBE_MODULE = ROOT / "tools" / "kube_module"
KWOK_MODULE = ROOT / "tools" / "kwok_module"
"""Apart from the others: it is made for another release of the Kubernetes libraries than the control plane."""
ROLLOUTS_MODULE = ROOT / "tools" / "rollouts_module"
"""Apart from the others, too: it replaces the Kubernetes libraries by those of its own release."""
PROMETHEUS_MODULE = ROOT / "tools" / "prometheus_module"
"""Apart from the others, too: its libraries are newer. Of the minor version that the operator deploys by default."""
CRANE_MODULE = ROOT / "functions" / "packager"
"""Beside the build of images in AWS, which builds crane from the same pins."""
KUBE_MANIFESTS = ROOT / "tools" / "kube_manifests"
DOWNLOAD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where an executable comes from."""

    pins: Path
    """Folder of the `go.mod` and `go.sum` that it is built by."""
    module: str
    """Go module whose version is the executable's."""
    package: str
    """Import path below the module; empty for the module's root."""
    version_variable: str | None = None
    """What the linker sets to the version, where the source does not say it: Kubernetes would call itself v0.0.0."""
    tags: tuple[str, ...] = ()
    """Build tags."""


CRANE = "crane"
"""Copies and changes images without a container engine."""
KUBERNETES = "k8s.io/kubernetes"
KUBERNETES_VERSION = "k8s.io/component-base/version.gitVersion"
PROMETHEUS = "github.com/prometheus/prometheus"
NO_DISCOVERY = ("remove_all_sd",)
"""Prometheus without service discovery, a third of its packages; tests name their targets."""
PROGRAMS: Mapping[str, Source] = MappingProxyType(
    {
        # The API server comes first: what it is made of is most of what the others are made of.
        "kube-apiserver": Source(KUBE_MODULE, KUBERNETES, "cmd/kube-apiserver", KUBERNETES_VERSION),
        "kube-scheduler": Source(KUBE_MODULE, KUBERNETES, "cmd/kube-scheduler", KUBERNETES_VERSION),
        "kube-controller-manager": Source(KUBE_MODULE, KUBERNETES, "cmd/kube-controller-manager", KUBERNETES_VERSION),
        "etcd": Source(KUBE_MODULE, "go.etcd.io/etcd/server/v3", ""),
        "karpenter": Source(KUBE_MODULE, "sigs.k8s.io/karpenter", "kwok", "sigs.k8s.io/karpenter/pkg/operator.Version"),
        "kwok": Source(KWOK_MODULE, "sigs.k8s.io/kwok", "cmd/kwok"),
        "rollouts-controller": Source(ROLLOUTS_MODULE, "github.com/argoproj/argo-rollouts", "cmd/rollouts-controller"),
        "prometheus": Source(PROMETHEUS_MODULE, PROMETHEUS, "cmd/prometheus", tags=NO_DISCOVERY),
        "promtool": Source(PROMETHEUS_MODULE, PROMETHEUS, "cmd/promtool", tags=NO_DISCOVERY),
        CRANE: Source(CRANE_MODULE, "github.com/google/go-containerregistry", "cmd/crane"),
        "helm": Source(KUBE_MODULE, "helm.sh/helm/v3", "cmd/helm", "helm.sh/helm/v3/internal/version.version"),
    }
)
"""Every executable by its name."""


class KubePrograms:
    """Builds the executables, once per version, and finds them."""

    def __init__(self, cache: Cache, commands: Commands) -> None:
        self._cache = cache
        self._commands = commands

    def artefact(self, name: str) -> Artefact:
        """The cached executable of a program of `PROGRAMS`."""
        source = PROGRAMS[name]
        version = required_version(source.pins, source.module)
        return Artefact(
            name=f"{name}-{version}-{pins_key(source.pins)}",
            title=f"building {name} {version}",
            probe=f"bin/{name}",
            build=functools.partial(self._build, name, version),
        )

    def path(self, name: str) -> Path:
        """Path of an executable that was built before.

        Raises:
            SetupError: It was not.
        """
        artefact = self.artefact(name)
        if not self._cache.ready(artefact):
            raise SetupError(f"{artefact.name} is not built; `make test-kube` builds it")
        return self._cache.path(artefact) / artefact.probe

    def ensure(self, names: Iterable[str] = PROGRAMS) -> None:
        """Build what is missing, one after the other (Go itself uses every processor).

        Raises:
            SetupError: Go is missing or too old, a module cannot be fetched, or a build fails.
        """
        missing = [artefact for name in names if not self._cache.ready(artefact := self.artefact(name))]
        if missing and (without_go := go_refusal()):
            oldest = f"{OLDEST_GO[0]}.{OLDEST_GO[1]}"
            raise SetupError(
                f"{missing[0].title}: {without_go}. `make test-kube` and `make promote` build their programs from Go"
                f" modules; install Go {oldest} or newer (go.dev/doc/install). Nothing else needs it."
            )
        for artefact in missing:
            self._cache.ensure(artefact)

    def _build(self, name: str, version: str, folder: Path, log: Path, step: Step) -> None:
        source = PROGRAMS[name]
        program = GoProgram(
            folder=source.pins,
            package=f"{source.module}/{source.package}".rstrip("/"),
            variables={source.version_variable: f"v{version}"} if source.version_variable else {},
            tags=source.tags,
        )
        program.build(folder / "bin" / name, commands=self._commands, log=log, step=step)


def module_folders(pins: Path = KUBE_MANIFESTS, *modules: str) -> dict[str, Path]:
    """Unpacked Go modules by module path: custom resource definitions and charts. Fetched unless Go has them.

    Args:
        pins: Folder of the `go.mod` and `go.sum` that pin them.
        modules: Only these; all that `go.mod` requires otherwise.

    Raises:
        SetupError: A module cannot be fetched, or is not the pinned one.
    """
    try:
        done = subprocess.run(  # noqa: S603 - paths of modules of this project's own, without a shell
            ["go", "mod", "download", "-json", *modules],  # noqa: S607 - the user's own Go, as for every build
            cwd=pins,
            env=go_environment(),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{pins / 'go.mod'}: cannot be fetched: {error}") from error
    found = _documents(done.stdout)
    problems = [f"    {module['Error']}" for module in found if "Error" in module]
    if problems or done.returncode:
        raise SetupError("\n".join([f"{pins / 'go.mod'}: cannot be fetched", *problems, done.stderr.strip()]))
    return {module["Path"]: Path(module["Dir"]) for module in found}


def _documents(text: str) -> list[dict[str, str]]:
    """JSON objects that follow each other, as Go prints them."""
    decoder, found, text = json.JSONDecoder(), list[dict[str, str]](), text.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found
