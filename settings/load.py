"""The running stack's configuration; the only reader of Pulumi's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
from pulumi.runtime import config as held

from settings.parse import parse
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.model import Settings

__all__ = ["load_settings", "parse"]


def load_settings() -> Settings:
    """Return the settings of the running stack.

    Raises:
        pulumi.RunError: The stack file is not usable; the text has every problem. Raised before any resource is
            registered, and shown without a traceback.
    """
    config = _configuration()
    try:
        return parse(config, file=f"Pulumi.{pulumi.get_stack()}.yaml", secrets=_secrets(config))
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def _configuration() -> dict[str, str]:
    """Return every configuration value of the stack.

    `pulumi.Config` answers for the keys that it is asked for, so a misspelt one would never be seen. The SDK looks in
    two places, and so does this: an inline program and a test set the values in process, the command line passes them
    in the variable PULUMI_CONFIG. The first wins.
    """
    return {**held.get_config_env(), **held.CONFIG.get()}


def _secrets(config: Mapping[str, str]) -> frozenset[str]:
    """Return the keys whose values the stack file keeps encrypted; the SDK looks in the same two places."""
    return frozenset(key for key in config if held.is_config_secret(key)) | {*held.get_config_secret_keys_env()}
