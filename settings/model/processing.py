"""Hosts of processing jobs."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import TRAINING_INSTANCE


class ProcessingSpec(Section):
    """What a processing job of a model runs on."""

    instance_type: Annotated[str, Field(pattern=TRAINING_INSTANCE)]
    """SageMaker instance type."""
    volume_gib: Annotated[int, Field(ge=1, le=16384)]
    """Encrypted storage volume, GiB."""
    max_runtime_seconds: Annotated[int, Field(ge=60, le=432_000)]
    """Each job is stopped after this time."""
