"""IAM: grants by which a workload could give itself more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from guardrails.documents import Condition, Statement, test
from guardrails.identity_policies import TOKENS, admits_only, allowances, reaches, unscoped
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide
from guardrails.view import Unknown, all_of, any_of

_ALWAYS = (
    "iam:CreatePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:AttachGroupPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:PutGroupPolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:UpdateLoginProfile",
    "iam:AddUserToGroup",
    "iam:PutRolePermissionsBoundary",
    "iam:DeleteRolePermissionsBoundary",
    "eks:CreateAccessEntry",
    "eks:AssociateAccessPolicy",
)
_PASS = ("iam:PassRole",)
_WITH_PASS_ROLE = ("lambda:UpdateFunctionCode",)
_NOTEBOOKS = ("sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl")
_ROLE = re.compile(r"arn:[^:*?]+:iam::\d{12}:role/[^*?]+\*?")
_EVERY_ROLE = re.compile(r"arn:[^:]+:iam::[^:]*:(role/?)?[*?]+")


@dataclass(frozen=True, slots=True)
class EscalationFacts:
    """Who may make notebooks for a role."""

    notebook_urns: Annotated[
        tuple[str, ...], "Globs over URNs of policies that may create notebooks and pass them a role."
    ] = ()


def _names_service(condition: Condition) -> bool | None:
    if condition.key != "iam:passedtoservice" or not admits_only(condition):
        return False
    return all_of(test(value, lambda text: not set(text) & set("*?")) for value in condition.values)


def _pass_role(statement: Statement) -> Iterator[Finding]:
    """`iam:PassRole` names roles of one account and the service that gets them."""
    passes = statement.matches("Action", lambda action: reaches(action, _PASS))
    roles, conditions = statement.element("Resource"), statement.conditions()
    if passes:
        exact = all_of(test(each, lambda arn: _ROLE.fullmatch(arn) is not None) for each in roles.elements())
        found = ", ".join(each.text() or "a role not known yet" for each in roles.elements()) or "no Resource"
        yield from decide(bool(roles.elements()) and exact, roles, found=found, wanted="the ARN of the role to pass")
        service = None if conditions is None else any_of(map(_names_service, conditions))
        place = statement.element("Condition")
        yield from decide(service, place, found="no exact iam:PassedToService", wanted="the service that gets the role")
    elif passes is None:
        yield Undetermined(path=statement.element("Action").path)


def _escalates(statement: Statement) -> Iterator[Finding]:
    yield from _pass_role(statement)
    for action in statement.each("Action"):
        safe = test(action, lambda text: not reaches(text, _ALWAYS))
        found = f"{action.text()}, which can widen permissions"
        if not isinstance(action, Unknown):
            yield from decide(safe, action, found=found, wanted="none of those actions")
    excluded = [each.text() or "" for each in statement.each("NotAction")]
    everything = statement.matches("Resource", unscoped)
    if excluded and everything and not all(_excludes(excluded, each) for each in (*_ALWAYS, *_PASS)):
        place = statement.element("NotAction")
        wanted = "a list of actions"
        yield Violation(path=place.path, found="every action but some, which can widen permissions", wanted=wanted)
    assumes = statement.matches("Action", lambda action: reaches(action, ("sts:AssumeRole",)))
    anyone = statement.matches("Resource", lambda arn: unscoped(arn) or _EVERY_ROLE.fullmatch(arn) is not None)
    answer = all_of([assumes, anyone])
    if assumes is not None:
        opposite = None if answer is None else not answer
        place = statement.element("Resource")
        yield from decide(opposite, place, found="sts:AssumeRole on every role", wanted="the ARNs of the roles")


def _excludes(patterns: list[str], action: str) -> bool:
    """Whether a list under `NotAction` leaves an action out of a grant."""
    return any(reaches(pattern, (action,)) for pattern in patterns)


def _together(resource: Resource, allowed: tuple[Statement, ...], facts: EscalationFacts) -> Iterator[Finding]:
    """Pairs that escalate only in company of `iam:PassRole`."""
    excused = any(fnmatchcase(resource.urn, glob) for glob in facts.notebook_urns)
    risky = (*_WITH_PASS_ROLE, *(() if excused else _NOTEBOOKS))
    if not any_of(statement.matches("Action", lambda action: reaches(action, _PASS)) for statement in allowed):
        return
    for action in (each for statement in allowed for each in statement.each("Action")):
        if test(action, lambda text: reaches(text, risky)):
            wanted = "the two in different hands"
            yield Violation(path=action.path, found=f"{action.text()} beside iam:PassRole", wanted=wanted)


def _check(resource: Resource, facts: EscalationFacts) -> Iterator[Finding]:
    for allowed in allowances(resource):
        if isinstance(allowed, Undetermined):
            yield allowed
            continue
        for statement in allowed:
            yield from _escalates(statement)
        yield from _together(resource, allowed, facts)


IAM_04 = ResourceRule(
    id="IAM-04",
    name="iam-no-escalation-path",
    title="No policy lets its holder gain more than it grants",
    tokens=TOKENS,
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:IAM.1", "soc2:CC6.3", "gdpr:32"),
    why="a right to change rights is every right: one stolen token becomes the account",
    fix="pass one role to one service (Resource and iam:PassedToService), and leave IAM changes to deployments",
    facts=EscalationFacts,
    check=_check,
    traps=(
        "iam:PassRole with sagemaker:CreateTrainingJob runs code as the passed role: the role must be named",
        "a trailing * in a role's name is accepted, a * for the whole name or the account is not",
        "Karpenter passes the node role to ec2.amazonaws.com and changes only tagged instance profiles",
    ),
)
