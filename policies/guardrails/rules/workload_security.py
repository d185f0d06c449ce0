"""Pods: the Pod Security Standards `baseline` and `restricted`, and root file systems that nobody writes to.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.pods import POD, WORKLOADS, Container, Pod, in_pods
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Violation, require, require_true
from guardrails.view import Missing, Unknown, Value

_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_SELINUX = frozenset(("container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_CONFINED = frozenset(("RuntimeDefault", "Localhost"))
_REMOVED = (
    *(f"kubernetes:extensions/v1beta1:{kind}" for kind in ("DaemonSet", "Deployment", "Ingress", "NetworkPolicy")),
    *(f"kubernetes:extensions/v1beta1:{kind}" for kind in ("PodSecurityPolicy", "ReplicaSet")),
    *(f"kubernetes:apps/v1beta1:{kind}" for kind in ("Deployment", "StatefulSet")),
    *(f"kubernetes:apps/v1beta2:{kind}" for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")),
    *(f"kubernetes:batch/{version}:CronJob" for version in ("v1beta1", "v2alpha1")),
    *(f"kubernetes:policy/v1beta1:{kind}" for kind in ("PodDisruptionBudget", "PodSecurityPolicy")),
    *(f"kubernetes:autoscaling/{version}:HorizontalPodAutoscaler" for version in ("v2beta1", "v2beta2")),
)
"""Types whose API version no supported Kubernetes serves any more (deprecated API migration guide)."""

_Test = Callable[[Value], bool]


def _not_true(value: Value) -> bool:
    return value.flag() is not True


def _among(allowed: frozenset[str]) -> _Test:
    return lambda value: value.text() in allowed


_POD_CONTROLS: tuple[tuple[str, str, _Test, str], ...] = (
    *((name, name, _not_true, "false") for name in ("hostNetwork", "hostPID", "hostIPC")),
    ("sysctls", "securityContext.sysctls[*].name", _among(_SYSCTLS), "a sysctl of the safe set"),
)
_CONTAINER_CONTROLS: tuple[tuple[str, str, _Test, str], ...] = (
    ("privileged", "securityContext.privileged", _not_true, "false"),
    ("capabilities", "securityContext.capabilities.add[*]", _among(_CAPABILITIES), "a capability of the baseline"),
    ("hostPorts", "ports[*].hostPort", lambda value: value.number() == 0, "no host port"),
    ("procMount", "securityContext.procMount", _among(frozenset(("Default",))), "Default"),
)
_SHARED_CONTROLS: tuple[tuple[str, str, _Test, str], ...] = (
    ("hostProcess", "securityContext.windowsOptions.hostProcess", _not_true, "false"),
    ("seccomp", "securityContext.seccompProfile.type", _among(_CONFINED), "RuntimeDefault or Localhost"),
    ("appArmor", "securityContext.appArmorProfile.type", _among(_CONFINED), "RuntimeDefault or Localhost"),
    ("seLinux", "securityContext.seLinuxOptions.type", _among(_SELINUX), "a type of the container policy"),
    ("seLinux", "securityContext.seLinuxOptions.user", lambda _: False, "no SELinux user"),
    ("seLinux", "securityContext.seLinuxOptions.role", lambda _: False, "no SELinux role"),
)


def _controls(pod: Pod) -> Iterator[tuple[str, Value, _Test, str]]:
    """Every value that the baseline speaks about and the pod sets."""
    containers = [each.value for each in pod.containers]
    for holders, controls in (
        ([pod.spec], (*_POD_CONTROLS, *_SHARED_CONTROLS)),
        (containers, (*_CONTAINER_CONTROLS, *_SHARED_CONTROLS)),
    ):
        for name, path, holds, wanted in controls:
            for value in (each for holder in holders for each in holder.select(path)):
                if not isinstance(value, Missing):
                    yield name, value, holds, wanted
    for key, value in pod.metadata.get("annotations").items():
        if key.startswith("container.apparmor.security.beta.kubernetes.io/"):
            yield "appArmor", value, lambda each: each.text() != "unconfined", "runtime/default or localhost/…"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Who needs more of the node than the baseline gives."""

    allowed: Annotated[
        Mapping[str, tuple[str, ...]], "By namespace/name (wildcards allowed): the controls that need not hold there."
    ] = field(default_factory=dict[str, tuple[str, ...]])

    def allows(self, key: str, control: str) -> bool:
        """Whether a workload may break a control."""
        return any(fnmatchcase(key, each) and control in controls for each, controls in self.allowed.items())


