"""Secrets of functions and parameters: where they may stand, and with which key."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from guardrails.documents import test
from guardrails.keys import own_key
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, Violation, require
from guardrails.view import Missing, Unknown, Value, any_of

_FUNCTION = "aws:lambda/function:Function"
_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type token
_PARAMETER = "aws:ssm/parameter:Parameter"
_NAME = re.compile(r"(?i)passw(or)?d|passphrase|secret|credential|(access|private|api|auth)[_-]?key|token|\bdsn\b")
_REFERENCE = re.compile(r"(?i)[_-](arn|name|id|path|uri|url|file|parameter|ttl|seconds|endpoint)$")
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]{10,}\.[\w-]{10,}\.|\bgh[pousr]_\w{20,}|://[^/:@\s]+:[^/@\s]+@"
)


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """Whether what holds secrets needs a key of ours."""

    own_keys: Annotated[bool, "Must secrets and functions with an environment name a key of ours?"] = True


def _looks_secret(name: str, value: Value) -> bool | None:
    """Whether a variable holds a secret itself, rather than the name of where it is kept."""
    inside = value.json()
    if inside is not value:
        members = [*inside.items(), *((name, each) for each in inside.elements() if each is not inside)]
        return any_of(_looks_secret(key, member) for key, member in members)
    text = value.text() or ""
    if _VALUE.search(text):
        return True
    named = _NAME.search(name) is not None and _REFERENCE.search(name) is None
    if named and isinstance(value, Unknown):
        return None
    return named and bool(text) and not text.startswith(("arn:", "{{resolve:")) and value.flag() is None


def _check_function(function: Resource, facts: SecretFacts) -> Iterator[Finding]:
    variables = function.get("environment.variables")
    entries = () if isinstance(variables, Unknown) else sorted(variables.items())
    if isinstance(variables, Unknown):
        yield Undetermined(path=variables.path)
    elif entries and facts.own_keys:
        yield from own_key(function.properties, "kmsKeyArn")
    for name, value in entries:
        answer = _looks_secret(name, value)
        if answer is None:
            yield Undetermined(path=value.path)
        elif answer:
            wanted = "the name of a secret, which the function reads when it starts"
            yield Violation(path=value.path, found="a value that looks secret (not shown)", wanted=wanted)


def _check(resource: Resource, facts: SecretFacts) -> Iterator[Finding]:
    if resource.token == _FUNCTION:
        yield from _check_function(resource, facts)
    elif resource.token == _PARAMETER:
        name = resource.get("name")
        kind = resource.get("type")
        if test(name, lambda text: _NAME.search(text) is not None and _REFERENCE.search(text) is None):
            yield from require(kind, lambda value: value.text() == "SecureString", "SecureString")
        elif isinstance(name, Unknown) and kind.text() != "SecureString":
            yield Undetermined(path=name.path)
    else:
        if facts.own_keys:
            yield from own_key(resource.properties, "kmsKeyId")
        window = resource.get("recoveryWindowInDays")
        yield from require(
            window,
            lambda value: isinstance(value, Missing) or (value.number() or 0) > 0,
            "7 to 30 days (30 by default)",
        )


ENC_08 = ResourceRule(
    id="ENC-08",
    name="lambda-and-secrets-kms",
    title="Secrets stand in Secrets Manager or SecureStrings under a key of ours, never in a function's environment",
    tokens=(_FUNCTION, _SECRET, _PARAMETER),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.ADVISORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SecretsManager.4", "soc2:CC6.1", "gdpr:32-1-a"),
    why="a function's environment is shown to everybody who may describe the function, and copied into every version",
    fix="keep the value in aws.secretsmanager.Secret with kms_key_id, pass its ARN, give the function kms_key_arn",
    facts=SecretFacts,
    check=_check,
    traps=(
        "DB_SECRET_ARN and TOKEN_TTL hold no secret",
        "a function without variables needs no key for them",
        "recovery_window_in_days 0 deletes at once; nothing written means 30 days",
    ),
)
