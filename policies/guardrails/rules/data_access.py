"""Resource policies, ACLs and permissions: nobody outside may read or write."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import Condition, Malformed, Statement, statements, test
from guardrails.networks import parse, reach_the_world
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide, require
from guardrails.view import Known, Missing, Unknown, Value, all_of, any_of

_POLICIES = {
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
}
_BUCKET = "aws:s3/bucket:Bucket"
_ACL = "aws:s3/bucketAcl:BucketAcl"
_PERMISSION = "aws:lambda/permission:Permission"
_URL = "aws:lambda/functionUrl:FunctionUrl"
_OPEN_ACLS = frozenset(("public-read", "public-read-write", "authenticated-read"))
_OPEN_GROUPS = ("/global/AllUsers", "/global/AuthenticatedUsers")
_SCOPES = frozenset(
    (
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
        "kms:viaservice",
    )
)
_COMPARISONS = ("stringequals", "stringlike", "arnequals", "arnlike")


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """Who is not a stranger."""

    accounts: Annotated[
        tuple[str, ...], "Numbers of accounts that may be named; the provider's allowed accounts always may."
    ] = ()


def _narrows(condition: Condition) -> bool | None:
    """Whether a test leaves out strangers: it compares who or whence with something, and a missing key fails it."""
    operator = condition.operator.removeprefix("forallvalues:").removeprefix("foranyvalue:")
    if condition.operator.startswith("forallvalues:") or operator.endswith("ifexists"):
        return False
    if condition.key == "aws:sourceip" and operator == "ipaddress":
        networks = [parse(each.text() or "") for each in condition.values]
        known = [each for each in networks if each is not None]
        return None if len(known) < len(networks) else bool(known) and not reach_the_world(known)
    if condition.key not in _SCOPES or operator not in {*_COMPARISONS, "stringequalsignorecase"}:
        return False
    return bool(condition.values) and all_of(
        test(each, lambda text: bool(text.strip("*?"))) for each in condition.values
    )


def _scoped(statement: Statement) -> bool | None:
    conditions = statement.conditions()
    return None if conditions is None else any_of(map(_narrows, conditions))


def _account(principal: str) -> str:
    """The account of a principal: its number, or the fifth part of its ARN."""
    match principal.split(":"):
        case ["arn", _, _, _, account, *_]:
            return account
        case _:
            return principal


def _ours(resource: Resource, facts: AccessFacts) -> frozenset[str]:
    own = resource.provider.get("allowedAccountIds").json().elements()
    return frozenset((*facts.accounts, *(each.text() or "" for each in own)))


def _judge_principal(principal: Value, statement: Statement, ours: frozenset[str]) -> Iterator[Finding]:
    text = principal.text()
    if isinstance(principal, Unknown):
        return  # a principal that comes later is a resource of the program, so not everybody
    if text is not None and (text == "*" or "*" in _account(text)):
        opened = _scoped(statement)
        yield from decide(
            opened, principal, found="everybody", wanted="named principals, or a condition on who or whence"
        )
    elif text is not None and _account(text).isdigit() and _account(text) not in ours:
        answer = None if not ours else _scoped(statement)
        yield from decide(
            answer, principal, found=f"account {_account(text)}", wanted="an account of the configuration"
        )


def _check_statement(statement: Statement, ours: frozenset[str]) -> Iterator[Finding]:
    allows = statement.effect_is("Allow")
    if allows is None:
        yield Undetermined(path=statement.value.path)
    if not allows:
        return
    excluded = statement.element("NotPrincipal")
    if not isinstance(excluded, Missing):
        yield Violation(path=excluded.path, found="everybody but some", wanted="Principal with names")
    if isinstance(statement.element("Principal"), Unknown):
        yield Undetermined(path=statement.element("Principal").path)
        return
    for principal in statement.principals("AWS"):
        yield from _judge_principal(principal, statement, ours)
    for principal in statement.principals("CanonicalUser"):
        if isinstance(principal, Known) and statement.element("Principal").text() is None:
            named = any_of([principal.text() in ours, _scoped(statement)])
            found = "a canonical user id, which names no account of ours"
            yield from decide(named, principal, found=found, wanted="the ARN of a principal")


def _check_document(document: Value, ours: frozenset[str]) -> Iterator[Finding]:
    listed = statements(document)
    if isinstance(listed, Unknown | Malformed):
        yield Undetermined(path=document.path, why="known only after deployment, or no policy document")
        return
    for statement in listed:
        yield from _check_statement(statement, ours)


def _check_acl(resource: Resource) -> Iterator[Finding]:
    acl = resource.get("acl")
    if not isinstance(acl, Missing):
        yield from require(acl, lambda value: value.text() not in _OPEN_ACLS, "private, or no ACL")
    path = "accessControlPolicy.grants[*].grantee.uri" if resource.token == _ACL else "grants[*].uri"
    for group in resource.select(path):
        if not isinstance(group, Missing):
            yield from require(group, lambda value: not (value.text() or "").endswith(_OPEN_GROUPS), "no public group")


def _check_permission(permission: Resource, ours: frozenset[str]) -> Iterator[Finding]:
    principal = permission.get("principal")
    scopes = [permission.get(each) for each in ("principalOrgId", "sourceArn", "sourceAccount")]
    narrow = any(isinstance(each, Known | Unknown) for each in scopes)
    text = principal.text() or ""
    if text == "*" and not narrow:
        yield Violation(path=principal.path, found="everybody", wanted="a principal, or principalOrgId")
    elif _account(text).isdigit() and _account(text) not in ours and not narrow:
        answer = None if not ours else False
        yield from decide(answer, principal, found=text, wanted="an account of the configuration")
    yield from _signed(permission.get("functionUrlAuthType"))


def _signed(kind: Value) -> Iterator[Finding]:
    if not isinstance(kind, Missing):
        yield from require(kind, lambda value: value.text() == "AWS_IAM", "AWS_IAM")


def _check(resource: Resource, facts: AccessFacts) -> Iterator[Finding]:
    token, ours = resource.token, _ours(resource, facts)
    if token in _POLICIES:
        yield from _check_document(resource.get(_POLICIES[token]), ours)
    elif token in {_ACL, _BUCKET}:
        yield from _check_acl(resource)
        if token == _BUCKET and isinstance(resource.get("policy"), Known):
            yield from _check_document(resource.get("policy"), ours)
    elif token == _PERMISSION:
        yield from _check_permission(resource, ours)
    else:
        yield from _signed(resource.get("authorizationType"))


DATA_02 = ResourceRule(
    id="DATA-02",
    name="resource-policy-no-public",
    title="No bucket, queue, topic, repository, key, secret or function is open to strangers",
    tokens=(*_POLICIES, _BUCKET, _ACL, _PERMISSION, _URL),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:S3.2", "fsbp:S3.3", "fsbp:S3.6", "fsbp:SQS.3", "fsbp:SNS.4", "soc2:CC6.1", "gdpr:32"),
    why="a resource policy opens a door that no role and no network rule can close",
    fix="name principals of your accounts, or add a condition on organisation, account, principal, VPC or source",
    facts=AccessFacts,
    check=_check,
    traps=(
        "Deny for everybody closes; NotPrincipal with Allow opens",
        "a condition counts when a missing key fails it: …IfExists, ForAllValues, StringNotEquals and * do not narrow",
        "services are IAM-07's; an account by number and by the ARN of its root are the same",
        "kms:ViaService, kms:CallerAccount and aws:PrincipalArn narrow who may use a key",
    ),
)
