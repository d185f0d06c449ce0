"""What relates two values of a stack file: pure functions from settings to findings.

A rule reads only what it judges. Where a value that it reads is wrong by itself, it says nothing: that is reported
already. So all rules run on every file, however much of it is broken.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from settings.draft import UnjudgedError
from settings.model import Settings
from settings.problems import Finding
from settings.rules import (
    accelerators,
    alarms,
    algorithms,
    capacity,
    champion,
    cluster,
    domains,
    drift,
    environment,
    fargate,
    headroom,
    karpenter,
    load_balancing,
    models,
    monitoring,
    network,
    packaging,
    peering,
    pools,
    registry,
    retraining,
    rollouts,
    secrets,
    serving,
    serving_eks,
    serving_fleets,
    serving_sagemaker,
    spending,
    storage,
    studio,
    tenancy,
    tracking,
    tuning,
    versions,
)

RULES = (
    *environment.RULES,
    *network.RULES,
    *peering.RULES,
    *cluster.RULES,
    *versions.RULES,
    *pools.RULES,
    *karpenter.RULES,
    *monitoring.RULES,
    *headroom.RULES,
    *tenancy.RULES,
    *secrets.RULES,
    *accelerators.RULES,
    *spending.RULES,
    *alarms.RULES,
    *load_balancing.RULES,
    *domains.RULES,
    *storage.RULES,
    *fargate.RULES,
    *registry.RULES,
    *packaging.RULES,
    *studio.RULES,
    *tracking.RULES,
    *models.RULES,
)
"""Rules on the settings as a whole."""

ITEM_RULES: tuple[tuple[Sequence[pools.PoolRule], Callable[[Settings], int]], ...] = (
    (pools.POOL_RULES, lambda settings: len(settings.node_pools)),
    (karpenter.ELASTIC_RULES, lambda settings: len(settings.karpenter.pools)),
    ((*headroom.HEADROOM_RULES, *capacity.HEADROOM_RULES), lambda settings: len(settings.karpenter.headroom.pools)),
    ((*tenancy.TEAM_RULES, *secrets.TEAM_RULES, *capacity.TEAM_RULES), lambda settings: len(settings.teams)),
    (accelerators.PROFILE_RULES, lambda settings: len(settings.accelerators.gpu_profiles)),
    (accelerators.EFA_RULES, lambda settings: len(settings.accelerators.efa)),
    (
        (
            *models.MODEL_RULES,
            *champion.MODEL_RULES,
            *tuning.MODEL_RULES,
            *algorithms.MODEL_RULES,
            *retraining.MODEL_RULES,
            *drift.MODEL_RULES,
            *serving.MODEL_RULES,
            *serving_eks.MODEL_RULES,
            *rollouts.MODEL_RULES,
            *serving_sagemaker.MODEL_RULES,
            *serving_fleets.MODEL_RULES,
        ),
        lambda settings: len(settings.models),
    ),
)
"""Rules on one item of a list, and how many items the list has."""


def judge(settings: Settings) -> Iterator[Finding]:
    """Yield what every rule finds in `settings`, which may be a draft."""
    for rule in RULES:
        yield from _judged(rule(settings))
    for rules, count in ITEM_RULES:
        for index in range(_counted(count, settings)):
            for item_rule in rules:
                yield from _judged(item_rule(settings, index))


def _judged(findings: Iterator[Finding]) -> Iterator[Finding]:
    with suppress(UnjudgedError):
        yield from findings


def _counted(count: Callable[[Settings], int], settings: Settings) -> int:
    with suppress(UnjudgedError):
        return count(settings)
    return 0
