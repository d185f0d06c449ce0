"""SQS and SNS: encrypted, with a key that those who deliver can use."""

from collections.abc import Iterator

from guardrails.facts import NoFacts
from guardrails.keys import MANAGED
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
    require,
)
from guardrails.view import Missing, Unknown

_QUEUE = "aws:sqs/queue:Queue"
_TOPIC = "aws:sns/topic:Topic"
_FEEDERS = {
    "aws:cloudwatch/eventTarget:EventTarget": ("arn",),
    "aws:s3/bucketNotification:BucketNotification": ("queues[*].queueArn", "topics[*].topicArn"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("alarmActions[*]", "okActions[*]", "insufficientDataActions[*]"),
    "aws:sns/topicSubscription:TopicSubscription": ("endpoint",),
}


def _check(resource: Resource, _: NoFacts) -> Iterator[Finding]:
    key = resource.get("kmsMasterKeyId")
    if resource.token == _TOPIC:
        if isinstance(key, Missing):
            yield Violation(path=key.path, found="nothing", wanted="the ARN of a key")
    elif isinstance(key, Missing):
        managed = resource.get("sqsManagedSseEnabled")
        yield from require(managed, lambda value: value.flag() is not False, "true, or kmsMasterKeyId")


ENC_07 = ResourceRule(
    id="ENC-07",
    name="queue-topic-encrypted",
    title="Queues and topics are encrypted",
    tokens=(_QUEUE, _TOPIC),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SQS.1", "fsbp:SNS.1", "soc2:CC6.1", "gdpr:32-1-a"),
    why="messages carry names of data and of people, and lie there until somebody takes them",
    fix="give the topic kms_master_key_id; leave sqs_managed_sse_enabled on, or give the queue a key",
    facts=NoFacts,
    check=_check,
    traps=("a queue that says nothing is encrypted with SQS's own keys; a topic that says nothing is not encrypted",),
)


def _check_stack(stack: Stack, _: NoFacts) -> Iterator[Finding]:
    for target in stack.of(_QUEUE, _TOPIC):
        key = target.get("kmsMasterKeyId")
        if MANAGED not in (key.text() or ""):
            continue
        for feeder in stack.of(*_FEEDERS):
            places = [value for path in _FEEDERS[feeder.token] for value in feeder.select(path)]
            for value in places:
                answer = stack.names(feeder, value, target)
                if answer:
                    found = f"{key.text()}, which what {feeder.name} stands for cannot use"
                    wanted = "a key of ours whose policy admits the service"
                    yield Violation(path=key.path, found=found, wanted=wanted, resource=target)
                elif answer is None and isinstance(value, Unknown):
                    yield Undetermined(path=key.path, why=f"{feeder.name} may deliver here", resource=target)


ENC_07_STACK = StackRule(
    id="ENC-07",
    name="queue-topic-deliverable",
    title="Queues and topics that AWS services deliver to have a key that these can use",
    tokens=(_QUEUE, _TOPIC),
    severity=Severity.MEDIUM,
    levels=Levels(dev=Level.MANDATORY, prod=Level.MANDATORY),
    frameworks=("fsbp:SQS.1", "soc2:CC6.1"),
    why="EventBridge, S3, alarms and SNS cannot use the keys that AWS manages: messages vanish without an error here",
    fix="use a key of ours whose policy lets the service kms:GenerateDataKey and kms:Decrypt, or SQS's own encryption",
    facts=NoFacts,
    check=_check_stack,
    traps=("alias/aws/sqs and alias/aws/sns are fine while only our own roles deliver",),
)
