"""Identity policies: what the documents of roles, users, groups and managed policies allow."""

import re
from collections.abc import Callable, Iterable, Iterator

from guardrails.documents import Condition, Malformed, Statement, covers, statements
from guardrails.resources import Resource
from guardrails.rule import Finding, Undetermined
from guardrails.view import Unknown

DOCUMENTS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:iam/role:Role": "inlinePolicies[*].policy",
}
"""Where each type holds its documents."""

TOKENS = tuple(DOCUMENTS)
"""The types that hold identity policies."""

_SEGMENTS = 6
_OWNED_BY_AWS = re.compile(r"(image|snapshot)/.*")
_EVERY_NAME = re.compile(r"([\w-]+[/:])?[*?/:]*\*[*?/:]*")
_POSITIVE = {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"}


def allowances(resource: Resource) -> Iterator[tuple[Statement, ...] | Undetermined]:
    """The Allow statements of each document; text that is no document is another rule's to name."""
    for document in resource.select(DOCUMENTS[resource.token]):
        listed = statements(document)
        if isinstance(listed, Unknown):
            yield Undetermined(path=listed.path)
        elif not isinstance(listed, Malformed):
            effects = [(each, each.effect_is("Allow")) for each in listed]
            yield from (Undetermined(path=each.value.path) for each, effect in effects if effect is None)
            yield tuple(each for each, effect in effects if effect)


def judge_each(resource: Resource, judge: Callable[[Statement], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a judge over every Allow statement of a resource."""
    for allowed in allowances(resource):
        if isinstance(allowed, Undetermined):
            yield allowed
            continue
        for statement in allowed:
            yield from judge(statement)


def reaches(pattern: str, actions: Iterable[str]) -> bool:
    """Whether an action pattern covers any of some actions."""
    return any(covers(pattern.lower(), action.lower()) for action in actions)


def unscoped(arn: str) -> bool:
    """Whether a resource pattern leaves account and name open: `*`, or wildcards in both places of an ARN.

    Buckets and hosted zones have no account in their ARNs. AWS owns the images and snapshots that have none.
    """
    parts = arn.split(":", _SEGMENTS - 1)
    if len(parts) < _SEGMENTS:
        return arn.endswith("*")
    service, account, name = parts[2], parts[4], parts[5]
    if service == "s3":
        return not name.strip("*?/")
    if service == "ec2" and not account and _OWNED_BY_AWS.fullmatch(name):
        return False
    return not account.strip("*?") and _EVERY_NAME.fullmatch(name) is not None


def admits_only(condition: Condition) -> bool:
    """Whether a condition lets through some values only, and never a request that lacks its key."""
    operator = condition.operator.removeprefix("foranyvalue:")
    if operator == "null":
        return all(value.flag() is False for value in condition.values)
    return operator in _POSITIVE and bool(condition.values)
