"""Placeholders: SageMaker refuses a job one of whose inputs holds nothing, and at first there is nothing.

A building block of other components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi_aws as aws

from components.pipeline_champion import PLACEHOLDER
from components.pipeline_words import JSON

if TYPE_CHECKING:
    import pulumi

LINES: Final = "none.jsonl"
"""Placeholder among captures and labels: a line without a record, which searches for a person's records read, too."""
CONTENT: Final = {PLACEHOLDER: "{}", LINES: "\n"}
"""Name of a placeholder → what it holds."""
LARGEST: Final = max(map(len, CONTENT.values()))
"""Bytes; larger objects are no placeholders."""


def create_placeholder(
    name: str, bucket: pulumi.Input[str], prefix: str, opts: pulumi.ResourceOptions, file: str = PLACEHOLDER
) -> aws.s3.BucketObjectv2:
    """Put an object below a prefix, which no job reads."""
    return aws.s3.BucketObjectv2(
        f"{name}-{file}",
        bucket=bucket,
        key=f"{prefix}{file}",
        content=CONTENT[file],
        content_type=JSON,
        opts=opts,
    )
