"""Helm charts: which ones, from where, and what the values of known charts must say."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from guardrails.facts import NoFacts
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require
from guardrails.view import Known, Missing, Unknown, Value

_RELEASE = "kubernetes:helm.sh/v3:Release"
_CHART = "kubernetes:helm.sh/v4:Chart"
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_REMOTE = re.compile(r"(https|oci)://")


@dataclass(frozen=True, slots=True)
class ChartFacts:
    """Which charts may be installed."""

    repositories: Annotated[tuple[str, ...], "Beginnings of the https:// and oci:// addresses of trusted charts."] = ()
    allow_local: Annotated[bool, "May charts come from a folder or an archive beside the program?"] = False
    crd_charts: Annotated[tuple[str, ...], "Charts with custom resource definitions, which must state skipCrds."] = (
        "karpenter",
        "kube-prometheus-stack",
    )


def chart_name(release: Resource) -> str:
    """The chart's own name: the last part of its address or path, without archive suffix; empty when not known."""
    text = release.get("chart").text() or ""
    return re.sub(r"(-v?\d[\w.+-]*)?\.tgz$", "", text.rstrip("/").rpartition("/")[2])


def _trusted(address: Value, facts: ChartFacts) -> Iterator[Finding]:
    text = (address.text() or "").rstrip("/") + "/"
    if not facts.repositories and _REMOTE.match(text):
        yield Undetermined(path=address.path, why="the configuration names no chart repositories")
        return
    known = ".." not in text.split("/") and any(text.startswith(f"{each.rstrip('/')}/") for each in facts.repositories)
    trusted = known and _REMOTE.match(text) is not None
    yield from require(address, lambda _: trusted, "an https:// or oci:// repository of the configuration")


def _check_source(release: Resource, facts: ChartFacts) -> Iterator[Finding]:
    chart, repository = release.get("chart"), release.get("repositoryOpts.repo")
    text = chart.text() or ""
    local = text.startswith((".", "/", "~")) or text.endswith(".tgz")
    if isinstance(chart, Unknown):
        yield Undetermined(path=chart.path)
    elif local and not _REMOTE.match(text):
        if not facts.allow_local:
            yield Violation(path=chart.path, found=text, wanted="a chart from a repository of the configuration")
        return
    else:
        yield from _trusted(chart if "://" in text else repository, facts)
    exact = "one exact version"
    yield from require(release.get("version"), lambda value: _EXACT.fullmatch(value.text() or "") is not None, exact)
    if chart_name(release) in facts.crd_charts and isinstance(release.get("skipCrds"), Missing):
        wanted = "true or false: who installs and upgrades the custom resource definitions"
        yield Violation(path="skipCrds", found="nothing", wanted=wanted)


SUP_02 = ResourceRule(
    id="SUP-02",
    name="helm-pinned",
    title="Charts have one exact version and come from repositories that we trust",
    tokens=(_RELEASE, _CHART),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC8.1",),
    why="a range lets the next deployment install something that nobody reviewed, with the chart's full rights",
    fix="set version to x.y.z, repositoryOpts.repo (or an oci:// chart) to a trusted repository, and skipCrds",
    facts=ChartFacts,
    check=_check_source,
    traps=(
        "1.2, ^1.2.3, >=1.2.3, 1.x and * are ranges; v1.2.3 is exact",
        "without a repository, a chart's name is looked up in whatever the machine has configured",
        "Helm never upgrades custom resource definitions by itself",
    ),
)


@dataclass(frozen=True, slots=True)
class _Contract:
    """What a chart's values must say."""

    required: tuple[str, ...] = ()
    """Paths that must have a value."""
    forbidden: tuple[str, ...] = ()
    """Paths that must have none."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Paths that are left out or have one of these texts."""
    at_least: Mapping[str, int] = field(default_factory=dict[str, int])
    """Paths that are left out or have this number or more."""
    unless: Mapping[str, str] = field(default_factory=dict[str, str])
    """By beginning of a path: a switch that, when false, turns the contract below it off."""
    instead: Mapping[str, str] = field(default_factory=dict[str, str])
    """By required path: another that will do."""


