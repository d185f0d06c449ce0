"""Pods: directories of their node."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.pods import WORKLOADS, Pod, in_pods
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide
from guardrails.view import Missing, Unknown, Value, all_of

_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/dockershim.sock")
_READ_ONLY = ":ro"


@dataclass(frozen=True, slots=True)
class HostPathFacts:
    """Who may mount what of a node."""

    allowed: Annotated[
        Mapping[str, tuple[str, ...]],
        "By namespace/name (wildcards allowed): paths of the node; one that ends in :ro may only be read.",
    ] = field(default_factory=dict[str, tuple[str, ...]])

    def grants(self, key: str) -> frozenset[str]:
        """The paths that a workload may mount."""
        return frozenset(path for each, paths in self.allowed.items() if fnmatchcase(key, each) for path in paths)


def _reaches_runtime(path: str) -> bool:
    """Whether a path is the container runtime's socket or a directory below the root that holds it."""
    real = f"/{path.removeprefix('/var').lstrip('/')}" if path.startswith("/var/run") else path
    return any(socket == real or socket.startswith(f"{real}/") for socket in _SOCKETS)


def _read_only(pod: Pod, name: Value) -> bool | None:
    """Whether every mount of a volume is read-only."""
    mounts = [each for container in pod.containers for each in container.value.select("volumeMounts[*]")]
    named = [each for each in mounts if each.child("name").text() == name.text()]
    flags = [each.child("readOnly") for each in named]
    return all_of(None if isinstance(each, Unknown) else each.flag() is True for each in flags)


def _check(pod: Pod, facts: HostPathFacts) -> Iterator[Finding]:
    granted = facts.grants(pod.key)
    for volume in pod.spec.select("volumes[*]"):
        place = volume.get("hostPath.path")
        if isinstance(volume.child("hostPath"), Missing):
            continue
        if isinstance(place, Unknown):
            yield Undetermined(path=place.path)
            continue
        path = posixpath.normpath(place.text() or "/").replace("//", "/")
        if _reaches_runtime(path):
            yield Violation(path=place.path, found=path, wanted="no way to the container runtime's socket")
        elif path not in granted:
            readable = _read_only(pod, volume.child("name")) if f"{path}{_READ_ONLY}" in granted else False
            yield from decide(readable, place, found=path, wanted="a path (and :ro) that the configuration allows")


K8S_04 = ResourceRule(
    id="K8S-04",
    name="hostpath-allowlist",
    title="Pods mount directories of their node only where configuration says so",
    tokens=WORKLOADS,
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.2.1", "soc2:CC6.1", "gdpr:32"),
    why="the node's files hold every other pod's secrets and the kubelet's credentials",
    fix="use a volume of another type, or list namespace/name and path under allowed in the pack configuration",
    facts=HostPathFacts,
    check=in_pods(_check),
    traps=(
        "paths are compared after .. and double slashes are resolved",
        "an entry with :ro holds only when every mount of the volume is read-only, in init containers too",
        "the runtime's socket and its directories are never allowed",
    ),
)