def _baseline(pod: Pod, facts: HostFacts) -> Iterator[Finding]:
    if (
        pod.resource.token == POD
        and isinstance(pod.resource.get("metadata.ownerReferences"), Missing)
        and not facts.allows(pod.key, "barePod")
    ):
        yield Violation(path="", found="a pod of its own", wanted="a Deployment, StatefulSet, DaemonSet or Job")
    for control, value, holds, wanted in _controls(pod):
        if not facts.allows(pod.key, control):
            yield from require(value, holds, wanted)


def _check_baseline(resource: Resource, facts: HostFacts) -> Iterator[Finding]:
    if resource.token in _REMOVED:
        yield Violation(path="", found="an API version that is no longer served", wanted="its stable version")
    else:
        yield from in_pods(_baseline)(resource, facts)


K8S_01 = ResourceRule(
    id="K8S-01",
    name="pod-baseline",
    title="No pod has privileges over its node",
    tokens=(*WORKLOADS, *_REMOVED),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.2.1", "cis-eks:4.2.2", "cis-eks:4.2.3", "cis-eks:4.2.4", "soc2:CC6.1", "gdpr:32"),
    why="a privileged pod is root on its node, and so in every other pod there",
    fix="remove the setting, or list the workload and the control under allowed in the pack configuration",
    facts=HostFacts,
    check=_check_baseline,
    traps=(
        "init and ephemeral containers count; a field that is not set holds",
        "hostPort 0 is no host port; privileged false is not privileged",
        "a pod that nobody owns is not made again when its node goes",
    ),
)

_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "name",
    ]
)


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """Which namespaces hold the platform itself."""

    infrastructure: Annotated[tuple[str, ...], "Namespaces of infrastructure, which this rule leaves out."] = (
        "kube-system",
    )

    def leaves_out(self, pod: Pod) -> bool:
        """Whether the rule does not judge a pod, because of its namespace or its operating system."""
        return pod.windows or pod.key.partition("/")[0] in self.infrastructure


def _restrict(container: Container) -> Iterator[Finding]:
    own = container.value.get("securityContext")
    yield from require(own.get("allowPrivilegeEscalation"), lambda value: value.flag() is False, "false")
    yield from require_true(container.security("runAsNonRoot"))
    user = container.security("runAsUser")
    if not isinstance(user, Missing):
        yield from require(user, lambda value: value.number() != 0, "a user other than 0")
    yield from require(container.security("seccompProfile.type"), _among(_CONFINED), "RuntimeDefault or Localhost")
    dropped = own.select("capabilities.drop[*]")
    if not any(each.text() == "ALL" for each in dropped):
        unknown = next((each for each in dropped if isinstance(each, Unknown)), own.get("capabilities.drop"))
        yield from require(unknown, lambda _: False, "ALL")
    for added in own.select("capabilities.add[*]"):
        yield from require(added, lambda value: value.text() == "NET_BIND_SERVICE", "no capability")


def _restricted(pod: Pod, facts: PlatformFacts) -> Iterator[Finding]:
    if facts.leaves_out(pod):
        return
    for container in pod.containers:
        yield from _restrict(container)
    for volume in pod.spec.select("volumes[*]"):
        for kind, value in volume.items():
            if kind not in _VOLUMES and not isinstance(value, Missing):
                yield Violation(path=value.path, found=kind, wanted="a volume type of the restricted standard")


K8S_02 = ResourceRule(
    id="K8S-02",
    name="pod-restricted",
    title="Pods run without root, without capabilities and without a way to gain either",
    tokens=WORKLOADS,
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:4.2.5", "soc2:CC6.1", "gdpr:32"),
    why="who breaks into a process then holds what the process had, and no kernel interface to get more",
    fix="set runAsNonRoot, seccompProfile RuntimeDefault, allowPrivilegeEscalation false and capabilities.drop [ALL]",
    facts=PlatformFacts,
    check=in_pods(_restricted),
    traps=(
        "runAsNonRoot, runAsUser and seccompProfile of the pod count until a container sets its own",
        "allowPrivilegeEscalation and capabilities exist on containers only",
        "pods on Windows have none of these controls",
    ),
)


def _read_only(pod: Pod, facts: PlatformFacts) -> Iterator[Finding]:
    for container in () if facts.leaves_out(pod) else pod.containers:
        if not container.ephemeral:
            yield from require_true(container.get("securityContext.readOnlyRootFilesystem"))


K8S_03 = ResourceRule(
    id="K8S-03",
    name="readonly-rootfs",
    title="Containers cannot change their own file system",
    tokens=WORKLOADS,
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("soc2:CC6.8",),
    why="an intruder can then leave nothing behind and replace nothing that runs",
    fix="set readOnlyRootFilesystem true and mount an emptyDir where the process writes",
    facts=PlatformFacts,
    check=in_pods(_read_only),
    traps=("containers that join a pod for debugging are left out",),
)
