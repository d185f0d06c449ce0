"""The model registry: who approves versions, and between which environments they travel."""

from typing import Annotated

from pydantic import Field

from settings.model.base import AccountId, Region, RoleArn, Section
from settings.model.patterns import ECR_REGISTRY, ENVIRONMENT, KEY_ARN


class NeighbourSpec(Section):
    """Another environment of this platform."""

    environment: Annotated[str, Field(pattern=ENVIRONMENT, max_length=12)]
    """Its name."""
    account_id: AccountId
    """Its account."""
    region: Region
    """Its region."""


class OriginSpec(NeighbourSpec):
    """The environment that versions come from."""

    key_arn: Annotated[str, Field(pattern=KEY_ARN)]
    """Its key, which its artefacts are encrypted with; its stack's output `keyArn`."""
    soak_hours: Annotated[float, Field(ge=0, le=2160)] = 24
    """Hours that a version has to have served there without a break before it comes here; 0 asks for nothing."""


class RegistrySpec(Section):
    """Versions of models: who approves them, where they come from, and where they go to next."""

    approver_arns: tuple[RoleArn, ...] = Field(strict=False, max_length=10)
    """IAM roles that may become the one that approves and rejects versions."""
    promoter_arns: tuple[RoleArn, ...] = Field(strict=False, max_length=10)
    """IAM roles that may become the one that fetches versions from the environment before."""
    promotes_from: OriginSpec | None
    """Environment whose approved versions are registered here without another training; null for the first one."""
    promotes_to: NeighbourSpec | None
    """Environment whose promotion role reads versions here; null for the last one."""
    training_registries: tuple[Annotated[str, Field(pattern=ECR_REGISTRY, max_length=200)], ...] = Field(
        default=(), strict=False, max_length=20
    )
    """Registries, or repositories in them, whose images may train models, beside the account's own registry."""
