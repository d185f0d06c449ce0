"""Applying a rule's remedy to the properties that the policy SDK hands to a remediation.

There the SDK checks no unknowns and wraps secrets; everything that the remedy does not set must go back as it came.
"""

from collections.abc import Mapping
from typing import cast

from pulumi_policy import Secret

Properties = Mapping[str, object]


def apply(changes: Mapping[tuple[str, ...], object], properties: Properties) -> dict[str, object]:
    """The properties with some values set by path of keys; secrets stay secret, missing maps are made."""
    changed = dict(_target(properties))
    for path, value in changes.items():
        _set(changed, path, value)
    return changed


def _set(holder: dict[str, object], path: tuple[str, ...], value: object) -> None:
    key, *rest = path
    if not rest:
        holder[key] = value
        return
    old = holder.get(key)
    inner = dict(_target(old.value if isinstance(old, Secret) else old))
    _set(inner, tuple(rest), value)
    holder[key] = Secret(inner) if isinstance(old, Secret) else inner


def _target(properties: object) -> Properties:
    """The plain map below the SDK's proxy; an empty one where there is none."""
    if isinstance(properties, dict):
        return cast("Properties", properties)
    return cast("Properties", cast("Properties", properties)["__target"]) if isinstance(properties, Mapping) else {}
