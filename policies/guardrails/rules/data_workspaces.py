"""SageMaker's workspaces: notebooks, Studio domains and their users."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, require
from guardrails.view import Missing

_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_DOMAIN = "aws:sagemaker/domain:Domain"
_USER = "aws:sagemaker/userProfile:UserProfile"
_SETTINGS = {_DOMAIN: "defaultUserSettings", _USER: "userSettings"}


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """What workspaces may run at their start."""

    lifecycles: Annotated[tuple[str, ...], "Names of lifecycle configurations of notebooks (wildcards allowed)."] = ()


def _check(resource: Resource, facts: WorkspaceFacts) -> Iterator[Finding]:
    if resource.token == _NOTEBOOK:
        for path in ("rootAccess", "directInternetAccess"):
            yield from require(resource.get(path), lambda value: value.text() == "Disabled", "Disabled")
        yield from require(resource.get("subnetId"), lambda value: value.text() is not None, "a subnet of ours")
        script = resource.get("lifecycleConfigName")
        if not isinstance(script, Missing):
            wanted = "a lifecycle configuration that the pack configuration names"
            yield from require(
                script, lambda value: any(fnmatchcase(value.text() or "", each) for each in facts.lifecycles), wanted
            )
        return
    if resource.token == _DOMAIN:
        access = resource.get("appNetworkAccessType")
        yield from require(access, lambda value: value.text() == "VpcOnly", "VpcOnly (AWS assumes public)")
    settings = resource.get(_SETTINGS[resource.token])
    shared = settings.get("sharingSettings.notebookOutputOption")
    if not isinstance(shared, Missing):
        yield from require(shared, lambda value: value.text() == "Disabled", "Disabled")


DATA_06 = ResourceRule(
    id="DATA-06",
    name="sagemaker-workspace-hardened",
    title="Notebooks and Studio have no root, no internet of their own, and share no output",
    tokens=(_NOTEBOOK, _DOMAIN, _USER),
    severity=Severity.HIGH,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SageMaker.1", "fsbp:SageMaker.3", "soc2:CC6.1", "gdpr:32"),
    why="a workspace holds production data and whatever its user installs",
    fix="set root_access and direct_internet_access Disabled with a subnet, app_network_access_type VpcOnly",
    facts=WorkspaceFacts,
    check=_check,
    traps=("what is not written is enabled, and a domain's traffic then leaves by SageMaker's own network",),
)
