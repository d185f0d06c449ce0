"""What a container says on standard output, which SageMaker and Kubernetes collect as its log."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Write one line at once, so that the log follows the run."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
