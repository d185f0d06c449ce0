"""What the environment may cost."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import EMAIL


class SpendingSpec(Section):
    """The ceiling of the environment's monthly bill: `make cost` ends with an error above it, AWS Budgets warns."""

    monthly_usd: Annotated[int, Field(ge=1, le=10_000_000)]
    """US dollars that a month may cost, taxes left out."""
    alert_percents: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(strict=False, max_length=9)
    """Shares of the ceiling at which a month's real costs are reported, per cent; empty exactly without an address."""
    notify: Annotated[str, Field(pattern=EMAIL, max_length=50)] | None
    """Address that AWS writes to; null for none. AWS Budgets takes at most 50 characters."""
