"""Pods that tests ask the API server to admit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.kube.api import Object

LEAST = {"cpu": "10m", "memory": "16Mi"}
"""What a pod asks for that is about something else."""


def container(asks: Mapping[str, str] | None = LEAST, *, name: str = "main", **security: Any) -> Object:
    """A container that the level `restricted` of the Pod Security Standards admits.

    Args:
        asks: Requests, which are its limits too; None: it says nothing.
        name: Its name.
        security: Fields of its security context to set otherwise.
    """
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **security,
    }
    resources = {} if asks is None else {"resources": {"requests": dict(asks), "limits": dict(asks)}}
    return {"name": name, "image": "registry.example/app@sha256:" + "0" * 64, "securityContext": context, **resources}


def pod(namespace: str, containers: Sequence[Object] = (), *, name: str = "probe", **spec: Any) -> Object:
    """A pod without a token of its service account; `spec` sets further fields of its specification."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": list(containers) or [container()], "automountServiceAccountToken": False, **spec},
    }
