"""SQS, EventBridge, SNS and alarms."""

from __future__ import annotations

from typing import Final

from sandbox.providers.aws_kinds.shared import QUEUE, RULE, side, suffix
from sandbox.providers.kinds import Birth, Kind, arn, fill, joined, together


def _rule_id(birth: Birth) -> str:
    """A rule of the default bus is called by its name alone."""
    bus = birth.text("eventBusName", "default")
    return birth.text("name") if bus == "default" else f"{bus}/{birth.text('name')}"


def _target_id(birth: Birth) -> str:
    return birth.text("targetId") or f"terraform-{birth.hex(26, 'target')}"


KINDS: Final[dict[str, Kind]] = {
    QUEUE: Kind(
        identify=lambda birth: (
            f"https://sqs.{birth.place.region}.{suffix(birth)}/{birth.place.account_id}/{birth.text('name')}"
        ),
        compute=together(arn("arn:{partition}:sqs:{region}:{account}:{name}"), lambda _birth, id_: {"url": id_}),
        immutable=frozenset({"name", "namePrefix", "fifoQueue"}),
        autoname="name",
        api=("sqs", "CreateQueue", ""),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": side(QUEUE, "queueUrl"),
    RULE: Kind(
        identify=_rule_id,
        compute=arn("arn:{partition}:events:{region}:{account}:rule/{id}"),
        immutable=frozenset({"name", "namePrefix", "eventBusName"}),
        autoname="name",
        api=("events", "PutRule", ""),
    ),
    "aws:cloudwatch/eventBus:EventBus": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:events:{region}:{account}:event-bus/{id}"),
        immutable=frozenset({"name", "eventSourceName"}),
        autoname="name",
        api=("events", "CreateEventBus", ""),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        identify=lambda birth: f"{birth.text('rule')}-{_target_id(birth)}",
        compute=lambda birth, _id: {"targetId": _target_id(birth)},
        immutable=frozenset({"rule", "eventBusName", "targetId"}),
        needs={"rule": RULE},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        identify=joined("name"),
        compute=arn("arn:{partition}:cloudwatch:{region}:{account}:alarm:{id}"),
        immutable=frozenset({"name"}),
        autoname="name",
        api=("cloudwatch", "PutMetricAlarm", ""),
    ),
    "aws:sns/topic:Topic": Kind(
        identify=lambda birth: fill("arn:{partition}:sns:{region}:{account}:{name}", birth, ""),
        compute=lambda _birth, id_: {"arn": id_},
        immutable=frozenset({"name", "namePrefix", "fifoTopic"}),
        autoname="name",
        api=("sns", "CreateTopic", ""),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        identify=lambda birth: f"{birth.text('topic')}:{birth.hex(32, 'subscription')}",
        compute=lambda birth, id_: {
            "arn": id_,
            "ownerId": birth.place.account_id,
            "pendingConfirmation": True,
            "confirmationWasAuthenticated": False,
        },
        immutable=frozenset({"topic", "protocol", "endpoint"}),
        api=("sns", "Subscribe", ""),
    ),
}
