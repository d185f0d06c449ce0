"""All rules, found in the modules of `guardrails.rules`."""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import cast

from guardrails import rules as rule_modules
from guardrails.rule import AnyRule, ResourceRule, StackRule


def collect(candidates: Iterable[object]) -> tuple[AnyRule, ...]:
    """The rules among some objects, by id.

    Raises:
        ValueError: two rules share a name, or an id, a kind and levels; all such clashes are named.
    """
    found = [cast("AnyRule", each) for each in candidates if isinstance(each, ResourceRule | StackRule)]
    clashes = [
        *(f"name {name}" for name, count in Counter(rule.name for rule in found).items() if count > 1),
        *(
            f"{kind.value} rule {identifier}"
            for (identifier, kind, _), count in Counter((rule.id, rule.kind, rule.levels) for rule in found).items()
            if count > 1
        ),
    ]
    if clashes:
        raise ValueError(f"rules declared twice: {', '.join(sorted(clashes))}")
    return tuple(sorted(found, key=lambda rule: (rule.id, rule.kind.value, rule.name)))


@cache
def all_rules() -> tuple[AnyRule, ...]:
    """Every rule of the pack. A new module in `guardrails/rules/` is found by itself."""
    modules = [
        importlib.import_module(f"{rule_modules.__name__}.{module.name}")
        for module in pkgutil.iter_modules(rule_modules.__path__)
    ]
    return collect(member for module in modules for name, member in vars(module).items() if name.isupper())
