"""The JSON schema of a stack file, from which editors complete and check it: `python -m settings.schema [--check]`.

Writes `docs/settings.schema.json`, or with `--check` compares it and ends with exit code 1 if it is not up to date.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

from settings.generated import write_or_check
from settings.model import Settings
from settings.problems import NAMESPACE

SCHEMA_FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "settings.schema.json"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of field names: an editor would show them instead of the key."""

    @override
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def stack_file_schema() -> dict[str, Any]:
    """Return the schema of a whole `Pulumi.<stack>.yaml`: our keys exactly, keys of other packages freely.

    It says what one value may be; what relates two values is judged by `settings.check` only.
    """
    settings = Settings.model_json_schema(schema_generator=_Untitled)
    sections: dict[str, Any] = settings["properties"]
    names = "|".join(sections)
    return {
        "$schema": _DIALECT,
        "title": "Slipway stack file",
        "description": "Everything that one environment decides; generated from settings/model.py.",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{NAMESPACE}:{name}": section for name, section in sections.items()},
                "required": [f"{NAMESPACE}:{name}" for name in settings["required"]],
                "propertyNames": {"pattern": f"^({NAMESPACE}:({names})|(?!{NAMESPACE}:)[^:]+:.+)$"},
            }
        },
        "$defs": settings["$defs"],
    }


def main(arguments: Sequence[str]) -> int:
    """Write or compare the schema file and return the exit code."""
    text = json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n"
    return write_or_check(SCHEMA_FILE, text, module="settings.schema", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
