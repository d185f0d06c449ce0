"""Who hears of alarms."""

from typing import Annotated

from pydantic import Field

from settings.model.base import Section
from settings.model.patterns import EMAIL, HOOK, TOPIC_ARN


class AlarmsSpec(Section):
    """Where the environment's alarms go, when they begin and when they end; all of it hears of every alarm."""

    emails: Annotated[tuple[Annotated[str, Field(pattern=EMAIL, max_length=254)], ...], Field(strict=False)]
    """Addresses; AWS writes to each once and sends alarms after somebody there has confirmed."""
    hooks: Annotated[tuple[Annotated[str, Field(pattern=HOOK, max_length=1024)], ...], Field(strict=False)]
    """Addresses on the web that take messages of Amazon SNS and confirm the subscription themselves."""
    topics: Annotated[tuple[Annotated[str, Field(pattern=TOPIC_ARN, max_length=2048)], ...], Field(strict=False)]
    """ARNs of topics that exist already, such as that of the team on call; their own policy and key let alarms in."""
