"""Serving: the place that the switch points to is described, and can serve the model."""

from collections.abc import Iterator
from typing import Final

from pydantic.alias_generators import to_camel

from settings.model import Settings
from settings.problems import Finding, join
from settings.rules.models import ModelRule
from settings.rules.tenancy import all_namespaces


def target_is_described(settings: Settings, index: int) -> Iterator[Finding]:
    """The switch points to a section that is there: the one that is called as the target is."""
    serving = settings.models[index].serving
    if serving is None:
        return
    section = to_camel(serving.target.value.replace("-", "_"))
    if getattr(serving, serving.target.value.replace("-", "_")) is None:
        yield Finding(
            path=("models", index, "serving", section),
            found="nothing",
            allowed=f"a mapping while target is {serving.target}",
            remedy=f"describe {section}, or change target",
        )


def pods_have_a_namespace(settings: Settings, index: int) -> Iterator[Finding]:
    """Pods run in a namespace that a team has for inference."""
    serving = settings.models[index].serving
    if serving is None or serving.eks is None:
        return
    known = [namespace.name for namespace in all_namespaces(settings) if namespace.workload_type == "inference"]
    if serving.eks.namespace not in known:
        yield Finding(
            path=("models", index, "serving", "eks", "namespace"),
            found=serving.eks.namespace,
            allowed=join(known) if known else "a namespace of the workload type inference; no team has one",
            remedy="choose one of them, or add the namespace to a team",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (target_is_described, pods_have_a_namespace)
