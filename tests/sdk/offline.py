"""A session of the SageMaker SDK that reaches nothing: no credentials but invented ones, no telemetry, no network."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import boto3
from botocore.httpsession import URLLib3Session
from requests.adapters import HTTPAdapter
from sagemaker.core.config.config_manager import SageMakerConfig
from sagemaker.core.workflow.pipeline_context import PipelineSession

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUIET: Final = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
"""Keeps the SDK from telling AWS which of its classes are used, and from looking for files of the user's."""


@cache
def pipeline_session(region: str) -> PipelineSession:
    """A session in which a job that is started becomes the arguments of a step."""
    boto = boto3.Session(region_name=region)
    return PipelineSession(boto_session=boto, default_bucket="no-bucket", sagemaker_config=_QUIET)


@contextmanager
def cut_off() -> Iterator[None]:
    """Meanwhile, every request of boto3 or `requests` is an error."""
    refused = AssertionError("the SDK asked the network")
    with ExitStack() as stack:
        for door in (URLLib3Session, HTTPAdapter):
            stack.enter_context(patch.object(door, "send", side_effect=refused))
        # At each look at its settings the SDK holds them against a schema, and that schema against the schema of
        # schemas: four fifths of the time of a definition, for the same two lines each time.
        stack.enter_context(patch.object(SageMakerConfig, "validate_sagemaker_config"))
        yield
