"""The function that decides about retraining: its code, its role, and the queue that feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components.function_archive import Program
from components.lambda_functions import FunctionRole, PythonFunction
from components.retraining_grants import decide
from components.retraining_objects import THING, function_name, table_name
from components.watches import alarm_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.labels import Labels
    from settings.model import ModelSpec

PROGRAM: Final = Program("retraining", ("retraining/*.py", "lifecycle/__init__.py", "lifecycle/steps.py"))
HANDLER: Final = "retraining.handler.lambda_handler"
MEMORY_MIB: Final = 512
"""Start and one look at a model are mostly imports and waiting."""
TIMEOUT_SECONDS: Final = 120
"""A first look lists a data set and writes a fact for each object; what is left over, the next look goes on with."""
CONCURRENCY: Final = 2
"""The least that a queue may feed at the same time (Lambda developer guide, "maximum concurrency"); the records decide
who is first, so it bounds costs, not correctness."""
BATCH: Final = 10
VISIBILITY_SECONDS: Final = 6 * TIMEOUT_SECONDS
"""Of a message that is being handled (Lambda developer guide, "Configuring a queue to use with Lambda")."""
KEY_USES: Final = {"dynamodb": True, "lambda": True}
"""Its table and its variables."""


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
    role, policies = FunctionRole(
        labels=args.labels,
        duty=THING,
        description="Decides about trainings and starts pipelines",
        abilities=decide(args.labels, args.models),
        key_arn=args.key_arn,
        key_uses=KEY_USES,
    ).create(name, child)
    function = PythonFunction(
        name=function_name(args.labels),
        description="Decides whether a model is trained again, and why",
        program=PROGRAM,
        handler=HANDLER,
        memory_mib=MEMORY_MIB,
        timeout_seconds=TIMEOUT_SECONDS,
        concurrency=CONCURRENCY,
        variables={
            "TABLE": table_name(args.labels),
            "ALARMS": alarm_prefix(args.labels),
            "SETTINGS_DIGEST": args.settings_digest,
        },
        key_arn=args.key_arn,
        log_group=args.log_group,
        dead_arn=args.dead_arn,
    ).create(name, role, pulumi.ResourceOptions(parent=child.parent, depends_on=[*policies, *args.settings]))
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
