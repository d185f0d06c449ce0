"""Hooks of the engine as options of a resource."""

from __future__ import annotations

import pulumi


def before_delete(hook: pulumi.ResourceHook | None) -> pulumi.ResourceHookBinding | None:
    """Option that runs `hook` before the resource is deleted; `pulumi destroy` then needs `--run-program`."""
    return pulumi.ResourceHookBinding(before_delete=[hook]) if hook else None