_ROLE = 'serviceAccount.annotations["eks.amazonaws.com/role-arn"]'
_CONTRACTS = {
    "kube-prometheus-stack": _Contract(
        required=(
            "prometheus.prometheusSpec.retention",
            "prometheus.prometheusSpec.storageSpec",
            "prometheus.prometheusSpec.resources",
            "grafana.persistence.enabled",
        ),
        forbidden=("grafana.adminPassword", 'grafana["grafana.ini"].security.admin_password'),
        fixed={
            "grafana.service.type": ("ClusterIP",),
            "prometheus.service.type": ("ClusterIP",),
            "alertmanager.service.type": ("ClusterIP",),
            "grafana.persistence.enabled": ("true",),
        },
        unless={"grafana.": "grafana.enabled", "prometheus.": "prometheus.enabled"},
    ),
    "karpenter": _Contract(
        required=("settings.clusterName", "settings.interruptionQueue", _ROLE, "controller.resources"),
        at_least={"replicas": 2},
    ),
    "aws-load-balancer-controller": _Contract(
        required=("clusterName", "vpcId", _ROLE),
        fixed={"serviceAccount.create": ("true",)},
        instead={"vpcId": "vpcTags"},
    ),
    "argo-rollouts": _Contract(
        required=(_ROLE, "controller.resources", "createClusterAggregateRoles", "controller.createClusterRole"),
        fixed={"createClusterAggregateRoles": ("false",), "controller.createClusterRole": ("false",)},
        at_least={"controller.replicas": 2},
    ),
    "nvidia-device-plugin": _Contract(
        required=("tolerations", "nodeSelector", "failOnInitError"), instead={"nodeSelector": "affinity"}
    ),
}


def _texts(value: Value) -> str | None:
    flag = value.flag()
    return value.text() if flag is None else str(flag).lower()


def _owed(values: Value, contract: _Contract, *, files: bool) -> Iterator[Finding]:
    """What is required and not there. Presence is enough: a value that comes later will be there."""
    off = [each for each, switch in contract.unless.items() if values.get(switch).flag() is False]
    for path in contract.required:
        readings = [values.get(each) for each in (path, contract.instead.get(path, path))]
        if any(path.startswith(each) for each in off):
            continue
        if all(isinstance(each, Missing) for each in readings) and not files:
            yield Violation(path=readings[0].path, found="nothing", wanted="a value")
        elif all(isinstance(each, Missing) for each in readings):
            yield Undetermined(path=readings[0].path, why="it may stand in valueYamlFiles")
        elif isinstance(values, Unknown):
            yield Undetermined(path=readings[0].path)


def _refused(values: Value, contract: _Contract) -> Iterator[Finding]:
    """What is there and must not be, or must be something else."""
    for path in contract.forbidden:
        if not isinstance(values.get(path), Missing | Unknown):
            wanted = "nothing: name an existing Secret (grafana.admin.existingSecret)"
            yield Violation(path=values.get(path).path, found="a literal (not shown)", wanted=wanted)
    for path, allowed in contract.fixed.items():
        value = values.get(path)
        if not isinstance(value, Missing):
            yield from require(value, lambda each, allowed=allowed: _texts(each) in allowed, " or ".join(allowed))
    for path, least in contract.at_least.items():
        value = values.get(path)
        if not isinstance(value, Missing):
            yield from require(value, lambda each, least=least: (each.number() or 0) >= least, f"{least} or more")


def _check_values(release: Resource, _: NoFacts) -> Iterator[Finding]:
    if isinstance(release.get("chart"), Unknown):
        yield Undetermined(path="chart")
        return
    contract = _CONTRACTS.get(chart_name(release))
    if contract is not None:
        values = release.get("values")
        rooted = Known("values", {}) if isinstance(values, Missing) else values
        files = not isinstance(release.get("valueYamlFiles"), Missing)
        yield from _owed(rooted, contract, files=files)
        yield from _refused(rooted, contract)


SUP_05 = ResourceRule(
    id="SUP-05",
    name="helm-values-contract",
    title="The values of known charts say what the platform relies on",
    tokens=(_RELEASE, _CHART),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC8.1", "soc2:A1.2"),
    why="a release's pods are not resources of the program, so only its values show what they will be",
    fix="write the value into the release's values",
    facts=NoFacts,
    check=_check_values,
    traps=(
        "a chart is known by the last part of its address, path or archive",
        "a part of a chart that is switched off owes nothing",
        "values in valueYamlFiles cannot be read, so what they may hold is undetermined",
    ),
)
