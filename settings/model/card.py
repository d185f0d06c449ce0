"""What people are told about a model: what of its model card no training can know."""

from typing import Annotated, Literal

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import PROSE

Text = Annotated[str, Field(pattern=PROSE, max_length=2048)]
"""SageMaker developer guide, "Model package model card schema"."""


class CardSpec(Section):
    """The part of the model card that people write; the rest comes from the training and its evaluation."""

    purpose: Text
    """What the model was made for."""
    uses: Text
    """Who may use its answers, and for what."""
    limits: Text
    """What makes its answers worse, and what they are not for."""
    risk: Literal["low", "medium", "high", "unknown"]
    """How much harm wrong answers do."""
    risk_reason: Text
    """Why the risk is rated like this."""
