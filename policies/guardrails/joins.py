"""Joins between resources of a stack beyond those of `Stack.attached`."""

import re
from dataclasses import replace

from guardrails.resources import STACK_TOKEN, Attached, Resource, Stack, identities
from guardrails.view import Unknown, Value


def objects(stack: Stack, *tokens: str) -> tuple[Resource, ...]:
    """The Kubernetes objects of some types; one without any output is wholly unknown.

    An engine gives no outputs at all while the provider's own configuration (the kubeconfig) is not known.
    """
    return tuple(
        each if each.properties.items() else replace(each, properties=Unknown("")) for each in stack.of(*tokens)
    )


def points(stack: Stack, holder: Resource, value: Value, target: Resource) -> bool | None:
    """Whether `value`, a property of `holder`, names `target`.

    A known text decides: an ARN is the target's, or ends in its name while the target's ARN is not known; anything else
    is the target's name or id, or what its ARN ends in (a state may hold a VPC's ARN without its id). An unknown value
    is decided by the edges of the property that it stands in: one to the target says yes, one to a component above it
    leaves it open, and so does having none.
    """
    text = value.text()
    if text is not None:
        names = identities(target)
        arns = [name for name in names if name.startswith("arn:")]
        if text.startswith("arn:"):
            return text in arns if arns else _end(text) in names
        return text in names or text in map(_end, arns)
    if not isinstance(value, Unknown):
        return False
    edges = holder.dependencies.get(re.split(r"[.\[]", value.path)[0], ())
    if not edges or target.urn in edges:
        return True if edges else None
    named = any(each.urn in edges for each in stack.of(target.token))
    return None if not named and any(each in edges for each in _holders(stack, target)) else False


def attached(stack: Stack, target: Resource, token: str, reference: str) -> Attached:
    """The resources of type `token` whose property `reference` names `target`, as `points` decides."""
    answers = [(side, points(stack, side, side.get(reference), target)) for side in stack.of(token)]
    return Attached(
        sure=tuple(side for side, answer in answers if answer),
        maybe=tuple(side for side, answer in answers if answer is None),
    )


def _end(arn: str) -> str:
    return re.split(r"[:/]", arn)[-1]


def _holders(stack: Stack, target: Resource) -> tuple[str, ...]:
    """The components above the target, without the stack itself."""
    by_urn = {each.urn: each for each in stack.resources}
    found: list[str] = []
    above = by_urn.get(target.parent or "")
    while above is not None and above.token != STACK_TOKEN:
        found.append(above.urn)
        above = by_urn.get(above.parent or "")
    return tuple(found)
