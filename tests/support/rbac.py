"""What Roles allow, computed from the objects of a recording, and the table of who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROLE: Final = "kubernetes:rbac.authorization.k8s.io/v1:Role"
BINDING: Final = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
TABLE: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "kube" / "can_i.yaml").read_text(encoding="utf-8")
)
"""Who may do what; the file says how it is read."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the table: `patch deployments.apps/scale`."""

    verb: str
    group: str
    resource: str
    """With the subresource, as rules write it: `deployments/scale`."""

    @classmethod
    def of(cls, text: str) -> Question:
        verb, _, what = text.partition(" ")
        kind, slash, subresource = what.partition("/")
        resource, _, group = kind.partition(".")
        return cls(verb, group, f"{resource}{slash}{subresource}")

    def allowed_by(self, rules: Iterable[Mapping[str, Any]]) -> bool:
        """Whether one of the rules of a Role allows it; rules with wildcards or resource names are not understood."""
        for rule in rules:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            assert not any("*" in value for values in rule.values() for value in values)
            if self.group in rule["apiGroups"] and self.resource in rule["resources"] and self.verb in rule["verbs"]:
                return True
        return False
