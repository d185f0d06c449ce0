"""Encryption of what AWS stores for us anyway: images, logs, executions, schedules."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.keys import own_key
from guardrails.resources import Resource
from guardrails.rule import Finding, Level, Levels, ResourceRule, Severity, Undetermined, require
from guardrails.view import Missing, Unknown

_REPOSITORY = "aws:ecr/repository:Repository"
_MACHINE = "aws:sfn/stateMachine:StateMachine"
_KEYS = {
    "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
    "aws:scheduler/schedule:Schedule": "kmsKeyArn",
}


def _check(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    if resource.token == _REPOSITORY:
        configurations = resource.get("encryptionConfigurations")
        if isinstance(configurations, Unknown):
            yield Undetermined(path=configurations.path)
            return
        for each in configurations.elements() or (Missing(configurations.path),):
            wanted = "KMS (chosen once: another value replaces the repository with its images)"
            yield from require(each.child("encryptionType"), lambda value: value.text() in {"KMS", "KMS_DSSE"}, wanted)
    elif resource.token == _MACHINE:
        configuration = resource.get("encryptionConfiguration")
        kind = configuration.child("type")
        yield from require(kind, lambda value: value.text() == "CUSTOMER_MANAGED_KMS_KEY", "CUSTOMER_MANAGED_KMS_KEY")
        if kind.text() == "CUSTOMER_MANAGED_KMS_KEY":
            yield from own_key(configuration, "kmsKeyId")
    else:
        yield from own_key(resource.properties, _KEYS[resource.token])


ENC_05 = ResourceRule(
    id="ENC-05",
    name="stores-kms",
    title="Images, logs, state machines and schedules are encrypted with a key of ours",
    tokens=(_REPOSITORY, _MACHINE, *_KEYS),
    severity=Severity.LOW,
    levels=Levels(dev=Level.DISABLED, prod=Level.ADVISORY),
    frameworks=("fsbp:ECR.5", "soc2:CC6.1", "gdpr:32-1-a"),
    why="AWS encrypts them with its own keys by default; a key of ours can be revoked and is audited",
    fix="name the environment's key: encryption_configurations, kms_key_id, encryption_configuration, kms_key_arn",
    facts=NoFacts,
    check=_check,
    traps=("the encryption of a repository cannot change: it is replaced, and its images are gone",),
)
