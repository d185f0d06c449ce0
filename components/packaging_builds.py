"""What starts the builds of one model: its approved versions, and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws

from components.packaging_objects import approval_input, approval_pattern

if TYPE_CHECKING:
    import pulumi

    from components.code_builds import Target


def start_when_approved(
    name: str, rule: str, group: str, target: Target, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.EventTarget:
    """Start a build when a version of a package group is approved or rejected."""
    made = aws.cloudwatch.EventRule(
        name,
        name=rule,
        description=f"A version of {group} is approved or rejected",
        event_pattern=approval_pattern(group),
        opts=opts,
    )
    transformer = aws.cloudwatch.EventTargetInputTransformerArgs(
        input_paths={"package": "$.detail.ModelPackageArn"}, input_template=approval_input()
    )
    return target.start(name, made, opts, transformer)


def start_every(
    name: str, rule: str, days: int, target: Target, opts: pulumi.ResourceOptions
) -> aws.cloudwatch.EventTarget:
    """Start a build every so many days, which looks for a newer base."""
    made = aws.cloudwatch.EventRule(
        name,
        name=rule,
        description="A newer base is looked for",
        schedule_expression=f"rate({days} {'day' if days == 1 else 'days'})",
        opts=opts,
    )
    return target.start(name, made, opts)
