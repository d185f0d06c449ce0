"""Tracking: versions of models beside one another in MLflow, where the settings ask for it.

Creates: an MLflow App of SageMaker with a role that keeps artefacts below a prefix of the models bucket; a function
that copies a version into it, with a role, a log group and a queue for what it could not copy; for each model a rule
that starts the function whenever a version changes; alarms.
Does not create: who may open the app (`sagemaker:CreatePresignedMlflowAppUrl`, the account's own identities); models in
MLflow's own registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from components import grants, iam
from components import tracking_objects as objects
from components.dead_letters import create_dead_queue
from components.lambda_functions import FunctionRole, PythonFunction
from components.resource_policies import queue_policy
from components.tracking_grants import call_app, copy_versions, keep_artefacts
from components.training_grants import SAGEMAKER
from components.watches import alarm_prefix, create_alarms

if TYPE_CHECKING:
    from components.alarm_handle import AlarmsHandle
    from components.handles import StoreHandle
    from components.labels import Labels
    from settings.model import ModelSpec, TrackingAppSpec, TrackingSpec

MEMORY_MIB: Final = 512
"""Start and one version are mostly imports and waiting."""
TIMEOUT_SECONDS: Final = 60
CONCURRENCY: Final = 1
"""MLflow makes two runs of two requests at the same time: one version after the other is what makes them one."""
RETRY_SECONDS: Final = 6 * 3600
"""The longest that Lambda keeps an event (its API reference, `PutFunctionEventInvokeConfig`)."""
RETRIES: Final = 2
"""The most that it tries again after an error; waiting for its turn is no error."""
DELIVERIES: Final = 185
"""EventBridge's own limit (its user guide, "Retry policy")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingArgs:
    """Arguments of `Tracking`."""

    labels: Labels
    """Names and tags."""
    spec: TrackingSpec
    """The app, if any."""
    models: tuple[ModelSpec, ...]
    """Models; each is an experiment."""
    store: StoreHandle
    """Key and models bucket."""
    alarms: AlarmsHandle
    """Who hears of alarms."""


class Tracking(pulumi.ComponentResource):
    """Experiment tracking; see the module for what is created."""

    def __init__(self, name: str, args: TrackingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:tracking:Tracking", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._account = iam.Account.of(args.labels.environment)
        if args.spec.app is not None:
            app = self._create_app()
            dead, allowed = self._create_dead_queue()
            function = self._create_function(args.spec.app, app, dead)
            for model in args.models:
                self._start_for(model.name, function, dead, allowed)
            prefix = f"{alarm_prefix(args.labels)}{objects.THING}-"
            create_alarms(name, prefix, objects.watches(args.labels), args.alarms, self._child)
        self.register_outputs({})

    def _create_app(self) -> aws.sagemaker.MlflowApp:
        labels, name = self._args.labels, f"{self._name}-app"
        role = aws.iam.Role(
            f"{name}-role",
            name=labels.role(objects.APP_DUTY),
            description="Keeps artefacts of MLflow",
            assume_role_policy=iam.service_trust(self._account, SAGEMAKER),
            opts=self._child,
        )
        policies = grants.inline_policies(keep_artefacts(labels))
        policies["use-key"] = self._args.store.key_arn.apply(
            lambda key_arn: grants.use_key_through(self._account, key_arn, "s3", write=True)
        )
        attached = [
            aws.iam.RolePolicy(f"{name}-{ability}", name=ability, role=role.name, policy=policy, opts=self._child)
            for ability, policy in policies.items()
        ]
        # In the account's own Studio nothing becomes the default, and nothing is registered but by a pipeline.
        return aws.sagemaker.MlflowApp(
            self._name,
            name=labels.cluster,
            artifact_store_uri=objects.artefact_uri(labels),
            role_arn=role.arn,
            account_default_status="DISABLED",
            model_registration_mode="AutoModelRegistrationDisabled",
            opts=pulumi.ResourceOptions(parent=self, depends_on=attached, protect=labels.environment.protect_data),
        )

    def _rule(self, model: str) -> str:
        return self._args.labels.rule(f"{model}-{objects.THING}")

    def _create_dead_queue(self) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
        """The queue of what was not copied, and what lets the rules put events into it."""
        queue_name = self._args.labels.queue(objects.DEAD)
        dead = create_dead_queue(self._name, queue_name, self._child)
        rules = [self._rule(model.name) for model in self._args.models]
        if not rules:
            return dead, []
        policy = queue_policy(self._account, queue_name, rules)
        return dead, [aws.sqs.QueuePolicy(f"{self._name}-dead", queue_url=dead.url, policy=policy, opts=self._child)]

    def _create_function(
        self, spec: TrackingAppSpec, app: aws.sagemaker.MlflowApp, dead: aws.sqs.Queue
    ) -> aws.lambda_.Function:
        labels, key_arn = self._args.labels, self._args.store.key_arn
        log_group = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=labels.log_group(objects.THING),
            retention_in_days=spec.log_retention_days,
            kms_key_id=key_arn,
            opts=self._child,
        )
        role, rights = self._create_role(app)
        function = PythonFunction(
            name=objects.function_name(labels),
            description="Copies a version of a model into MLflow",
            program=objects.PROGRAM,
            handler=objects.HANDLER,
            memory_mib=MEMORY_MIB,
            timeout_seconds=TIMEOUT_SECONDS,
            concurrency=CONCURRENCY,
            variables={"APP_ARN": app.arn},
            key_arn=key_arn,
            log_group=log_group.name,
            dead_arn=dead.arn,
        ).create(self._name, role, pulumi.ResourceOptions(parent=self, depends_on=rights))
        aws.lambda_.FunctionEventInvokeConfig(
            f"{self._name}-retries",
            function_name=function.name,
            maximum_event_age_in_seconds=RETRY_SECONDS,
            maximum_retry_attempts=RETRIES,
            opts=self._child,
        )
        return function

    def _create_role(self, app: aws.sagemaker.MlflowApp) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """The role of the function, and its rights, which the function waits for."""
        role, policies = FunctionRole(
            labels=self._args.labels,
            duty=objects.THING,
            description="Copies versions of models into MLflow",
            abilities=copy_versions(self._args.labels, self._args.models),
            key_arn=self._args.store.key_arn,
            key_uses={"s3": False, "lambda": False},
        ).create(self._name, self._child)
        call = aws.iam.RolePolicy(
            f"{self._name}-call-app",
            name="call-app",
            role=role.name,
            policy=app.arn.apply(call_app),
            opts=self._child,
        )
        return role, [*policies, call]

    def _start_for(
        self, model: str, function: aws.lambda_.Function, dead: aws.sqs.Queue, allowed: list[pulumi.Resource]
    ) -> None:
        """Start the function whenever a version of one model changes."""
        name, labels = f"{self._name}-{model}", self._args.labels
        rule = aws.cloudwatch.EventRule(
            name,
            name=self._rule(model),
            description=f"A version of {model} has changed",
            event_pattern=objects.version_pattern(labels.package_group(model)),
            opts=self._child,
        )
        admitted = aws.lambda_.Permission(
            name,
            statement_id=model,
            function=function.name,
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            source_account=self._account.account_id,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=function.arn,
            retry_policy=aws.cloudwatch.EventTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=DELIVERIES
            ),
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=dead.arn),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*allowed, admitted]),
        )
