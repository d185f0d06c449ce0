"""Notebooks that reach what they need and nothing else.

Source: SageMaker developer guide, "Connect Studio notebooks in a VPC to external resources".
"""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings, StudioDomainSpec
from settings.problems import Finding, join, repeated
from settings.rules.environment import Rule

NEEDED: Final = ("sagemaker.api", "sagemaker.runtime", "sts", "logs")
"""Interface endpoints without which a notebook that has no internet does not start."""


def _domain(settings: Settings) -> Iterator[StudioDomainSpec]:
    if settings.studio.domain is not None:
        yield settings.studio.domain


def notebooks_have_a_way_to_aws(settings: Settings) -> Iterator[Finding]:
    """Studio has no network of its own here: what the VPC does not reach, no notebook reaches."""
    for domain in _domain(settings):
        missing = [each for each in NEEDED if each not in settings.network.interface_endpoints]
        if not domain.internet and missing:
            yield Finding(
                path=("studio", "domain", "internet"),
                found="false",
                allowed=f"true, or false with interface endpoints {join(NEEDED)}",
                remedy=f"add {join(missing)} to network.interfaceEndpoints, or write true",
            )


def protected_data_have_no_way_out(settings: Settings) -> Iterator[Finding]:
    """Whoever can read the data and reach any address can carry them there."""
    for domain in _domain(settings):
        if domain.internet and settings.environment.protect_data:
            yield Finding(
                path=("studio", "domain", "internet"),
                found="true",
                allowed="false while environment.protectData is true",
                remedy="write false; packages come by images of your own",
            )


def users_and_hosts_are_named_once(settings: Settings) -> Iterator[Finding]:
    """A second profile of one name cannot be made."""
    for domain in _domain(settings):
        for field, values in (("users", domain.users), ("instanceTypes", domain.instance_types)):
            for index in repeated(values):
                yield Finding(
                    path=("studio", "domain", field, index),
                    found=f"{values[index]} again",
                    allowed="a name that stands once",
                    remedy="remove it",
                )


RULES: Final[tuple[Rule, ...]] = (
    notebooks_have_a_way_to_aws,
    protected_data_have_no_way_out,
    users_and_hosts_are_named_once,
)
