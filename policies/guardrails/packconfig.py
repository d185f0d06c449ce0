"""The pack configuration of one environment: `policies/config/<environment>.json`, as `--policy-pack-config` takes it.

Each key is a rule's name, or one of the two reports (`REPORTS`); the value is a level, or an object with
`enforcementLevel`, the rule's facts and `exemptions`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from guardrails import exemptions, facts
from guardrails.evaluation import Settings
from guardrails.rule import AnyRule, Level

REPORTS = {
    "undecided": "What resource rules could not judge before deployment, or were told to let pass",
    "undecided-in-stack": "What stack rules could not judge before deployment, or were told to let pass",
}
"""Two advisory policies that carry the lines which must not block (name and title)."""


class ConfigError(ValueError):
    """A pack configuration that cannot be used; the message lists every problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A rule with what one environment decides about it."""

    rule: AnyRule
    level: Level
    settings: Settings


def settings_of(rule: AnyRule, properties: Mapping[str, object]) -> Settings:
    """A rule's settings from its configuration properties (without the level).

    Raises:
        ConfigError: a property is unknown or of the wrong type.
    """
    problems: list[str] = []
    settings = _settings(rule, properties, problems)
    if problems:
        raise ConfigError("\n".join(f"{rule.name}.{problem}" for problem in problems))
    return settings


def schema_of(rule: AnyRule) -> dict[str, dict[str, object]]:
    """The JSON schema of a rule's configuration properties."""
    return {**facts.schema(rule.facts), "exemptions": exemptions.SCHEMA}


def configure(rules: Iterable[AnyRule], config: Mapping[str, object]) -> dict[str, Configured]:
    """Every rule, with its level and settings, by name; one that the configuration does not name is as in production.

    Raises:
        ConfigError: unknown rules, levels or properties; all are listed.
    """
    problems: list[str] = []
    known = {rule.name: rule for rule in rules}
    problems += [f"{name}: no such rule" for name in config if name not in known and name not in REPORTS]
    configured: dict[str, Configured] = {}
    for name, rule in known.items():
        level, properties = split(config.get(name, {}))
        found: list[str] = []
        if level is not None and level not in list(Level):
            found.append(f"enforcementLevel: found {level!r}, want one of {', '.join(Level)}")
            level = None
        settings = _settings(rule, properties, found)
        problems += [f"{name}.{problem}" for problem in found]
        configured[name] = Configured(
            rule=rule, level=rule.levels.prod if level is None else Level(cast("str", level)), settings=settings
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return configured


def load(path: Path) -> dict[str, object]:
    """The configuration in a file.

    Raises:
        ConfigError: the file is no JSON object.
    """
    try:
        parsed: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{path}: want an object with one key per rule")
    return cast("dict[str, object]", parsed)


def _settings(rule: AnyRule, properties: Mapping[str, object], problems: list[str]) -> Settings:
    own = {name: value for name, value in properties.items() if name != "exemptions"}
    return Settings(
        facts=facts.read(rule.facts, own, problems),
        exemptions=exemptions.read(properties.get("exemptions", []), problems),
    )


def split(entry: object) -> tuple[object, dict[str, object]]:
    """The level (`None` when it is not written) and the properties of one entry of a configuration."""
    if not isinstance(entry, Mapping):
        return entry, {}
    properties = dict(cast("Mapping[str, object]", entry))
    return properties.pop("enforcementLevel", None), properties
