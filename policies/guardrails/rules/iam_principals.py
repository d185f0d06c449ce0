"""IAM: whom trust and resource policies let in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import Condition, Malformed, Statement, statements, test
from guardrails.identity_policies import admits_only
from guardrails.resources import Resource, Stack
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    StackRule,
    Undetermined,
    Violation,
    decide,
)
from guardrails.view import Unknown, Value, any_of

_ROLE = "aws:iam/role:Role"
_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(?P<account>\d{12})(?::root)?")
_ORGANISATION = {"aws:principalorgid", "aws:principalorgpaths"}
_NARROWS_EVERYBODY = {*_ORGANISATION, "aws:principalaccount", "aws:principalarn"}


@dataclass(frozen=True, slots=True)
class PrincipalFacts:
    """Which accounts are ours."""

    accounts: Annotated[tuple[str, ...], "Numbers of the organisation's accounts, which need no external id."] = ()


def _allowed(document: Value) -> Iterator[Statement | Undetermined]:
    """The statements of a document that allow something."""
    listed = statements(document)
    if isinstance(listed, Unknown):
        yield Undetermined(path=listed.path)
    elif not isinstance(listed, Malformed):
        for statement in listed:
            effect = statement.effect_is("Allow")
            if effect is None:
                yield Undetermined(path=statement.value.path)
            elif effect:
                yield statement


def _literal(condition: Condition) -> bool:
    """Whether each value of a condition says something: not just wildcards."""
    return all(isinstance(value, Unknown) or (value.text() or "").strip("*?:/") for value in condition.values)


def _conditioned(statement: Statement, keys: set[str]) -> bool | None:
    """Whether a condition on one of some keys admits named values only."""
    conditions = statement.conditions()
    if conditions is None:
        return None
    return any(each.key in keys and admits_only(each) and _literal(each) for each in conditions)


def _judge_trust(statement: Statement, facts: PrincipalFacts) -> Iterator[Finding]:
    if negated := statement.each("NotPrincipal"):
        yield Violation(path=negated[0].path, found="Allow with NotPrincipal", wanted="the principals that need it")
    for principal in (*statement.principals("AWS"), *statement.principals("Federated")):
        text = principal.text()
        account = _ACCOUNT.fullmatch(text or "")
        if isinstance(principal, Unknown):
            yield Undetermined(path=principal.path)
        elif text is not None and "*" in text:
            narrowed = _conditioned(statement, _NARROWS_EVERYBODY)
            yield from decide(narrowed, principal, found=f"{text}, which is everybody", wanted="named principals")
        elif account is not None and account["account"] not in facts.accounts:
            pinned = _conditioned(statement, {*_ORGANISATION, "sts:externalid"})
            wanted = "a role of that account, or a condition on sts:ExternalId or aws:PrincipalOrgID"
            yield from decide(pinned, principal, found=f"everybody in the account {account['account']}", wanted=wanted)


def _check_trust(role: Resource, facts: PrincipalFacts) -> Iterator[Finding]:
    for statement in _allowed(role.get("assumeRolePolicy")):
        if isinstance(statement, Undetermined):
            yield statement
        else:
            yield from _judge_trust(statement, facts)


IAM_06 = ResourceRule(
    id="IAM-06",
    name="iam-trust-no-public-principal",
    title="No role can be assumed by everybody, or by a whole foreign account",
    tokens=(_ROLE,),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("soc2:CC6.1", "gdpr:32"),
    why="any AWS account in the world could become the role",
    fix="name the principals; for a whole account add sts:ExternalId or aws:PrincipalOrgID, or list it as ours",
    facts=PrincipalFacts,
    check=_check_trust,
    traps=(
        "a Deny to everybody is no trust",
        "an external id is no secret and does not narrow *; the organisation's id does",
        "the bare number of an account means its root",
    ),
)


def _check_own_root(stack: Stack, facts: PrincipalFacts) -> Iterator[Finding]:
    for role in stack.of(_ROLE):
        for statement in _allowed(role.get("assumeRolePolicy")):
            if isinstance(statement, Undetermined):
                yield Undetermined(path=statement.path, resource=role)
                continue
            for principal in statement.principals("AWS"):
                own = test(
                    principal, lambda text: (m := _ACCOUNT.fullmatch(text)) is not None and m[1] in facts.accounts
                )
                narrowed = _conditioned(statement, _NARROWS_EVERYBODY)
                answer = any_of([None if own is None else not own, narrowed])
                found = "the whole account"
                yield from decide(answer, principal, found=found, wanted="the roles that need it", at=role)


IAM_06_STACK = StackRule(
    id="IAM-06",
    name="iam-trust-names-roles",
    title="Roles trust named roles of our accounts rather than the accounts",
    tokens=(_ROLE,),
    severity=Severity.LOW,
    levels=Levels(dev=Level.ADVISORY, prod=Level.ADVISORY),
    frameworks=("soc2:CC6.1",),
    why="every policy of the account that allows sts:AssumeRole then decides who becomes the role",
    fix="write the ARNs of the roles in Principal.AWS",
    facts=PrincipalFacts,
    check=_check_own_root,
    traps=("only the accounts that configuration lists are ours",),
)


@dataclass(frozen=True, slots=True)
class DeputyFacts:
    """Which services act for whom they are told to."""

    services: Annotated[
        tuple[str, ...], "First parts of service principals that must be tied to an account or a resource."
    ] = ("sagemaker", "events", "scheduler", "s3", "sns", "cloudwatch", "config", "pods.eks")


_PERMISSION = "aws:lambda/permission:Permission"
_POLICIES = {
    _ROLE: "assumeRolePolicy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
}
_SOURCES = {"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths"}


def _deputy(principal: str, facts: DeputyFacts) -> bool:
    """Whether a principal is one of the configured services, global or of a region, in any partition."""
    services = "|".join(map(re.escape, facts.services))
    return re.fullmatch(rf"({services})(\.[a-z]+(-[a-z]+)+-\d)?\.amazonaws\.com(\.cn)?", principal) is not None


def _check_permission(permission: Resource, facts: DeputyFacts) -> Iterator[Finding]:
    principal = permission.get("principal")
    service = test(
        principal, lambda text: _deputy(text, facts) or text.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    )
    if service is None:
        yield Undetermined(path=principal.path)
    if not service:
        return
    source = permission.get("sourceArn")
    named = isinstance(source, Unknown) or bool((source.text() or "").strip("*?:/"))
    yield from decide(named, source, found=source.text() or "nothing", wanted="the ARN of what invokes the function")
    bucket = (principal.text() or "").startswith("s3.") or (source.text() or "").split(":")[2:3] == ["s3"]
    account = permission.get("sourceAccount")
    if bucket and not isinstance(account, Unknown) and not account.text():
        wanted = "the account of the bucket, whose name anybody may own after a deletion"
        yield Violation(path=account.path, found="nothing", wanted=wanted)


def _check_deputies(resource: Resource, facts: DeputyFacts) -> Iterator[Finding]:
    if resource.token == _PERMISSION:
        yield from _check_permission(resource, facts)
        return
    for statement in _allowed(resource.get(_POLICIES[resource.token])):
        if isinstance(statement, Undetermined):
            yield statement
            continue
        for principal in statement.principals("Service"):
            called = test(principal, lambda text: _deputy(text, facts))
            answer = any_of([None if called is None else not called, _conditioned(statement, _SOURCES)])
            found = f"{principal.text()} for anybody"
            yield from decide(
                answer, principal, found=found, wanted="a condition on aws:SourceAccount or aws:SourceArn"
            )


IAM_07 = ResourceRule(
    id="IAM-07",
    name="iam-confused-deputy",
    title="AWS services act on our resources for our account only",
    tokens=(*_POLICIES, _PERMISSION),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:Lambda.1", "soc2:CC6.6"),
    why="a stranger could make the service use our role, queue, key or function for the stranger's resources",
    fix="add a condition on aws:SourceAccount or aws:SourceArn; give Lambda permissions source_arn and source_account",
    facts=DeputyFacts,
    check=_check_deputies,
    traps=(
        "ec2, eks and lambda as principals of roles send no source",
        "the ARN of a bucket has no account, so a permission for S3 needs source_account as well",
        "a source of wildcards only, and ...IfExists, admit everybody",
    ),
)
