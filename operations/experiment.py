"""Says what an A/B test has found: `python -m operations.experiment --model m --stack prod --percent 30 …`.

What the release step needs to know stands in the stack file. The caller's own credentials have to be those of a role
under `access.release` of the namespace's team, and Prometheus has to be within reach: by a `kubectl port-forward`, for
which only administrators of the cluster have the right.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from operations.pods import Pods, RefusedError, in_aws
from release.__main__ import main as release
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = "has no cluster to ask: make rollout STRATEGY=a-b shows an A/B test under load and what it found"


def main(arguments: Sequence[str]) -> int:
    """Print the report and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m operations.experiment", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--stack", required=True, help="environment")
    parser.add_argument("--percent", required=True, help="share of the requests that was to see the new version")
    parser.add_argument("--prometheus", required=True, help="address of Prometheus")
    parser.add_argument("--above", default="", help="predictions beyond it are counted")
    parser.add_argument("--slower-than", default="", help="answers that took more seconds are counted")
    options = parser.parse_args(arguments)
    asked = {"--above": options.above, "--slower-than": options.slower_than}
    try:
        pods = Pods.of(in_aws(options.stack, local=LOCAL), options.model)
        return release([*words(pods), "--percent", options.percent, "--prometheus", options.prometheus, *_said(asked)])
    except (SettingsError, RefusedError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def words(pods: Pods) -> list[str]:
    """The release step's command line, up to what is asked.

    Raises:
        RefusedError: New versions of the model are tried otherwise.
    """
    how = pods.spec.rollout.strategy if pods.spec.rollout else "rolling"
    if how != "a-b":
        raise RefusedError(
            f"{pods.labels.environment.name} rolls {pods.model.name} out by {how}, which judges by itself: an A/B test "
            "needs serving.eks.rollout.strategy: a-b"
        )
    return ["experiment", *pods.place]


def _said(asked: dict[str, str]) -> list[str]:
    return [word for flag, value in asked.items() if value for word in (flag, value)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
