"""Fargate's Kubernetes objects, and what a pod may not ask for there, as pure functions.

Sources: EKS user guide, "Start AWS Fargate logging for your cluster", "Assign security groups to individual Pods",
"Understand Fargate Pod configuration details".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from components.nodes import GPU_RESOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pulumi

LOG_NAMESPACE: Final = "aws-observability"
"""Namespace in which Fargate looks for its log route; the name is fixed."""
LOG_CONFIG_MAP: Final = "aws-logging"
"""Name of the log route; fixed as well."""
MAX_LOG_CONFIG: Final = 5300
"""Characters of the log route."""
DNS: Final = 53
KUBELET: Final = 10250
SECURITY_GROUP_POLICY: Final = "vpcresources.k8s.aws/v1beta1"

_SIZES: Final = (
    (0.25, 0.5, 2, 1),
    (0.5, 1, 4, 1),
    (1, 2, 8, 1),
    (2, 4, 16, 1),
    (4, 8, 30, 1),
    (8, 16, 60, 4),
    (16, 32, 120, 8),
)
"""Processors, and the least, the most and the step of memory (GiB) that Fargate sells with them."""
_KUBELET_MIB: Final = 256
"""What Fargate adds to the memory of a pod."""
_ON_NODES_ONLY: Final = ("nodeSelector", "affinity", "topologySpreadConstraints", "tolerations")
_VOLUMES: Final = ("emptyDir", "configMap", "secret", "projected", "downwardAPI")

Pod = Mapping[str, Any]
"""A pod's specification, by the names of the Kubernetes API."""


def log_route(log_group: str, region: str) -> dict[str, str]:
    """Data of the log route: what containers write goes, with the names of pod and namespace, to one log group.

    Raises:
        ValueError: if it is longer than Fargate accepts.
    """
    data = {
        "flb_log_cw": "false",
        "filters.conf": _section("FILTER", Name="parser", Match="*", Key_name="log", Parser="crio")
        + _section(
            "FILTER",
            Name="kubernetes",
            Match="kube.*",
            Merge_Log="On",
            Keep_Log="Off",
            Buffer_Size="0",
            Kube_Meta_Cache_TTL="300s",
        ),
        "output.conf": _section(
            "OUTPUT",
            Name="cloudwatch_logs",
            Match="kube.*",
            region=region,
            log_group_name=log_group,
            log_stream_prefix="fargate-",
            auto_create_group="false",
        ),
        "parsers.conf": _section(
            "PARSER",
            Name="crio",
            Format="Regex",
            Regex=r"^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>P|F) (?<log>.*)$",
            Time_Key="time",
            Time_Format="%Y-%m-%dT%H:%M:%S.%L%z",
        ),
    }
    size = sum(map(len, data.values()))
    if size > MAX_LOG_CONFIG:
        raise ValueError(f"log route of {size} characters exceeds the {MAX_LOG_CONFIG} that Fargate accepts")
    return data


def _section(kind: str, **entries: str) -> str:
    """A section in Fluent Bit's classic form; keys have to be indented more than the section."""
    return "".join([f"[{kind}]\n", *(f"    {key} {value}\n" for key, value in entries.items())])


def security_group_policy(labels: Mapping[str, str], group: pulumi.Input[str]) -> dict[str, Any]:
    """Specification of the SecurityGroupPolicy that gives pods with `labels` one security group."""
    return {"podSelector": {"matchLabels": dict(labels)}, "securityGroups": {"groupIds": [group]}}


def refusals(pod: Pod) -> list[str]:
    """Why a pod cannot run on Fargate, each reason as `check: what was found`; empty where it can.

    The checks are those of `settings.fargate_limits`: host, accelerator, placement, volume, size.
    """
    return [*_host(pod), *_accelerators(pod), *_placement(pod), *_volumes(pod), *_size(pod)]


def _containers(pod: Pod) -> list[Pod]:
    return [*pod.get("containers", ()), *pod.get("initContainers", ())]


def _host(pod: Pod) -> Iterator[str]:
    yield from (f"host: {name}" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for container in _containers(pod):
        if container.get("securityContext", {}).get("privileged"):
            yield f"host: privileged container {container['name']}"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"host: hostPort of container {container['name']}"


def _accelerators(pod: Pod) -> Iterator[str]:
    accelerators = (GPU_RESOURCE, "aws.amazon.com/neuron", "vpc.amazonaws.com/efa")
    for container in _containers(pod):
        asked = [name for kind in container.get("resources", {}).values() for name in kind]
        yield from (f"accelerator: {name}" for name in accelerators if name in asked)


def _placement(pod: Pod) -> Iterator[str]:
    yield from (f"placement: {name}" for name in _ON_NODES_ONLY if pod.get(name))


def _volumes(pod: Pod) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        kinds = sorted(kind for kind in volume if kind not in ("name", *_VOLUMES))
        yield from (f"volume: {kind} {volume['name']}" for kind in kinds)


def _size(pod: Pod) -> Iterator[str]:
    """Requests have to be limits, and their sum something that is sold."""
    for container in pod.get("containers", ()):
        asked = container.get("resources", {})
        if not asked.get("requests") or asked.get("requests") != asked.get("limits"):
            yield f"size: requests of container {container['name']} are not its limits"
    resources = [container.get("resources", {}).get("requests", {}) for container in pod.get("containers", ())]
    if sold_size(resources) is None:
        yield "size: more than 16 processors or 120 GiB"


def sold_size(requests: Sequence[Mapping[str, str]]) -> tuple[float, float] | None:
    """Processors and memory (GiB) that Fargate gives, and bills, for containers' requests; None where it has none.

    Memory is rounded up to the step of the size, 256 MiB for the machine itself included.
    """
    cpu = sum(_cpu(request.get("cpu", "0")) for request in requests)
    memory = (sum(_mib(request.get("memory", "0")) for request in requests) + _KUBELET_MIB) / 1024
    for processors, least, most, step in _SIZES:
        sold = max(least, math.ceil(memory / step) * step if memory > least else least)
        if cpu <= processors and sold <= most:
            return processors, sold
    return None


def _cpu(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _mib(quantity: str) -> float:
    units = {"Gi": 1024.0, "Mi": 1.0, "Ki": 1 / 1024}
    return float(quantity[:-2]) * units[quantity[-2:]] if quantity[-2:] in units else float(quantity) / 1024**2
