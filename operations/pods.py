"""The pods of a model as a stack file knows them, in the words of the release step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components import iam
from components.labels import Labels
from settings.check import load_file

if TYPE_CHECKING:
    from settings.model import EksServingSpec, ModelSpec, Settings

ROOT = Path(__file__).resolve().parent.parent


class RefusedError(Exception):
    """The stack file knows no such pods, or what is asked for is not to be had."""


def in_aws(stack: str, *, local: str) -> Settings:
    """Settings of an environment that has a cluster.

    Args:
        stack: Name of the environment.
        local: What `local`, which has none, is without, and what shows it there.

    Raises:
        RefusedError: It is `local`.
        SettingsError: The stack file is wrong.
    """
    if stack == "local":
        raise RefusedError(f"local is on this machine and {local}; name another environment, such as STACK=prod")
    return load_file(ROOT / f"Pulumi.{stack}.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """The pods of one model in one environment."""

    labels: Labels
    model: ModelSpec
    spec: EksServingSpec

    @classmethod
    def of(cls, settings: Settings, name: str) -> Pods:
        """The pods of a model.

        Raises:
            RefusedError: The environment serves no model of that name by pods.
        """
        pods = {each.name: (each, spec) for each in settings.models if (spec := each.pods) is not None}
        others = [each.serving.target for each in settings.models if each.name == name and each.serving]
        if name not in pods and others:
            raise RefusedError(
                f"{name} is served by target {others[0]}, not by pods: name the version wanted under models[].approved "
                f"of Pulumi.{settings.environment.name}.yaml and deploy; docs/serving-targets.md says how it goes back"
            )
        if name not in pods:
            known = ", ".join(pods) or "none"
            raise RefusedError(f"{settings.environment.name} serves no {name} by pods; there are: {known}")
        model, spec = pods[name]
        return cls(labels=Labels(settings.environment), model=model, spec=spec)

    @property
    def place(self) -> list[str]:
        """Where they are."""
        region, cluster = self.labels.environment.region, self.labels.cluster
        where = ["--region", region, "--cluster", cluster, "--namespace", self.spec.namespace]
        return [*where, "--model", self.model.name]

    @property
    def packages(self) -> str:
        """ARN of the model's versions up to their number, with the slash."""
        account, group = iam.Account.of(self.labels.environment), self.labels.package_group(self.model.name)
        return f"{account.arn('sagemaker', 'model-package')}/{group}/"
