"""Takes the newest version of a model back: `python -m operations.rollback --model flight-delay --stack prod`.

With `--judged` only if the drift job's reports say that it has to go; that may be called as often as one likes.

What the release step needs to know stands in the stack file. The caller's own credentials have to be those of a role
under `access.release` of the namespace's team.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from components.labels import MODELS
from components.model_places import ModelPlaces
from operations.pods import Pods, RefusedError, in_aws
from release.__main__ import main as release
from settings.problems import SettingsError
from settings.recall_times import LOOKS, trial_hours
from settings.release_times import pods_minutes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings.model import Settings

LOCAL = (
    "has no cluster to ask: make rollout shows a version that is taken back under load, make loop one that goes when "
    "truth has come"
)


def main(arguments: Sequence[str]) -> int:
    """Take one version back and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.rollback", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--stack", required=True, help="environment")
    parser.add_argument("--judged", action="store_true", help="only if truth has found it worse (docs/rollouts.md)")
    options = parser.parse_args(arguments)
    try:
        return release(words(in_aws(options.stack, local=LOCAL), options.model, judged=options.judged))
    except (SettingsError, RefusedError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def words(settings: Settings, name: str, *, judged: bool = False) -> list[str]:
    """The release step's command line.

    Args:
        settings: Of the environment.
        name: Of the model.
        judged: Whether only truth may take the version back.

    Raises:
        RefusedError: The environment serves no model of that name by pods.
    """
    pods = Pods.of(settings, name)
    return [
        "recall" if judged else "roll-back",
        *pods.place,
        *("--back-seconds", str(pods_minutes() * 60)),
        *(_judged(pods) if judged else ()),
        *("--packages", pods.packages),
    ]


def _judged(pods: Pods) -> list[str]:
    """Where it is written what truth says, and what it takes: the same as after each look for drift."""
    spec = pods.model.drift
    if spec is None:
        raise RefusedError(f"{pods.model.name} has drift: null, so nothing says whether it is worse; leave JUDGED out")
    hours = str(trial_hours(spec))
    return [
        *("--reports", f"s3://{pods.labels.bucket(MODELS)}/{ModelPlaces(pods.labels, pods.model).drift_reports}"),
        *("--minimum-labels", str(spec.quality.minimum_labels)),
        *("--looks", str(LOOKS)),
        *("--trial-hours", hours, "--window-hours", hours),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
