"""Python functions of ours in AWS Lambda: with a role of their own, traced, logged, and with an end for what fails.

A building block of other components.
Source: Lambda developer guide, "Defining Lambda function permissions with an execution role", "Securing environment
variables".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import function_archive, grants, iam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from components.function_archive import Program
    from components.labels import Labels

RUNTIME: Final = "python3.13"
MAX_FUNCTION_NAME: Final = 64
"""Lambda API reference, `CreateFunction`."""


def run_grants(labels: Labels, *, log_group: str, dead: str) -> dict[str, list[iam.Statement]]:
    """Abilities that every function needs: to write its log and its traces, and to leave what it could not handle."""
    account = iam.Account.of(labels.environment)
    return {
        "leave-dead-letters": [
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": account.arn("sqs", labels.queue(dead))}
        ],
        "write-logs": grants.write_logs(account, labels.log_group(log_group)),
        "trace": [
            {"Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"}
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRole:
    """What a function runs as."""

    labels: Labels
    duty: str
    """Last part of the role's name."""
    description: str
    abilities: Mapping[str, Sequence[iam.Statement]]
    """Statements by ability."""
    key_arn: pulumi.Output[str]
    key_uses: Mapping[str, bool]
    """Services that use the environment's key for the function, each with whether they also encrypt with it."""

    def create(self, name: str, child: pulumi.ResourceOptions) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """Create the role; return it with its policies, which the function waits for."""
        account = iam.Account.of(self.labels.environment)
        role = aws.iam.Role(
            f"{name}-role",
            name=self.labels.role(self.duty),
            description=self.description,
            assume_role_policy=iam.function_trust(),
            opts=child,
        )
        policies = grants.inline_policies(self.abilities)
        for service, write in self.key_uses.items():
            use = partial(_use_key, account, service, write=write)
            policies[f"use-key-{service}"] = self.key_arn.apply(use)
        return role, [
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=child)
            for ability, policy in policies.items()
        ]


def _use_key(account: iam.Account, service: str, key_arn: str, *, write: bool) -> str:
    return grants.use_key_through(account, key_arn, service, write=write)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFunction:
    """One function."""

    name: str
    description: str
    program: Program
    handler: str
    """Dotted path of what Lambda calls."""
    memory_mib: int
    """Lambda gives processor time by memory."""
    timeout_seconds: int
    concurrency: int
    """Runs at the same time, which are set apart for it."""
    variables: Mapping[str, pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    """Key of the variables."""
    log_group: pulumi.Input[str]
    """Name of the log group."""
    dead_arn: pulumi.Input[str]
    """Queue for what it could not handle."""

    def create(self, name: str, role: aws.iam.Role, opts: pulumi.ResourceOptions) -> aws.lambda_.Function:
        """Create it."""
        return aws.lambda_.Function(
            f"{name}-function",
            name=self.name,
            description=self.description,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=self.handler,
            code=pulumi.FileArchive(str(function_archive.write(self.program))),
            role=role.arn,
            memory_size=self.memory_mib,
            timeout=self.timeout_seconds,
            reserved_concurrent_executions=self.concurrency,
            environment=aws.lambda_.FunctionEnvironmentArgs(variables=dict(self.variables)),
            kms_key_arn=self.key_arn,
            tracing_config=aws.lambda_.FunctionTracingConfigArgs(mode="Active"),
            dead_letter_config=aws.lambda_.FunctionDeadLetterConfigArgs(target_arn=self.dead_arn),
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=self.log_group),
            opts=opts,
        )
