"""Alarms: one topic that all of the environment's alarms tell, and who hears of it.

Creates: an encrypted topic, and a subscription for each address of the settings.
Does not create: alarms, which are made beside what they watch and take their actions from the handle; subscriptions to
topics of others, which alarms tell by themselves.
Source: Amazon SNS developer guide, "Email notifications", "HTTP/HTTPS endpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.alarm_handle import AlarmsHandle
from components.endpoint_objects import topic_name
from components.labels import fingerprint

if TYPE_CHECKING:
    from components.handles import StoreHandle
    from components.labels import Labels
    from settings.model import AlarmsSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsArgs:
    """Arguments of `Alarms`."""

    labels: Labels
    """Names and tags."""
    spec: AlarmsSpec
    """Who hears of alarms."""
    store: StoreHandle
    """Key of messages, whose policy lets the environment's alarms write."""


class Alarms(pulumi.ComponentResource):
    """The topic and its subscriptions; see the module for what is created."""

    handle: AlarmsHandle
    """What makes alarms uses this."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:alarms:Alarms", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            f"{name}-topic",
            name=topic_name(args.labels, "alarms"),
            kms_master_key_id=args.store.key_arn,
            opts=child,
        )
        listeners = [("email", each) for each in args.spec.emails] + [("https", each) for each in args.spec.hooks]
        for protocol, address in listeners:
            aws.sns.TopicSubscription(
                f"{name}-{protocol}-{fingerprint(address)}",
                topic=topic.arn,
                protocol=protocol,
                endpoint=address,
                opts=child,
            )
        self.handle = AlarmsHandle(actions=(topic.arn, *args.spec.topics))
        self.register_outputs({"topic": topic.arn})
