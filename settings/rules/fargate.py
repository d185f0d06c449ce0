"""Fargate: only what runs there, closed as the namespace asks (`settings.fargate_limits` says what does not exist)."""

from collections.abc import Collection, Iterator
from typing import Final

from settings.model import Partition, Settings
from settings.problems import Finding, join
from settings.rules.environment import Rule
from settings.rules.storage import node_volumes
from settings.rules.tenancy import all_namespaces


def isolated_namespaces(settings: Settings) -> Collection[str]:
    """Return the namespaces that network policies close: every one that the platform makes for workloads."""
    return [namespace.name for namespace in all_namespaces(settings)]


def fargate_exists_in_the_partition(settings: Settings) -> Iterator[Finding]:
    """EKS has no Fargate in GovCloud (EKS user guide, "Simplify compute management with AWS Fargate")."""
    if settings.fargate.profile is not None and settings.environment.partition is Partition.GOV_CLOUD:
        yield Finding(
            path=("fargate", "profile"),
            found=f"a profile in partition {settings.environment.partition}",
            allowed="null: EKS offers no Fargate there",
            remedy="write null and let the pods run on nodes",
        )


def selectors_name_namespaces_of_workloads(settings: Settings) -> Iterator[Finding]:
    """A misspelt namespace matches nothing; the system's pods are bound to system nodes and would never start."""
    profile = settings.fargate.profile
    known = [namespace.name for namespace in all_namespaces(settings)]
    for index, selector in enumerate(profile.selectors if profile is not None else ()):
        if selector.namespace not in known:
            yield Finding(
                path=("fargate", "profile", "selectors", index, "namespace"),
                found=selector.namespace,
                allowed=f"a namespace of slipway:teams: {join(known)}",
                remedy="write the namespace whose pods run on Fargate",
            )


def selectors_differ(settings: Settings) -> Iterator[Finding]:
    """A selector that matches no more than another one does is a mistake in one of the two."""
    profile = settings.fargate.profile
    selectors = profile.selectors if profile is not None else ()
    for index, selector in enumerate(selectors):
        for first, wider in enumerate(selectors):
            same = wider == selector
            if (
                wider.namespace == selector.namespace
                and wider.labels.items() <= selector.labels.items()
                and (first < index if same else first != index)
            ):
                yield Finding(
                    path=("fargate", "profile", "selectors", index),
                    found=f"pods that selectors[{first}] matches already",
                    allowed="selectors of which none contains another",
                    remedy="remove it, or give the wider one a label",
                )
                break


def training_stays_on_nodes(settings: Settings) -> Iterator[Finding]:
    """Fargate has neither GPUs nor spot capacity for EKS, which training is made for."""
    profile = settings.fargate.profile
    training = [namespace.name for namespace in all_namespaces(settings) if namespace.workload_type == "training"]
    for index, selector in enumerate(profile.selectors if profile is not None else ()):
        if selector.namespace in training:
            yield Finding(
                path=("fargate", "profile", "selectors", index, "namespace"),
                found=f"{selector.namespace} (workloadType: training)",
                allowed="namespaces with workloadType: inference: Fargate has no GPU and no spot capacity",
                remedy="remove the selector and let training run on nodes",
            )


def isolation_survives_without_network_policies(settings: Settings) -> Iterator[Finding]:
    """The CNI's agent enforces network policies on nodes only; on Fargate a security group has to."""
    profile = settings.fargate.profile
    if profile is None or profile.pod_security_groups:
        return
    closed = isolated_namespaces(settings)
    open_now = list(dict.fromkeys(item.namespace for item in profile.selectors if item.namespace in closed))
    if open_now:
        yield Finding(
            path=("fargate", "profile", "podSecurityGroups"),
            found="false",
            allowed=f"true while network policies close the namespace {join(open_now)}",
            remedy="write true: on Fargate nothing enforces network policies",
        )


def volumes_of_nodes_stay_there(settings: Settings) -> Iterator[Finding]:
    """The drivers of these volumes are DaemonSets, which Fargate has none of; a pod would wait for its volume."""
    profile = settings.fargate.profile
    everything = [item.namespace for item in (profile.selectors if profile is not None else ()) if not item.labels]
    for path, namespace in node_volumes(settings):
        if namespace in everything:
            yield Finding(
                path=path,
                found=f"{namespace}, all of whose pods run on Fargate",
                allowed="a namespace with pods on nodes: the driver is a DaemonSet",
                remedy="give the selector of the namespace a label, or the volume to another namespace",
            )


RULES: Final[tuple[Rule, ...]] = (
    fargate_exists_in_the_partition,
    selectors_name_namespaces_of_workloads,
    selectors_differ,
    training_stays_on_nodes,
    isolation_survives_without_network_policies,
    volumes_of_nodes_stay_there,
)
