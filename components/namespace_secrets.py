"""Secrets of a namespace: places in AWS Secrets Manager, and how pods see them as files.

Creates: the secrets, under the key of the environment; their rotation where the settings name a function; the
SecretProviderClass by which a pod mounts all of them.
Does not create: values. People or the rotation put them there (`aws secretsmanager put-secret-value`), so that no
value passes through a stack file, the state or a plan; the right to read them, which the namespace's role has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

if TYPE_CHECKING:
    from components.handles import Ready
    from components.labels import Labels
    from settings.model import NamespaceSpec, SecretSpec

API_VERSION: Final = "secrets-store.csi.x-k8s.io/v1"
CLASS: Final = "secrets"
"""Name of the class that pods mount: driver `secrets-store.csi.k8s.io`, attribute `secretProviderClass`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSecretsArgs:
    """Arguments of `NamespaceSecrets`."""

    labels: Labels
    """Names and tags."""
    namespace: NamespaceSpec
    """The namespace; it has at least one secret."""
    key_arn: pulumi.Output[str]
    """Key of the secrets."""
    after: Ready
    """The namespace, and the driver that brings the definition of the class."""


class NamespaceSecrets(pulumi.ComponentResource):
    """Secrets and class; see the module for what is created. Needs the AWS and the cluster's provider."""

    def __init__(self, name: str, args: NamespaceSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:namespacesecrets:NamespaceSecrets", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        secrets = [self._create(secret) for secret in args.namespace.secrets]
        kubernetes.apiextensions.CustomResource(
            f"{name}-class",
            api_version=API_VERSION,
            kind="SecretProviderClass",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=CLASS, namespace=args.namespace.name),
            spec=provider_class(args.labels, args.namespace),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *secrets]),
        )
        self.register_outputs({"secrets": [secret.name for secret in args.namespace.secrets]})

    def _create(self, spec: SecretSpec) -> aws.secretsmanager.Secret:
        labels, name = self._args.labels, f"{self._name}-{spec.name}"
        secret = aws.secretsmanager.Secret(
            name,
            name=labels.secret(self._args.namespace.name, spec.name),
            description=f"{spec.name} of the namespace {self._args.namespace.name}",
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=spec.recovery_days,
            opts=self._child,
        )
        if spec.rotation is not None:
            aws.secretsmanager.SecretRotation(
                name,
                secret_id=secret.id,
                rotation_lambda_arn=spec.rotation.function_arn,
                # The secret is empty at first: the function would fail on it.
                rotate_immediately=False,
                rotation_rules=aws.secretsmanager.SecretRotationRotationRulesArgs(
                    automatically_after_days=spec.rotation.every_days
                ),
                opts=self._child,
            )
        return secret


def provider_class(labels: Labels, namespace: NamespaceSpec) -> dict[str, Any]:
    """Specification of the SecretProviderClass: one file per secret, called as the secret is in the settings.

    `objects` is text in YAML, of which JSON is a part (README of aws/secrets-store-csi-driver-provider-aws).
    """
    objects = [
        {
            "objectName": labels.secret(namespace.name, secret.name),
            "objectType": "secretsmanager",
            "objectAlias": secret.name,
        }
        for secret in namespace.secrets
    ]
    region = labels.environment.region
    return {"provider": "aws", "parameters": {"region": region, "objects": json.dumps(objects)}}
