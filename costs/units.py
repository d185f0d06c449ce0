"""What one run of a pipeline costs, and one endpoint: parts of an estimate that people ask for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costs.estimate import grouped_sums
from costs.meters.serving import ENDPOINT

if TYPE_CHECKING:
    from costs.band import Band
    from costs.estimate import Estimate


def runs(found: Estimate) -> dict[str, Band]:
    """Model → US dollars that a run of its pipeline costs at most: every job as long as it may take."""
    return grouped_sums((line.resource, line.run) for line in found.lines if line.run.high)


def endpoints(found: Estimate) -> dict[str, Band]:
    """Endpoint → US dollars that it costs a month, hosts and requests together."""
    return grouped_sums((line.resource, line.monthly) for line in found.lines if line.type == ENDPOINT)
