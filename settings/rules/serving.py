"""Serving: the place that the switch points to is described."""

from collections.abc import Iterator
from typing import Final

from pydantic.alias_generators import to_camel

from settings.model import Settings
from settings.problems import Finding
from settings.rules.models import ModelRule


def target_is_described(settings: Settings, index: int) -> Iterator[Finding]:
    """The switch points to a section that is there: the one that is called as the target is."""
    serving = settings.models[index].serving
    if serving is None:
        return
    section = to_camel(serving.target.value.replace("-", "_"))
    if getattr(serving, serving.target.value.replace("-", "_")) is None:
        yield Finding(
            path=("models", index, "serving", section),
            found="nothing",
            allowed=f"a mapping while target is {serving.target}",
            remedy=f"describe {section}, or change target",
        )


MODEL_RULES: Final[tuple[ModelRule, ...]] = (target_is_described,)
