"""Artifact store: where data, models and images live, and the key that encrypts them.

Creates: one KMS key with rotation and an alias; private buckets for data, models and access logs; one image repository
per model with immutable tags, scan on push and a lifecycle. The data bucket announces new objects to EventBridge.
With a next environment, its promotion role may read artefacts and images; else the account's own identities decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components import iam, promotion_policies, resource_policies
from components.bucket import PrivateBucket, PrivateBucketArgs
from components.handles import StoreHandle
from components.labels import BALANCER_LOGS, DATA, LOGS, MODELS
from components.model_places import ModelPlaces
from components.repositories import create_repository
from components.served_grants import tell_of_alarms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.labels import Labels
    from settings.model import ModelSpec, NeighbourSpec, StoreSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStoreArgs:
    """Arguments of `ArtifactStore`."""

    labels: Labels
    """Names and tags."""
    spec: StoreSpec
    """Retention and deletion."""
    models: tuple[ModelSpec, ...]
    """Models; each gets an image repository."""
    promotes_to: NeighbourSpec | None
    """Environment whose promotion role reads artefacts and images of approved versions."""
    lustre: bool
    """Whether a Lustre file system reads the data bucket."""
    protect: bool
    """Whether key, buckets and repositories refuse deletion."""


class ArtifactStore(pulumi.ComponentResource):
    """Key, buckets and image repositories; see the module for what is created."""

    handle: StoreHandle
    """What reads or writes data, models or images uses this."""

    def __init__(self, name: str, args: ArtifactStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:store:ArtifactStore", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=args.protect)
        self._reader = args.promotes_to and promotion_policies.neighbour(args.labels, args.promotes_to)
        self._key = self._create_key()
        data, models, logs = self._create_buckets()
        aws.s3.BucketNotification(f"{name}-data-events", bucket=data.bucket.bucket, eventbridge=True, opts=self._child)
        repositories = {model.name: self._create_repository(model) for model in args.models}
        self.handle = StoreHandle(
            key_arn=self._key.arn,
            data_bucket=data.bucket.bucket,
            models_bucket=models.bucket.bucket,
            logs_bucket=logs.policy.bucket,
            repositories={model: repository.repository_url for model, repository in repositories.items()},
        )
        self.register_outputs(
            {
                "key_arn": self.handle.key_arn,
                "data_bucket": self.handle.data_bucket,
                "models_bucket": self.handle.models_bucket,
                "repositories": self.handle.repositories,
            }
        )

    def _create_repository(self, model: ModelSpec) -> aws.ecr.Repository:
        args, name = self._args, f"{self._name}-{model.name}"
        repository = create_repository(
            name,
            args.labels.repository(model.name),
            spec=args.spec,
            key_arn=self._key.arn,
            protect=args.protect,
            parent=self,
        )
        if self._reader is not None:
            aws.ecr.RepositoryPolicy(
                f"{name}-readers",
                repository=repository.name,
                policy=resource_policies.repository_policy(
                    pull=[promotion_policies.promotion_role(self._reader)], push=()
                ),
                opts=self._child,
            )
        return repository

    def _create_key(self) -> aws.kms.Key:
        labels = self._args.labels
        services = (labels.container_insights(""), labels.endpoint_logs)
        log_groups = (labels.log_group(""), labels.cluster_log_group, *services)
        key = aws.kms.Key(
            f"{self._name}-key",
            description=f"Data, models, images, volumes, secrets and logs of {labels.cluster}",
            enable_key_rotation=True,
            deletion_window_in_days=self._args.spec.key_deletion_days,
            policy=resource_policies.key_policy(
                iam.Account.of(labels.environment),
                log_groups,
                lustre_buckets=[labels.bucket(DATA)] if self._args.lustre else [],
                more=[
                    tell_of_alarms(labels),
                    *([promotion_policies.decrypt_artefacts(labels, self._reader)] if self._reader else []),
                ],
            ),
            tags=labels.named("key"),
            opts=self._guarded,
        )
        aws.kms.Alias(f"{self._name}-key-alias", name=labels.key_alias, target_key_id=key.key_id, opts=self._child)
        return key

    def _create_buckets(self) -> tuple[PrivateBucket, PrivateBucket, PrivateBucket]:
        """The data and the models bucket, and the one that both, and load balancers, log accesses to."""
        labels, account = self._args.labels, iam.Account.of(self._args.labels.environment)
        sources = [labels.bucket(DATA), labels.bucket(MODELS)]
        deliveries = (
            resource_policies.receive_access_logs(account, labels.bucket(LOGS), sources),
            resource_policies.receive_load_balancer_logs(account, labels.bucket(LOGS), BALANCER_LOGS),
        )
        readers = (promotion_policies.read_artefacts(labels, self._args.models, self._reader),) if self._reader else ()
        logs = self._create_bucket(LOGS, None, self._args.spec.access_log_days, deliveries, None, expiring={})
        return (
            self._create_bucket(DATA, self._key.arn, None, (), logs, expiring={}),
            self._create_bucket(MODELS, self._key.arn, None, readers, logs, expiring=self._passing()),
            logs,
        )

    def _passing(self) -> dict[str, int]:
        """Prefix → days that its objects are kept: copies, answers, captured requests and what became of them."""
        found: dict[str, int] = {}
        for model in self._args.models:
            places = ModelPlaces(self._args.labels, model)
            found |= dict.fromkeys(places.passing, model.pipeline.keep_days)
            if model.drift is not None:
                found |= dict.fromkeys((places.captures, places.truth), model.drift.keep_days)
        return found

    def _create_bucket(
        self,
        kind: str,
        key_arn: pulumi.Input[str] | None,
        expire_days: int | None,
        grants: tuple[iam.Statement, ...],
        log_to: PrivateBucket | None,
        *,
        expiring: Mapping[str, int],
    ) -> PrivateBucket:
        args = PrivateBucketArgs(
            labels=self._args.labels,
            kind=kind,
            spec=self._args.spec,
            key_arn=key_arn,
            expire_days=expire_days,
            expiring=expiring,
            grants=grants,
            log_to=log_to,
            protect=self._args.protect,
        )
        return PrivateBucket(f"{self._name}-{kind}", args, self._child)
