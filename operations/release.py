"""Gives a model's pods a version of the registry: `python -m operations.release --model m --stack prod --version 7`.

With `--again` also one that was taken back, once somebody has approved it again. What the release step needs to know
stands in the stack file, and the image with the version. The caller's own credentials have to be those of a role under
`access.release` of the namespace's team.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from components import iam
from lifecycle.steps import Package, describe_package
from operations.pods import Pods, RefusedError, in_aws
from packager.champion import IMAGE_PROPERTY
from release.__main__ import main as release
from settings.problems import SettingsError
from settings.release_times import pods_minutes, rollout_minutes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sagemaker import SageMakerClient

LOCAL = "has no cluster to release to: make rollout shows a version that takes the place of another under load"


def main(arguments: Sequence[str]) -> int:
    """Release one version and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--stack", required=True, help="environment")
    parser.add_argument("--version", required=True, type=int, help="number of the version")
    parser.add_argument("--prometheus", default="", help="address of Prometheus; without it, readiness alone decides")
    parser.add_argument("--again", action="store_true", help="also one that was taken back, and approved since")
    options = parser.parse_args(arguments)
    try:
        pods = Pods.of(in_aws(options.stack, local=LOCAL), options.model)
        region = pods.labels.environment.region
        sagemaker = cast("SageMakerClient", get_session().create_client("sagemaker", region_name=region))
        package = describe_package(sagemaker, f"{pods.packages}{options.version}")
        return release(words(pods, package, prometheus=options.prometheus, again=options.again))
    except (SettingsError, RefusedError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def words(pods: Pods, package: Package, *, prometheus: str = "", again: bool = False) -> list[str]:
    """The release step's command line.

    Args:
        pods: What gets the version.
        package: The version.
        prometheus: Address of the metrics that judge it; empty for readiness alone.
        again: Whether it goes out although it was taken back.

    Raises:
        RefusedError: It is not approved, or no image was made of it.
    """
    name = f"version {package.version} of {pods.model.name}"
    if package.status != "Approved":
        approve = "aws sagemaker update-model-package --model-approval-status Approved --model-package-arn"
        raise RefusedError(f"{name} is {package.status}. Whoever may approve it does so first: {approve} {package.arn}")
    if IMAGE_PROPERTY not in package.properties:
        raise RefusedError(f"no image was made of {name}: its build starts when it is approved, docs/registry.md")
    registry = iam.Account.of(pods.labels.environment).registry
    image = f"{registry}/{pods.labels.repository(pods.model.name)}@{package.properties[IMAGE_PROPERTY]}"
    return [
        "roll-out",
        *pods.place,
        *("--ready-seconds", str(rollout_minutes(pods.spec) * 60), "--back-seconds", str(pods_minutes() * 60)),
        *("--image", image, "--version", str(package.version), "--package-arn", package.arn),
        *(("--prometheus", prometheus) if prometheus else ()),
        *(("--again",) if again else ()),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
