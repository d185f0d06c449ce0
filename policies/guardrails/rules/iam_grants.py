"""IAM: what policies grant."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import Malformed, Statement, any_action, any_resource, statements, test
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, decide
from guardrails.view import Unknown, Value, all_of, any_of


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """What counts as administration."""

    refused_managed_policies: Annotated[tuple[str, ...], "Names of AWS managed policies that nothing may be given."] = (
        "AdministratorAccess",
        "IAMFullAccess",
        "PowerUserAccess",
    )


_DOCUMENTS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:iam/role:Role": "inlinePolicies[*].policy",
}
_ATTACHMENTS = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns[*]",
    "aws:iam/role:Role": "managedPolicyArns[*]",
}


def _grants_everything(statement: Statement) -> bool | None:
    """Allow, on all actions and all resources; `NotAction` and `NotResource` leave out some and grant the rest."""
    actions = any_of([statement.matches("Action", any_action), _present(statement.element("NotAction"))])
    resources = any_of([statement.matches("Resource", any_resource), _present(statement.element("NotResource"))])
    return all_of([statement.effect_is("Allow"), actions, resources])


def _present(value: Value) -> bool:
    return bool(value.elements())


def _check(resource: Resource, facts: GrantFacts) -> Iterator[Finding]:
    for document in resource.select(_DOCUMENTS[resource.token]) if resource.token in _DOCUMENTS else ():
        listed = statements(document)
        if isinstance(listed, Unknown):
            yield Undetermined(path=listed.path)
        elif isinstance(listed, Malformed):
            yield from decide(False, document, found="text that is no policy document", wanted="IAM policy JSON")
        else:
            for statement in listed:
                answer = _grants_everything(statement)
                yield from decide(
                    None if answer is None else not answer,
                    statement.value,
                    found="Allow on every action and every resource",
                    wanted="named actions on named resources",
                )
    refused = re.compile(
        rf"arn:[^:]+:iam::aws:policy/(.*/)?({'|'.join(map(re.escape, facts.refused_managed_policies))})"
    )
    for arn in resource.select(_ATTACHMENTS[resource.token]) if resource.token in _ATTACHMENTS else ():
        answer = test(arn, lambda text: refused.fullmatch(text) is None)
        yield from decide(answer, arn, found=arn.text() or "", wanted="a policy that grants named actions only")


IAM_01 = ResourceRule(
    id="IAM-01",
    name="iam-no-full-admin",
    title="No policy grants every action on every resource",
    tokens=tuple({**_DOCUMENTS, **_ATTACHMENTS}),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:IAM.1", "soc2:CC6.3", "gdpr:32"),
    why="whoever takes over one workload with such a policy owns the account",
    fix="list the actions that the workload calls and the ARNs that it calls them on",
    facts=GrantFacts,
    check=_check,
    traps=(
        "key, bucket and queue policies are not judged here: a key policy must give the account root kms:* on *",
        "a policy of one's own that is called AdministratorAccess is judged by its document",
        "a Deny on everything is no grant",
    ),
)
