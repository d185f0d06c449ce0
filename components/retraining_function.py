"""The function that decides about retraining: its code, its role, and the queue that feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import grants, iam, retraining_archive
from components.retraining_grants import decide
from components.retraining_objects import THING, function_name, table_name
from components.watches import alarm_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

HANDLER: Final = "retraining.handler.lambda_handler"
MEMORY_MIB: Final = 512
"""Lambda gives processor time by memory: start and one look at a model are mostly imports and waiting."""
TIMEOUT_SECONDS: Final = 120
"""A first look lists a data set and writes a fact for each object; what is left over, the next look goes on with."""
CONCURRENCY: Final = 2
"""The least that a queue may feed at the same time (Lambda developer guide, "maximum concurrency"); the records decide
who is first, so it bounds costs, not correctness."""
BATCH: Final = 10
VISIBILITY_SECONDS: Final = 6 * TIMEOUT_SECONDS
"""Of a message that is being handled (Lambda developer guide, "Configuring a queue to use with Lambda")."""
KEY_USES: Final = ("dynamodb", "lambda")
"""Services that decrypt with the environment's key for the function: its table and its variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionArgs:
    """What the function needs."""

    labels: Labels
    models: Sequence[ModelSpec]
    key_arn: pulumi.Output[str]
    log_group: pulumi.Input[str]
    queue_arn: pulumi.Input[str]
    dead_arn: pulumi.Input[str]
    settings: Sequence[pulumi.Resource]
    """The table with the settings of all models: the function reads them when it starts."""
    settings_digest: str
    """Changes with them, so that a function that runs is replaced by one that reads them again."""


def create_function(name: str, args: FunctionArgs, child: pulumi.ResourceOptions) -> aws.lambda_.Function:
    """Create the function with its role, fed by the queue."""
    role, policies = _create_role(name, args, child)
    function = aws.lambda_.Function(
        f"{name}-function",
        name=function_name(args.labels),
        description="Decides whether a model is trained again, and why",
        runtime="python3.13",
        architectures=["arm64"],
        handler=HANDLER,
        code=pulumi.FileArchive(str(retraining_archive.write())),
        role=role.arn,
        memory_size=MEMORY_MIB,
        timeout=TIMEOUT_SECONDS,
        reserved_concurrent_executions=CONCURRENCY,
        environment=aws.lambda_.FunctionEnvironmentArgs(
            variables={
                "TABLE": table_name(args.labels),
                "ALARMS": alarm_prefix(args.labels),
                "SETTINGS_DIGEST": args.settings_digest,
            }
        ),
        kms_key_arn=args.key_arn,
        tracing_config=aws.lambda_.FunctionTracingConfigArgs(mode="Active"),
        dead_letter_config=aws.lambda_.FunctionDeadLetterConfigArgs(target_arn=args.dead_arn),
        logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=args.log_group),
        opts=pulumi.ResourceOptions(parent=child.parent, depends_on=[*policies, *args.settings]),
    )
    aws.lambda_.EventSourceMapping(
        f"{name}-events",
        event_source_arn=args.queue_arn,
        function_name=function.name,
        batch_size=BATCH,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config=aws.lambda_.EventSourceMappingScalingConfigArgs(maximum_concurrency=CONCURRENCY),
        opts=child,
    )
    return function


def _create_role(
    name: str, args: FunctionArgs, child: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    account = iam.Account.of(args.labels.environment)
    role = aws.iam.Role(
        f"{name}-role",
        name=args.labels.role(THING),
        description="Decides about trainings and starts pipelines",
        assume_role_policy=iam.function_trust(),
        opts=child,
    )
    policies = grants.inline_policies(decide(args.labels, args.models))
    for service in KEY_USES:
        policies[f"use-key-{service}"] = args.key_arn.apply(partial(_use_key, account, service))
    return role, [
        aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=child)
        for ability, policy in policies.items()
    ]


def _use_key(account: iam.Account, service: str, key_arn: str) -> str:
    return grants.use_key_through(account, key_arn, service, write=True)
