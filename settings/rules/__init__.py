"""What relates two values of a stack file: pure functions from settings to findings.

A rule reads only what it judges. Where a value that it reads is wrong by itself, it says nothing: that is reported
already. So all rules run on every file, however much of it is broken.
"""

from collections.abc import Iterator
from contextlib import suppress

from settings.draft import UnjudgedError
from settings.model import Settings
from settings.problems import Finding
from settings.rules import cluster, environment, models, network, pools

RULES = (*environment.RULES, *network.RULES, *cluster.RULES, *pools.RULES, *models.RULES)
"""Rules on the settings as a whole."""


def judge(settings: Settings) -> Iterator[Finding]:
    """Yield what every rule finds in `settings`, which may be a draft."""
    for rule in RULES:
        yield from _judged(rule(settings))
    for index in range(_count(settings, "node_pools")):
        for pool_rule in pools.POOL_RULES:
            yield from _judged(pool_rule(settings, index))
    for index in range(_count(settings, "models")):
        for model_rule in models.MODEL_RULES:
            yield from _judged(model_rule(settings, index))


def _judged(findings: Iterator[Finding]) -> Iterator[Finding]:
    with suppress(UnjudgedError):
        yield from findings


def _count(settings: Settings, name: str) -> int:
    with suppress(UnjudgedError):
        return len(getattr(settings, name))
    return 0
