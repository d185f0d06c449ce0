"""Property values as the engine sends them, and as Python reads them.

The engine marshals property maps as protobuf structs. A value that is not known yet travels as a sentinel string, and
all numbers travel as doubles (see `sdk/proto/pulumi/provider.proto` of the Pulumi SDK).
"""

from __future__ import annotations

from typing import Final, TypeAlias

from google.protobuf import struct_pb2

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for any value that the engine cannot know before the resource exists."""
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""Key of an envelope around a value; what it holds says which of these kinds it is."""
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks a secret, is none
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Properties: TypeAlias = dict[str, Json]


def to_python(struct: struct_pb2.Struct) -> Properties:
    """Returns a struct as plain Python values; whole numbers become `int`."""
    return {key: _value(field) for key, field in struct.fields.items()}


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """Returns plain Python values as a struct, without the properties that are None."""
    struct = struct_pb2.Struct()
    struct.update({key: value for key, value in properties.items() if value is not None})
    return struct


def has_unknown(value: Json) -> bool:
    """Tells whether an unknown value lies anywhere inside a value."""
    match value:
        case dict():
            return any(has_unknown(item) for item in value.values())
        case list():
            return any(has_unknown(item) for item in value)
        case _:
            return value == UNKNOWN


def _value(field: struct_pb2.Value) -> Json:
    match field.WhichOneof("kind"):
        case "struct_value":
            return to_python(field.struct_value)
        case "list_value":
            return [_value(item) for item in field.list_value.values]
        case "string_value":
            return field.string_value
        case "bool_value":
            return field.bool_value
        case "number_value":
            number = field.number_value
            return int(number) if number.is_integer() else number
        case _:
            return None
