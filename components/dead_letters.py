"""Dead-letter queues: where events end that nobody could act on.

A building block of other components. SQS encrypts with its own key: EventBridge and Scheduler cannot use the key that
AWS manages for SQS, and a key of ours would have to let them.
Source: SQS developer guide, "Using dead-letter queues"; API reference, `SetQueueAttributes`, `MessageRetentionPeriod`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

if TYPE_CHECKING:
    import pulumi

LONGEST_SECONDS: Final = 14 * 24 * 3600
"""The longest that SQS keeps a message: until then somebody looks at it and sends it again."""


def create_dead_queue(name: str, queue_name: str, opts: pulumi.ResourceOptions) -> aws.sqs.Queue:
    """Create the dead-letter queue of a component.

    Args:
        name: Of the component.
        queue_name: In SQS.
        opts: Options of the component's resources.
    """
    return aws.sqs.Queue(
        f"{name}-dead",
        name=queue_name,
        message_retention_seconds=LONGEST_SECONDS,
        sqs_managed_sse_enabled=True,
        opts=opts,
    )
