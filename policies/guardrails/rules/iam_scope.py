"""IAM: how far the grants of identity policies reach."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from guardrails.documents import Condition, Statement, covers, test
from guardrails.facts import NoFacts
from guardrails.iam_actions import accepts_resource
from guardrails.identity_policies import TOKENS, admits_only, judge_each, reaches, unscoped
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Violation, decide
from guardrails.view import Unknown, Value, all_of, any_of

_WHOLE_SERVICE = re.compile(r"[^:]*[^:*?][^:]*:[*?]*\*[*?]*")


def _whole_services(statement: Statement) -> Iterator[Finding]:
    for action in statement.each("Action"):
        narrow = test(action, lambda text: _WHOLE_SERVICE.fullmatch(text) is None)
        yield from decide(narrow, action, found=action.text() or "", wanted="the actions that are called")


def _check_services(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    yield from judge_each(resource, _whole_services)


IAM_02 = ResourceRule(
    id="IAM-02",
    name="iam-no-service-wildcard",
    title="No policy grants every action of a service",
    tokens=TOKENS,
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:IAM.21", "soc2:CC6.3", "gdpr:32"),
    why="a service's actions include deletion and administration, and grow with every release of AWS",
    fix="list the actions that the workload calls; s3:Get* and ec2:Describe* are no wildcards of a service",
    facts=NoFacts,
    check=_check_services,
    traps=("a Deny on a whole service is no grant", "every action of every service is IAM-01's"),
)


@dataclass(frozen=True, slots=True)
class UnscopedFacts:
    """What may be granted on every resource although it could be narrower."""

    metadata_actions: Annotated[tuple[str, ...], "Patterns of actions that only read metadata, allowed on *."] = (
        "*:List*",
        "*:Describe*",
        "*:Get*Attributes",
        "route53:GetChange",
    )
    data_actions: Annotated[tuple[str, ...], "Patterns of actions that those cover but that reveal data."] = (
        "s3:ListBucket*",
        "s3:ListMultipartUploadParts",
    )

    def allow(self, action: str) -> bool:
        """Whether an action pattern covers metadata only."""
        lower = action.lower()
        data = [each.lower() for each in self.data_actions]
        excepted = any(covers(each, lower) or covers(lower, each.rstrip("*")) for each in data)
        return not excepted and any(covers(each.lower(), lower) for each in self.metadata_actions)


_TAGS = re.compile(r"[a-z0-9-]+:(resource|request)tag/.+")
_ORIGINS = {"ec2:createaction", "aws:resourceaccount", "aws:sourcevpce"}


def _scopes(condition: Condition) -> bool:
    """Whether a condition ties a statement to tagged resources, one account or one endpoint."""
    if not admits_only(condition):
        return False
    literal = all(isinstance(value, Unknown) or (value.text() or "").strip("*?") for value in condition.values)
    return _TAGS.fullmatch(condition.key) is not None or (condition.key in _ORIGINS and literal)


def _too_wide(action: Value, facts: UnscopedFacts) -> bool | None:
    text = action.text()
    if text is None:
        return None if isinstance(action, Unknown) else False
    return False if facts.allow(text) else accepts_resource(text)


def _unscoped_grant(facts: UnscopedFacts, statement: Statement) -> Iterator[Finding]:
    for name in ("NotAction", "NotResource"):
        if element := statement.each(name):
            yield Violation(path=element[0].path, found=f"Allow with {name}", wanted=f"a list under {name[3:]}")
    conditions = statement.conditions()
    scoped = None if conditions is None else any(map(_scopes, conditions))
    wide = [(each, _too_wide(each, facts)) for each in statement.each("Action")]
    answer = all_of(
        [
            any_of(test(each, unscoped) for each in statement.each("Resource")),
            any_of(verdict for _, verdict in wide),
            None if scoped is None else not scoped,
        ]
    )
    named = ", ".join(each.text() or "an action" for each, verdict in wide if verdict is not False)
    found = f"{named} on every resource"
    wanted = "the ARNs that are used, or a condition on aws:ResourceTag or aws:RequestTag"
    yield from decide(None if answer is None else not answer, statement.value, found=found, wanted=wanted)


def _check_scope(resource: Resource, facts: UnscopedFacts) -> Iterator[Finding]:
    yield from judge_each(resource, partial(_unscoped_grant, facts))


IAM_03 = ResourceRule(
    id="IAM-03",
    name="iam-no-unscoped-resource",
    title="Actions that accept a resource are granted on named resources",
    tokens=TOKENS,
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC6.3", "gdpr:25", "gdpr:32"),
    why="a grant on every resource also holds for what other teams keep in the account, now and later",
    fix="write the ARNs, or add a condition on aws:ResourceTag, aws:RequestTag or aws:ResourceAccount",
    facts=UnscopedFacts,
    check=_check_scope,
    traps=(
        "actions that accept no resource can only be granted on * (table of the Service Authorization Reference)",
        "aws:RequestedRegion narrows where, not what",
        "an ARN with wildcards for account and name is *; with the account it is not",
        "ForAllValues and ...IfExists let requests without the key through",
        "an action of a service outside the table is undetermined",
    ),
)

_KEY_USES = (
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What counts as narrowing the use of keys beside naming them."""

    accepted_conditions: Annotated[
        tuple[str, ...], "Condition keys, such as kms:ViaService, that narrow a grant on every key enough."
    ] = ()


def _open_key(arn: str) -> bool:
    """Whether a resource pattern names no particular key."""
    return bool(set(arn.rpartition(":")[2]) & set("*?"))


def _key_use(facts: KeyFacts, statement: Statement) -> Iterator[Finding]:
    accepted = {key.lower() for key in facts.accepted_conditions}
    conditions = statement.conditions()
    narrowed = (
        None if conditions is None and accepted else any(c.key in accepted and admits_only(c) for c in conditions or ())
    )
    answer = all_of(
        [
            statement.matches("Action", lambda action: reaches(action, _KEY_USES)),
            any_of([statement.matches("Resource", _open_key), bool(statement.each("NotResource"))]),
            None if narrowed is None else not narrowed,
        ]
    )
    opposite = None if answer is None else not answer
    yield from decide(opposite, statement.value, found="use of keys without naming them", wanted="ARNs of keys")


def _check_keys(resource: Resource, facts: KeyFacts) -> Iterator[Finding]:
    yield from judge_each(resource, partial(_key_use, facts))


IAM_05 = ResourceRule(
    id="IAM-05",
    name="iam-kms-use-scoped",
    title="Data may be decrypted with named keys only",
    tokens=TOKENS,
    severity=Severity.HIGH,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:KMS.1", "fsbp:KMS.2", "soc2:CC6.1", "gdpr:32-1-a"),
    why="whoever may use every key may read whatever any of them protects",
    fix="write the ARNs of the keys that the workload's data is encrypted with",
    facts=KeyFacts,
    check=_check_keys,
    traps=("key/* is every key of an account", "an alias in a resource ARN grants no use of its key"),
)
