"""Retraining: one door for every reason to train a model again, and one place that decides.

Creates: a queue with its dead-letter queue; rules and schedules that put every reason into it: new objects of a model's
data, alarms about drift, requests, the clock; a table of what was told and what was started; a function that decides,
with a role that starts exactly the models' pipelines; a log group; alarms.
Does not create: alarms about drift (`components.drift`); who hears of alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import iam
from components import retraining_objects as objects
from components.dead_letters import LONGEST_SECONDS, create_dead_queue
from components.labels import fingerprint
from components.resource_policies import queue_policy
from components.retraining_clock import RETRIES, RETRY_SECONDS, ClockArgs, create_schedules
from components.retraining_function import VISIBILITY_SECONDS, FunctionArgs, create_function
from components.watches import alarm_prefix, create_alarms

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.handles import PackagingHandle, StoreHandle
    from components.labels import Labels
    from settings.model import ModelSpec, RetrainingSpec

RECEIVES: Final = 5
"""Deliveries of a message before it is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingArgs:
    """Arguments of `Retraining`."""

    labels: Labels
    """Names and tags."""
    spec: RetrainingSpec
    """The clock, and the log's end."""
    models: tuple[ModelSpec, ...]
    """Models; `retraining` of each says what starts a training."""
    store: StoreHandle
    """Key of the table and the log; the data bucket announces new objects to EventBridge."""
    packaging: PackagingHandle
    """The bus of the platform's own events."""
    alarms: AlarmsHandle
    """Who hears of alarms."""
    protect: bool
    """Whether the table refuses deletion."""


class Retraining(pulumi.ComponentResource):
    """The door of the environment; see the module for what is created."""

    def __init__(self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:retraining:Retraining", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        self._rules: list[str] = []
        self._dead, self._queue = self._create_queues()
        self._let_in()
        clock = ClockArgs(
            labels=args.labels, key_arn=args.store.key_arn, queue_arn=self._queue.arn, dead_arn=self._dead.arn
        )
        create_schedules(name, clock, args.spec.tick_minutes, args.models, self._child)
        function = create_function(name, self._function_args(), self._child)
        self._create_alarms()
        self.register_outputs({"queue": self._queue.url, "function": function.name})

    def _create_queues(self) -> tuple[aws.sqs.Queue, aws.sqs.Queue]:
        """The dead-letter queue and the queue; what lies in them names objects and alarms, so SQS's own key will do."""
        labels = self._args.labels
        dead = create_dead_queue(self._name, labels.queue(objects.DEAD), self._child)
        queue = aws.sqs.Queue(
            f"{self._name}-queue",
            name=labels.queue(objects.THING),
            message_retention_seconds=LONGEST_SECONDS,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": RECEIVES}),
            sqs_managed_sse_enabled=True,
            opts=self._child,
        )
        return dead, queue

    def _let_in(self) -> None:
        """Rules that put events into the queue, and the policies by which the queues take them."""
        labels, bus = self._args.labels, self._args.packaging.event_bus
        rules: dict[str, tuple[str, pulumi.Output[str] | None]] = {"retrain": (objects.request_pattern(), bus)}
        for model in self._args.models:
            spec = model.retraining
            if spec is not None and spec.new_data is not None:
                rules[f"{model.name}-new-data"] = (objects.data_pattern(labels, model), None)
            if spec is not None and spec.drift:
                rules[f"{model.name}-drift"] = (objects.drift_pattern(labels, model), None)
        senders = [labels.rule(event) if own is None else self._own(event) for event, (_, own) in rules.items()]
        allowed = [
            aws.sqs.QueuePolicy(
                f"{self._name}-{what}",
                queue_url=queue.url,
                policy=queue_policy(self._account, labels.queue(thing), senders),
                opts=self._child,
            )
            for what, thing, queue in (
                ("let-in", objects.THING, self._queue),
                ("let-die", objects.DEAD, self._dead),
            )
        ]
        for event, (pattern, own) in rules.items():
            self._create_rule(event, pattern, own, pulumi.ResourceOptions(parent=self, depends_on=allowed))

    def _own(self, event: str) -> str:
        """Resource of a rule on the platform's own bus, as its ARN ends."""
        return f"{self._args.labels.event_bus}/{self._args.labels.rule(event)}"

    def _create_rule(
        self, event: str, pattern: str, bus: pulumi.Output[str] | None, opts: pulumi.ResourceOptions
    ) -> None:
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-{event}",
            name=self._args.labels.rule(event),
            description="A reason to train again",
            event_bus_name=bus,
            event_pattern=pattern,
            opts=opts,
        )
        aws.cloudwatch.EventTarget(
            f"{self._name}-{event}",
            rule=rule.name,
            event_bus_name=bus,
            arn=self._queue.arn,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=self._dead.arn),
            opts=opts,
        )

    def _function_args(self) -> FunctionArgs:
        args = self._args
        items = {model.name: objects.settings_item(args.labels, model) for model in args.models}
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=args.labels.log_group(objects.THING),
            retention_in_days=args.spec.log_retention_days,
            kms_key_id=args.store.key_arn,
            opts=self._child,
        )
        return FunctionArgs(
            labels=args.labels,
            models=args.models,
            key_arn=args.store.key_arn,
            log_group=log_group.name,
            queue_arn=self._queue.arn,
            dead_arn=self._dead.arn,
            settings=self._create_table(items),
            settings_digest=fingerprint(*items.values()),
        )

    def _create_table(self, items: dict[str, str]) -> list[pulumi.Resource]:
        """The table of the records, and in it the settings."""
        keys = (objects.MODEL_KEY, objects.WHAT_KEY)
        table = aws.dynamodb.Table(
            f"{self._name}-records",
            name=objects.table_name(self._args.labels),
            billing_mode="PAY_PER_REQUEST",
            hash_key=objects.MODEL_KEY,
            range_key=objects.WHAT_KEY,
            attributes=[aws.dynamodb.TableAttributeArgs(name=key, type="S") for key in keys],
            ttl=aws.dynamodb.TableTtlArgs(attribute_name=objects.EXPIRES, enabled=True),
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(
                enabled=True, kms_key_arn=self._args.store.key_arn
            ),
            deletion_protection_enabled=self._args.protect,
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        return [
            table,
            *(
                aws.dynamodb.TableItem(
                    f"{self._name}-{model}-settings",
                    table_name=table.name,
                    hash_key=objects.MODEL_KEY,
                    range_key=objects.WHAT_KEY,
                    item=item,
                    opts=self._child,
                )
                for model, item in items.items()
            ),
        ]

    def _create_alarms(self) -> None:
        labels, spec = self._args.labels, self._args.spec
        prefix, watches = f"{alarm_prefix(labels)}{objects.THING}-", objects.watches(labels, spec.tick_minutes)
        create_alarms(self._name, prefix, watches, self._args.alarms, self._child)
