"""What a rule sees of the program: one resource, or the whole stack with its references resolved."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from guardrails.view import Known, Missing, Unknown, Value, value_of

STACK_TOKEN = "pulumi:pulumi:Stack"  # noqa: S105 - a type token
"""Type of the root resource, which every deployment registers first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One registered resource: inputs for resource rules, outputs for stack rules."""

    token: str
    """The type, such as `aws:s3/bucket:Bucket`."""
    urn: str
    name: str
    properties: Value
    provider: Value = field(default_factory=lambda: Missing("provider"))
    """The properties of the provider that will make the resource."""
    parent: str | None = None
    """URN of the parent."""
    protect: bool = False
    """Whether the engine refuses to delete it; inherited from the parent before a policy sees it."""
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """For each property that the program gave: URNs of the resources that its value came from."""

    def get(self, path: str) -> Value:
        """The property at a path (see `Value`)."""
        return self.properties.get(path)

    def select(self, path: str) -> tuple[Value, ...]:
        """All properties at a path with `[*]` (see `Value`)."""
        return self.properties.select(path)

    def given(self, path: str) -> Value:
        """An output property that the provider may also compute; unknown but not written by the program is missing.

        The engine lists every property that the program wrote among `dependencies`, also those that depend on nothing.
        """
        value = self.properties.get(path)
        written = any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in self.dependencies)
        return Missing(value.path) if isinstance(value, Unknown) and not written else value

    def tag(self, key: str) -> Value:
        """A tag from the merged tags, the resource's own, or the provider's defaults; a known one wins.

        The provider's defaults are JSON text on the wire.
        """
        defaults = self.provider.get("defaultTags").json().get("tags").json()
        readings = [tags.child(key) for tags in (self.get("tagsAll"), self.get("tags"), defaults)]
        known = [each for each in readings if isinstance(each, Known)]
        unknown = [each for each in readings if isinstance(each, Unknown)]
        return (known or unknown or [self.get("tags").child(key)])[0]


def resource(token: str, properties: object, *, name: str = "subject", urn: str | None = None) -> Resource:
    """A resource from raw properties, for callers outside an engine."""
    return Resource(
        token=token,
        urn=urn or f"urn:pulumi:stack::project::{token}::{name}",
        name=name,
        properties=value_of(properties),
    )


@dataclass(frozen=True, slots=True)
class Attached:
    """The side resources of a resource."""

    reference: str
    """The property by which they name it."""
    sure: tuple[Resource, ...]
    """Those that certainly name it."""
    maybe: tuple[Resource, ...]
    """Those whose reference is not known yet and may name it."""


@dataclass(frozen=True)
class Stack:
    """All resources of a deployment."""

    resources: tuple[Resource, ...]

    def of(self, *tokens: str) -> tuple[Resource, ...]:
        """The resources of these types."""
        if len(tokens) == 1:
            return self._by_token.get(tokens[0], ())
        return tuple(each for each in self.resources if each.token in tokens)

    def objects(self, *tokens: str) -> tuple[Resource, ...]:
        """The Kubernetes objects of some types; one without any output is wholly unknown.

        An engine gives no outputs at all while the provider's own configuration (the kubeconfig) is not known.
        """
        return tuple(
            each if each.properties.items() else replace(each, properties=Unknown("")) for each in self.of(*tokens)
        )

    def attached(self, target: Resource, token: str, reference: str) -> Attached:
        """The resources of type `token` whose property `reference` names `target`, as `names` decides."""
        answers = [(side, self.names(side, side.get(reference), target)) for side in self.of(token)]
        return Attached(
            reference=reference,
            sure=tuple(side for side, answer in answers if answer),
            maybe=tuple(side for side, answer in answers if answer is None),
        )

    def names(self, holder: Resource, value: Value, target: Resource) -> bool | None:
        """Whether `value`, a property of `holder`, names `target`; None while that is open.

        A known text decides: it is the name, id or ARN of a resource of the target's type, or the one is the other's
        last part (a state may hold a VPC's ARN without its id, or a role's name without its ARN). Where the text says
        nothing of any of them, or is not known yet, the edges of the property that it stands in decide if they leave
        one candidate: a preview has the edge before it has the value. An edge to a component stands for the resources
        below it.
        """
        candidates = self._candidates(holder.dependencies.get(_root(value.path), ()), target.token)
        text = value.text()
        if text is not None:
            named = self._identified(target.token).get(text)
            if named:
                return target in named
            return _abbreviated(text, target) or (candidates == [target] and not identities(target))
        if not isinstance(value, Unknown) or not candidates:
            return None if isinstance(value, Unknown) else False
        return None if len(candidates) > 1 and target in candidates else candidates == [target]

    @cached_property
    def _by_token(self) -> dict[str, tuple[Resource, ...]]:
        grouped: dict[str, list[Resource]] = {}
        for each in self.resources:
            grouped.setdefault(each.token, []).append(each)
        return {token: tuple(members) for token, members in grouped.items()}

    @cached_property
    def _by_urn(self) -> dict[str, Resource]:
        return {each.urn: each for each in self.resources}

    @cached_property
    def _children(self) -> dict[str, list[Resource]]:
        children: dict[str, list[Resource]] = {}
        for each in self.resources:
            if each.parent is not None:
                children.setdefault(each.parent, []).append(each)
        return children

    def _identified(self, token: str) -> dict[str, list[Resource]]:
        """The resources of a type by the strings that name them."""
        if token not in self._identities:
            by_name: dict[str, list[Resource]] = {}
            for each in self.of(token):
                for name in identities(each):
                    by_name.setdefault(name, []).append(each)
            self._identities[token] = by_name
        return self._identities[token]

    @cached_property
    def _identities(self) -> dict[str, dict[str, list[Resource]]]:
        return {}

    def _candidates(self, urns: tuple[str, ...], token: str) -> list[Resource]:
        """The resources of a type that some URNs name directly, or else as the components that hold them."""
        found = [self._by_urn[urn] for urn in urns if urn in self._by_urn]
        direct = [each for each in found if each.token == token]
        if direct:
            return direct
        below = [
            each for start in found if start.token != STACK_TOKEN for each in self._below(start) if each.token == token
        ]
        return list({each.urn: each for each in below}.values())

    def _below(self, start: Resource) -> list[Resource]:
        children = self._children.get(start.urn, [])
        return [each for child in children for each in (child, *self._below(child))]


def identities(target: Resource) -> frozenset[str]:
    """The known strings by which other resources may name this one: name, id, ARN, URL."""
    values = [target.get(name) for name in ("bucket", "name", "id", "arn")]
    return frozenset(text for value in values if isinstance(value, Known) and (text := value.text()) is not None)


def _abbreviated(text: str, target: Resource) -> bool:
    """Whether a name is the end of the target's ARN, or an ARN ends in its name while its own ARN is not known."""
    names = identities(target)
    arns = [name for name in names if name.startswith("arn:")]
    if text.startswith("arn:"):
        return not arns and _end(text) in names
    return text in map(_end, arns)


def _end(arn: str) -> str:
    return re.split(r"[:/]", arn)[-1]


def _root(path: str) -> str:
    """The property that a path begins with."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]
