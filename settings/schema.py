"""The JSON schema of a stack file, from which editors complete and check it: `python -m settings.schema [--check]`.

Writes `docs/settings.schema.json`, or with `--check` compares it and ends with exit code 1 if it is not up to date.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

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
    parser = argparse.ArgumentParser(prog="python -m settings.schema", description="Write the schema of a stack file.")
    parser.add_argument("--check", action="store_true", help="only compare")
    text = json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n"
    if not parser.parse_args(arguments).check:
        SCHEMA_FILE.parent.mkdir(exist_ok=True)
        SCHEMA_FILE.write_text(text, encoding="utf-8")
        return 0
    if SCHEMA_FILE.is_file() and SCHEMA_FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{SCHEMA_FILE.name} is not up to date; run python -m settings.schema\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
