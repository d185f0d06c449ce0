"""What is left of a cluster in its account: `python -m operations.orphans --stack dev`.

Lists everything that still carries the cluster's tag, for the time after `pulumi destroy`; ends with exit code 1 if
there is anything.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from components.labels import Labels
from operations.remains import Remains, WrongAccountError
from settings.check import load_file
from settings.problems import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    """List what is left of one environment and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m operations.orphans", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", required=True, help="environment, the <name> of Pulumi.<name>.yaml")
    try:
        settings = load_file(ROOT / f"Pulumi.{parser.parse_args(arguments).stack}.yaml")
        environment, cluster = settings.environment, Labels(settings.environment).cluster
        left = Remains.connect(cluster, environment.account_id, environment.region).owned()
    except (SettingsError, WrongAccountError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for arn in left:
        sys.stdout.write(f"{arn}\n")
    sys.stdout.write(f"{cluster}: {len(left)} resources carry its tag\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
