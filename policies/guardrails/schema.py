"""The JSON schema of a pack configuration (`policies/config/*.json`), made from the rules' own options."""

from collections.abc import Iterable

from guardrails import exemptions
from guardrails.packconfig import REPORTS, schema_of
from guardrails.rule import AnyRule, Level

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LEVEL: dict[str, object] = {"enum": [str(level) for level in Level]}


def config_schema(rules: Iterable[AnyRule]) -> dict[str, object]:
    """The schema of a whole file: one key per rule, all optional, and the two reports.

    A rule that a file does not name has its level of production and its default options.
    """
    properties: dict[str, object] = {rule.name: _entry(rule) for rule in rules}
    properties |= {name: {"$ref": "#/$defs/level", "description": title} for name, title in REPORTS.items()}
    return {
        "$schema": _DIALECT,
        "title": "Configuration of the Slipway policy pack",
        "description": "What one environment of an organisation decides; generated from policies/guardrails/rules.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": {"level": _LEVEL, "exemptions": exemptions.SCHEMA},
    }


def _entry(rule: AnyRule) -> dict[str, object]:
    level = {"$ref": "#/$defs/level", "default": str(rule.levels.prod)}
    return {
        "description": f"{rule.id}: {rule.title}. In production {rule.levels.prod}, in development {rule.levels.dev}.",
        "oneOf": [
            {"$ref": "#/$defs/level"},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "enforcementLevel": level,
                    **schema_of(rule),
                    "exemptions": {"$ref": "#/$defs/exemptions"},
                },
            },
        ],
    }
