"""Interruptions: what AWS announces about instances, where a controller can read it in time.

Creates: an encrypted queue and another for what could not be delivered or handled; their policies (the rules of this
account may send, nobody without TLS); per kind of event an EventBridge rule and its target.
Source: Karpenter documentation 1.14, "CloudFormation" reference, section "Interruption Handling".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import iam
from components.handles import InterruptionsHandle
from components.resource_policies import queue_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels

EVENTS: Final = {
    "health": ("aws.health", "AWS Health Event"),
    "spot-interruption": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "spot-rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "instance-state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reservation-interruption": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""Event → source and detail type, as AWS publishes them."""

RETENTION_SECONDS: Final = 300
"""A spot instance ends two minutes after its warning: what is older helps nobody."""
DEAD_RETENTION_SECONDS: Final = 4 * 24 * 3600
"""A long weekend: somebody looks at what was never handled."""
MAX_RECEIVES: Final = 5
"""A message that comes back every 30 seconds is given up after half of its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptionsArgs:
    """Arguments of `Interruptions`."""

    labels: Labels
    """Names and tags."""


class Interruptions(pulumi.ComponentResource):
    """Queue of interruption events; see the module for what is created."""

    handle: InterruptionsHandle
    """What reads the queue uses this."""

    def __init__(self, name: str, args: InterruptionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:interruptions:Interruptions", name, None, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        labels = args.labels
        self._account = iam.Account.of(labels.environment)
        self._rules = {event: labels.rule(event) for event in EVENTS}
        queue_name = labels.queue("interruptions")
        dead, dead_policy = self._create_queue("dead", f"{queue_name}-dead", seconds=DEAD_RETENTION_SECONDS)
        redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVES})
        queue, policy = self._create_queue("queue", queue_name, seconds=RETENTION_SECONDS, redrive=redrive)
        targets = [self._deliver(event, queue, dead, after=(policy, dead_policy)) for event in EVENTS]
        self.handle = InterruptionsHandle(queue=queue_name, ready=(policy, *targets))
        self.register_outputs({"queue": queue.url, "dead": dead.url})

    def _create_queue(
        self, role: str, queue_name: str, *, seconds: int, redrive: pulumi.Output[str] | None = None
    ) -> tuple[aws.sqs.Queue, aws.sqs.QueuePolicy]:
        queue = aws.sqs.Queue(
            f"{self._name}-{role}",
            name=queue_name,
            message_retention_seconds=seconds,
            # EventBridge cannot use the key that AWS manages for SQS; SQS's own encryption needs none.
            sqs_managed_sse_enabled=True,
            redrive_policy=redrive,
            opts=self._child,
        )
        policy = aws.sqs.QueuePolicy(
            f"{self._name}-{role}",
            queue_url=queue.url,
            policy=queue_policy(self._account, queue_name, list(self._rules.values())),
            opts=self._child,
        )
        return queue, policy

    def _deliver(
        self, event: str, queue: aws.sqs.Queue, dead: aws.sqs.Queue, *, after: Sequence[pulumi.Resource]
    ) -> aws.cloudwatch.EventTarget:
        source, detail_type = EVENTS[event]
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-{event}",
            name=self._rules[event],
            description=detail_type,
            event_pattern=json.dumps({"source": [source], "detail-type": [detail_type]}),
            opts=self._child,
        )
        return aws.cloudwatch.EventTarget(
            f"{self._name}-{event}",
            rule=rule.name,
            arn=queue.arn,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETENTION_SECONDS, maximum_retry_attempts=MAX_RECEIVES
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=dead.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
