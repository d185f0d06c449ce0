"""Where the stack lives, and what protects its data."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Final

from settings.model import Settings
from settings.places import REGIONS
from settings.problems import NAMESPACE, Finding, Path, join

Rule = Callable[[Settings], Iterator[Finding]]

_LONGEST_KEY_DELETION_DAYS: Final = 30
"""KMS, ScheduleKeyDeletion: `PendingWindowInDays` is at most this."""


def region_belongs_to_partition(settings: Settings) -> Iterator[Finding]:
    """A region exists in one partition; an ARN that names another one means nothing there."""
    region, partition = settings.environment.region, settings.environment.partition
    if region in REGIONS[partition]:
        return
    home = next((name for name, regions in REGIONS.items() if region in regions), None)
    near = get_close_matches(region, sorted(REGIONS[partition]), n=3, cutoff=0.8)
    yield Finding(
        path=("environment", "region"),
        found=region,
        allowed=f"a region of partition {partition}: {', '.join(sorted(REGIONS[partition]))}",
        remedy=f"write partition: {home}, or a region of {partition}"
        if home
        else f"write {join(near)}"
        if near
        else "write one of them",
    )


def account_is_a_real_number(settings: Settings) -> Iterator[Finding]:
    """AWS gives no account the number zero; it stands in templates."""
    if not int(settings.environment.account_id):
        yield Finding(
            path=("environment", "accountId"),
            found=f'"{settings.environment.account_id}"',
            allowed="the number of an AWS account",
            remedy="write what `aws sts get-caller-identity` answers, in quotes",
        )


def protected_data_outlives_the_stack(settings: Settings) -> Iterator[Finding]:
    """Protection is worth nothing where another switch still lets the data go."""
    if settings.environment.protect_data and settings.store.force_destroy:
        yield _unprotected(("store", "forceDestroy"), "true", "false")


def protected_key_waits_longest(settings: Settings) -> Iterator[Finding]:
    """The key of protected data gets the longest waiting period that KMS offers: without it every object is lost."""
    days = settings.store.key_deletion_days
    if settings.environment.protect_data and days != _LONGEST_KEY_DELETION_DAYS:
        yield _unprotected(("store", "keyDeletionDays"), str(days), str(_LONGEST_KEY_DELETION_DAYS))


def protected_cluster_refuses_deletion(settings: Settings) -> Iterator[Finding]:
    """Pulumi's `protect` binds Pulumi only; EKS has its own switch for everyone else."""
    if settings.environment.protect_data and not settings.cluster.deletion_protection:
        yield _unprotected(("cluster", "deletionProtection"), "false", "true")


def _unprotected(path: Path, found: str, wanted: str) -> Finding:
    switch = f"{NAMESPACE}:environment.protectData"
    return Finding(
        path=path,
        found=found,
        allowed=f"{wanted} while {switch} is true",
        remedy=f"write {wanted}, or set {switch} to false",
    )


RULES: Final[tuple[Rule, ...]] = (
    region_belongs_to_partition,
    account_is_a_real_number,
    protected_data_outlives_the_stack,
    protected_key_waits_longest,
    protected_cluster_refuses_deletion,
)
