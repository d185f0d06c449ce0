"""The registry: somebody approves where a person has to, and versions travel between environments that differ."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding
from settings.rules.environment import Rule


def somebody_approves(settings: Settings) -> Iterator[Finding]:
    """A version that waits for a person waits for ever where nobody may approve it."""
    waiting = [model.name for model in settings.models if model.pipeline.approval == "manual"]
    if waiting and not settings.registry.approver_arns:
        yield Finding(
            path=("registry", "approverArns"),
            found="an empty list",
            allowed=f"at least one role while versions of {', '.join(waiting)} wait for a person",
            remedy="write the ARN of a role, or approval: automatic in the pipeline of the model",
        )


def promotion_has_both_ends(settings: Settings) -> Iterator[Finding]:
    """A promotion has somewhere to fetch from, and somebody who asks for it."""
    registry = settings.registry
    if registry.promotes_from is not None and not registry.promoter_arns:
        yield Finding(
            path=("registry", "promoterArns"),
            found="an empty list",
            allowed="at least one role while promotesFrom names an environment",
            remedy="write the ARN of a role, or promotesFrom: null",
        )
    if registry.promotes_from is None and registry.promoter_arns:
        yield Finding(
            path=("registry", "promoterArns"),
            found=registry.promoter_arns[0],
            allowed="an empty list while promotesFrom is null",
            remedy="write promoterArns: [], or name the environment in promotesFrom",
        )


def neighbours_are_others(settings: Settings) -> Iterator[Finding]:
    """A version does not travel to where it is, nor back to where it comes from."""
    registry, own = settings.registry, settings.environment.name
    origin = None if registry.promotes_from is None else registry.promotes_from.environment
    target = None if registry.promotes_to is None else registry.promotes_to.environment
    for side, name, others in (("promotesFrom", origin, {own}), ("promotesTo", target, {own, origin})):
        if name is not None and name in others:
            yield Finding(
                path=("registry", side, "environment"),
                found=name,
                allowed="an environment that is neither this one nor the other neighbour",
                remedy="name the one before in promotesFrom and the one after in promotesTo, or write null",
            )


RULES: Final[tuple[Rule, ...]] = (somebody_approves, promotion_has_both_ends, neighbours_are_others)
"""Every rule of this module."""
