"""What sections are made of: the base class, types of single values, and words that several sections share."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from settings.model.patterns import ACCOUNT_ID, ADDON_VERSION, CIDR, DIGEST, MODEL_DATA, NAME, REGION, ROLE_ARN, ZONE

Name = Annotated[str, Field(pattern=NAME, max_length=32)]
"""A name that becomes part of physical names: lower case, digits and single hyphens, at most 32 characters."""


AccountId = Annotated[str, Field(pattern=ACCOUNT_ID)]


Region = Annotated[str, Field(pattern=REGION)]


Zone = Annotated[str, Field(pattern=ZONE)]


RoleArn = Annotated[str, Field(pattern=ROLE_ARN)]


ImageDigest = Annotated[str, Field(pattern=DIGEST)]


ModelData = Annotated[str, Field(pattern=MODEL_DATA)]


AddonVersion = Annotated[str, Field(pattern=ADDON_VERSION)]


def _text_of_a_range(value: object) -> object:
    """Let only text and ready networks through: `ipaddress` would take a bare number for one address."""
    if isinstance(value, (str, IPv4Network)):
        return value
    raise PydanticCustomError("string_type", "Input should be a valid string")


Cidr = Annotated[
    IPv4Network,
    Field(strict=False),
    BeforeValidator(_text_of_a_range),
    WithJsonSchema({"type": "string", "pattern": CIDR}),
]
"""An IPv4 range in CIDR notation; the address is the network's own (no host bits)."""


LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""The values that CloudWatch Logs accepts (PutRetentionPolicy), in days."""


class Section(BaseModel):
    """Base of every section: frozen, strict about types, refusing unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class Partition(StrEnum):
    """AWS partition; the second field of every ARN."""

    AWS = "aws"
    CHINA = "aws-cn"
    GOV_CLOUD = "aws-us-gov"


class DataClassification(StrEnum):
    """Most sensitive class of data that the environment may hold; a required tag."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"


class Capacity(StrEnum):
    """Purchase option of a node pool."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


class PoolRole(StrEnum):
    """What a managed node group is for; decides its labels and taints."""

    SYSTEM = "system"
    CPU = "cpu"
    GPU = "gpu"
    NEURON = "neuron"
