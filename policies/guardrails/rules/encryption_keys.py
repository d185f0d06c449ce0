"""KMS keys: rotation, policy, deletion."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from guardrails.disposal import DisposalFacts
from guardrails.documents import Malformed, Statement, statements, test
from guardrails.identity_policies import admits_only, reaches
from guardrails.resources import Resource
from guardrails.rule import (
    Finding,
    Level,
    Levels,
    ResourceRule,
    Severity,
    Undetermined,
    Violation,
    decide,
    require,
    require_true,
)
from guardrails.view import Missing, Unknown, Value, all_of, any_of

_KEY = "aws:kms/key:Key"
_POLICY = "aws:kms/keyPolicy:KeyPolicy"
_REPLICA = "aws:kms/replicaKey:ReplicaKey"
_NARROWING = {
    "kms:calleraccount",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
}


@dataclass(frozen=True, slots=True)
class HygieneFacts(DisposalFacts):
    """How long a key can be saved from deletion."""

    shortest_deletion_days: Annotated[int, "Fewest days between the deletion of a key and its end (7 to 30)."] = 30


def _rotates(key: Resource) -> bool | None:
    """Whether KMS can rotate the key by itself: symmetric, for encryption, with material of its own making."""
    if key.token != _KEY:
        return False
    usage, spec = key.get("keyUsage"), key.get("customerMasterKeySpec")
    symmetric = isinstance(spec, Missing) or test(spec, lambda text: text == "SYMMETRIC_DEFAULT")
    encrypts = isinstance(usage, Missing) or test(usage, lambda text: text == "ENCRYPT_DECRYPT")
    inside = all(isinstance(key.get(name), Missing) for name in ("customKeyStoreId", "xksKeyId"))
    return all_of([symmetric, encrypts, inside])


def _open_to_all(statement: Statement) -> bool | None:
    conditions = statement.conditions()
    narrowed = None if conditions is None else any(c.key in _NARROWING and admits_only(c) for c in conditions)
    everybody = any_of(test(each, lambda text: text == "*") for each in statement.principals("AWS"))
    return all_of([statement.effect_is("Allow"), everybody, None if narrowed is None else not narrowed])


def _administers(statement: Statement) -> bool | None:
    """Whether somebody may change the key's policy."""
    someone = bool(statement.principals("AWS"))
    may = statement.matches("Action", lambda action: reaches(action, ("kms:PutKeyPolicy",)))
    return all_of([statement.effect_is("Allow"), someone, may])


def _check_policy(document: Value) -> Iterator[Finding]:
    listed = statements(document)
    if isinstance(listed, Unknown):
        yield Undetermined(path=listed.path)
    elif isinstance(listed, Malformed):
        yield Violation(path=document.path, found="text that is no policy document", wanted="a key policy")
    elif not isinstance(document, Missing):
        for statement in listed:
            answer = _open_to_all(statement)
            opposite = None if answer is None else not answer
            yield from decide(opposite, statement.value, found="Allow to everybody", wanted="named principals")
        kept = any_of(map(_administers, listed))
        wanted = "the account root with kms:*, or an administrator with kms:PutKeyPolicy"
        yield from decide(kept, document, found="a policy that nobody can change", wanted=wanted)


def _check(key: Resource, facts: HygieneFacts) -> Iterator[Finding]:
    rotates = _rotates(key)
    if rotates is None:
        yield Undetermined(path="enableKeyRotation")
    elif rotates:
        yield from require_true(key.get("enableKeyRotation"))
    yield from _check_policy(key.get("policy"))
    bypass = key.get("bypassPolicyLockoutSafetyCheck")
    yield from require(bypass, lambda value: value.flag() is not True, "false")
    if key.token != _POLICY and not facts.covers(key):
        days = key.get("deletionWindowInDays")
        shortest = facts.shortest_deletion_days
        yield from require(
            days,
            lambda value: isinstance(value, Missing) or (value.number() or 0) >= shortest,
            f"at least {shortest} days (30 by default)",
        )


def _remedy(key: Resource, _: HygieneFacts) -> Mapping[tuple[str, ...], object]:
    if not _rotates(key):
        return {}
    rotation = key.get("enableKeyRotation")
    return {} if isinstance(rotation, Unknown) or rotation.flag() else {("enableKeyRotation",): True}


ENC_06 = ResourceRule(
    id="ENC-06",
    name="kms-key-hygiene",
    title="Keys rotate, keep an administrator, admit nobody unnamed, and can be saved from deletion",
    tokens=(_KEY, _POLICY, _REPLICA),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.REMEDIATE, prod=Level.MANDATORY),
    frameworks=("fsbp:KMS.3", "fsbp:KMS.5", "soc2:CC6.1", "gdpr:32-1-a"),
    why="a key that is lost takes all its data along, and one that everybody may use protects nothing",
    fix="set enable_key_rotation, leave the account root in the policy, and keep deletion_window_in_days at 30",
    facts=HygieneFacts,
    check=_check,
    remedy=_remedy,
    traps=(
        "asymmetric and HMAC keys, keys in custom stores and replicas cannot rotate by themselves",
        "without a policy of its own a key has AWS's, which leaves the account in charge",
        "* as principal is fine under kms:CallerAccount or the organisation's id",
    ),
)
