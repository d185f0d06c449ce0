"""Domains: zones and their use belong together."""

from collections.abc import Iterator
from typing import Final

from settings.model import Settings
from settings.problems import Finding, repeated
from settings.rules.environment import Rule


def zones_are_used_and_uses_have_zones(settings: Settings) -> Iterator[Finding]:
    """A right to write to a zone that nobody needs is a risk; a controller without a zone does nothing."""
    domains = settings.domains
    used = domains.records is not None or domains.certificates is not None
    if used is not bool(domains.hosted_zones):
        yield Finding(
            path=("domains", "hostedZones"),
            found=f"a list of {len(domains.hosted_zones)}" if domains.hosted_zones else "an empty list",
            allowed="zones exactly when records or certificates is set",
            remedy="name the zones" if used else "write [], or set records or certificates",
        )


def hosted_zones_differ(settings: Settings) -> Iterator[Finding]:
    """Two zones of one domain would both be asked, and only one of them answers."""
    zones = settings.domains.hosted_zones
    fields = {"id": [zone.id for zone in zones], "domain": [zone.domain for zone in zones]}
    for field, values in fields.items():
        for index, first in repeated(values).items():
            yield Finding(
                path=("domains", "hostedZones", index, field),
                found=f"{values[index]} again (first in hostedZones[{first}])",
                allowed="each id and each domain once",
                remedy="remove one of the two",
            )


RULES: Final[tuple[Rule, ...]] = (zones_are_used_and_uses_have_zones, hosted_zones_differ)
