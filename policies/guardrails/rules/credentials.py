"""Static AWS credentials, wherever they may hide."""

import base64
import binascii
import re
from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.resources import Resource
from guardrails.rule import EVERY_TYPE, Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation
from guardrails.view import Known, Unknown, Value

_MAKERS = {"aws:iam/accessKey:AccessKey": "an access key", "aws:iam/user:User": "an IAM user"}
_NAMES = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_SHORTEST_BASE64 = 24
_NAMING = frozenset({"name", "key"})
_KEY_ID = re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])")
_ASSIGNMENT = re.compile(rf"(?i)(?:{'|'.join(sorted(_NAMES))})['\"]?\s*[=:]\s*['\"]?\w")
_HOLDERS = re.compile(r"(?i)aws.*(cred|secret|key)|(cred|secret|key).*aws")
_CARRIERS = frozenset({"env", "envFrom", "variables", "data", "stringData", "values", "userData", "userDataBase64"})


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says when it is base64, as user data and Kubernetes secrets are."""
    yield text
    if len(text) < _SHORTEST_BASE64:
        return
    try:
        yield base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return


def _text(value: Value, key: str, text: str) -> Iterator[Finding]:
    wanted = "the workload's own role"
    if key in _NAMING and text in _NAMES:
        yield Violation(path=value.path, found=text, wanted=wanted)
    elif any(_KEY_ID.search(reading) for reading in _readings(text)):
        yield Violation(path=value.path, found="an access key id (not shown)", wanted=wanted)
    elif any(_ASSIGNMENT.search(reading) for reading in _readings(text)):
        yield Violation(path=value.path, found="an assignment of AWS credentials (not shown)", wanted=wanted)


def _walk(value: Value, key: str = "") -> Iterator[Finding]:
    """Every string and every key below a value; the unknown counts only where credentials are usually carried."""
    if isinstance(value, Unknown) and key in _CARRIERS:
        yield Undetermined(path=value.path)
    if not isinstance(value, Known):
        return
    text = value.text()
    if text is not None:
        yield from _text(value, key, text)
    for name, member in value.items():
        if name in _NAMES:
            yield Violation(path=member.path, found=name, wanted="the workload's own role")
        elif name in {"secretRef", "configMapRef"} and _HOLDERS.search(member.child("name").text() or ""):
            yield Violation(
                path=member.path, found="an environment from stored AWS credentials", wanted="the workload's own role"
            )
        else:
            yield from _walk(member, name)
    if isinstance(value.raw, list):
        for member in value.elements():
            yield from _walk(member)


def _check(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    if resource.token in _MAKERS:
        yield Violation(
            path="", found=_MAKERS[resource.token], wanted="a role, or an identity of the organisation's directory"
        )
    yield from _walk(resource.properties)


IAM_10 = ResourceRule(
    id="IAM-10",
    name="no-static-aws-credentials",
    title="No IAM users and no static AWS keys, anywhere",
    tokens=(EVERY_TYPE,),
    severity=Severity.CRITICAL,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:IAM.3", "soc2:CC6.1"),
    why="a static key works from anywhere, for whoever finds it, until somebody notices",
    fix="give the workload a role (IRSA, Pod Identity, execution role) and delete the key",
    facts=NoFacts,
    check=_check,
    traps=(
        "AWS_REGION, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are no credentials",
        "the documentation's key ids end in EXAMPLE",
        "an unknown scalar elsewhere than in environment, data, values or user data is not held against a resource",
    ),
)
