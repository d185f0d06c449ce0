"""IAM: who may become a role."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import Condition, Malformed, Statement, statements, test
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, decide
from guardrails.view import Unknown, Value, all_of, any_of


@dataclass(frozen=True, slots=True)
class TrustFacts:
    """How widely a role of a Kubernetes workload may be shared."""

    most_subjects: Annotated[int, "Most service accounts that one role may list."] = 5


_ASSUME = {"sts:assumerolewithwebidentity", "sts:tagsession"}
_AUDIENCES = ("sts.amazonaws.com", "sts.amazonaws.com.cn")
_PROVIDER = re.compile(r"arn:[^:]+:iam::[^:]*:oidc-provider/(?:https://)?(?P<issuer>.+?)/?")
_SUBJECT = re.compile(r"system:serviceaccount:[a-z0-9-]+:(?!default$)[a-z0-9.-]+")


def _is_irsa(statement: Statement, conditions: tuple[Condition, ...] | None) -> bool | None:
    """A federated principal of an EKS issuer, or of any issuer when a condition speaks of service accounts."""
    federated = statement.principals("Federated")
    eks = any_of(
        test(each, lambda arn: re.search(r":oidc-provider/.*oidc[.-]eks\.", arn) is not None) for each in federated
    )
    subjects = any(
        (value.text() or "").startswith("system:serviceaccount:") for each in conditions or () for value in each.values
    )
    return all_of([statement.effect_is("Allow"), any_of([eks, bool(federated) and subjects])])


def _exact(condition: Condition, good: re.Pattern[str] | tuple[str, ...]) -> bool | None:
    """Whether a condition admits only good values: compared as a whole, and each of them literal and good."""
    if condition.operator not in {"stringequals", "stringlike"} or not condition.values:
        return False
    matcher = good if isinstance(good, re.Pattern) else re.compile("|".join(map(re.escape, good)))
    return all_of(
        test(value, lambda text: not set(text) & set("*?") and matcher.fullmatch(text) is not None)
        for value in condition.values
    )


def _pinned(
    issuer: str, statement: Statement, conditions: tuple[Condition, ...], facts: TrustFacts
) -> Iterator[Finding]:
    wanted = {
        "sub": f"StringEquals {issuer}:sub = system:serviceaccount:<namespace>:<account>",
        "aud": f"StringEquals {issuer}:aud = {_AUDIENCES[0]}",
    }
    good: dict[str, re.Pattern[str] | tuple[str, ...]] = {"sub": _SUBJECT, "aud": _AUDIENCES}
    for claim, allowed in good.items():
        same = [each for each in conditions if each.key.removeprefix("https://") == f"{issuer}:{claim}".lower()]
        found = "; ".join(f"{each.operator} {[value.text() or '(unknown)' for value in each.values]}" for each in same)
        place = statement.value.get(f"Condition.{claim}")
        yield from decide(
            any_of(_exact(each, allowed) for each in same),
            place,
            found=found or "no such condition",
            wanted=wanted[claim],
        )
        if claim == "sub" and same and min(len(each.values) for each in same) > facts.most_subjects:
            yield Violation(path=place.path, found="more subjects", wanted=f"at most {facts.most_subjects}")


def _judge(statement: Statement, facts: TrustFacts) -> Iterator[Finding]:
    conditions = statement.conditions()
    irsa = _is_irsa(statement, conditions)
    if irsa is None or (irsa and conditions is None):
        yield Undetermined(path=statement.value.path)
    if not irsa or conditions is None:
        return
    actions = statement.element("Action")
    only = all_of(test(action, lambda text: text.lower() in _ASSUME) for action in actions.elements())
    yield from decide(only, actions, found="other actions too", wanted="sts:AssumeRoleWithWebIdentity")
    for principal in statement.principals("Federated"):
        provider = _PROVIDER.fullmatch(principal.text() or "")
        if isinstance(principal, Unknown):
            yield Undetermined(path=principal.path)
        elif provider is not None:
            yield from _pinned(provider["issuer"].lower(), statement, conditions, facts)


def _check(resource: Resource, facts: TrustFacts) -> Iterator[Finding]:
    document: Value = resource.get("assumeRolePolicy")
    listed = statements(document)
    if isinstance(listed, Unknown):
        yield Undetermined(path=listed.path)
    elif isinstance(listed, Malformed):
        yield from decide(False, document, found="text that is no policy document", wanted="a trust policy")
    else:
        for statement in listed:
            yield from _judge(statement, facts)


IAM_08 = ResourceRule(
    id="IAM-08",
    name="irsa-trust-scoped",
    title="A role for Kubernetes workloads trusts exact service accounts of one cluster",
    tokens=("aws:iam/role:Role",),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("cis-eks:5.2.1", "soc2:CC6.1", "soc2:CC6.3", "gdpr:32"),
    why="without the exact subject and audience every pod of the cluster can take the role",
    fix="allow sts:AssumeRoleWithWebIdentity if StringEquals <issuer>:sub and <issuer>:aud, issuer as in the ARN",
    facts=TrustFacts,
    check=_check,
    traps=(
        "StringLike without a wildcard is exact; with one it is not, and neither is any ...IfExists form",
        "conditions on another cluster's issuer never hold and protect nothing that was meant",
        "any service account named default is shared by whatever does not choose its own",
    ),
)
