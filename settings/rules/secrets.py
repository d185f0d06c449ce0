"""Secrets of namespaces: a driver that shows them, names of their own, rotations that AWS can call."""

from collections.abc import Iterator
from typing import Final

from settings.compatibility import ADDONS
from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.environment import Rule
from settings.rules.tenancy import TeamRule, all_namespaces


def secrets_have_a_driver(settings: Settings) -> Iterator[Finding]:
    """Without the driver no pod sees a secret; without secrets it is one more program on every node."""
    wanted, driver = any(each.secrets for each in all_namespaces(settings)), settings.storage.secrets
    if wanted and driver is None:
        yield Finding(
            path=("storage", "secrets"),
            found="null",
            allowed="a driver while a namespace of slipway:teams has secrets",
            remedy=f"write driverVersion: {ADDONS['secrets_store'].supported[settings.cluster.version].known[-1]} and "
            "rereadMinutes: 60",
        )
    elif driver is not None and not wanted:
        yield Finding(
            path=("storage", "secrets"),
            found="a driver",
            allowed="null while no namespace of slipway:teams has secrets",
            remedy="write null",
        )


def secrets_have_names_of_their_own(settings: Settings, index: int) -> Iterator[Finding]:
    """Two secrets of a name would be one file."""
    for place, namespace in enumerate(settings.teams[index].namespaces):
        names = [secret.name for secret in namespace.secrets]
        for again, first in repeated(names).items():
            yield Finding(
                path=("teams", index, "namespaces", place, "secrets", again, "name"),
                found=f"{names[again]} again (first in secrets[{first}])",
                allowed="a name that no other secret of the namespace has",
                remedy="rename one of the two",
            )


def rotations_belong_to_the_environment(settings: Settings, index: int) -> Iterator[Finding]:
    """Secrets Manager calls functions of its own account and region."""
    environment = settings.environment
    ours = f"arn:{environment.partition}:lambda:{environment.region}:{environment.account_id}:function:"
    for place, namespace in enumerate(settings.teams[index].namespaces):
        for number, secret in enumerate(namespace.secrets):
            if secret.rotation is not None and not secret.rotation.function_arn.startswith(ours):
                yield Finding(
                    path=("teams", index, "namespaces", place, "secrets", number, "rotation", "functionArn"),
                    found=secret.rotation.function_arn,
                    allowed=f"a function of account {environment.account_id} in {environment.region}",
                    remedy=f"write {ours}{secret.rotation.function_arn.rpartition(':')[2]}",
                )


RULES: Final[tuple[Rule, ...]] = (secrets_have_a_driver,)
TEAM_RULES: Final[tuple[TeamRule, ...]] = (secrets_have_names_of_their_own, rotations_belong_to_the_environment)
