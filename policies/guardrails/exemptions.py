"""Exemptions: findings that somebody accepted, for a stated reason and until a stated day.

They stand in the pack configuration under the rule that they exempt from:
`{"urn": "urn:pulumi:prod::*::agents", "reason": …, "owner": …, "expires": "2027-01-31"}`.
An exempted finding is still shown, as advice. An exemption that says too little, has expired or covers everything is
itself a violation, and exempts nothing.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

SCHEMA: dict[str, object] = {
    "type": "array",
    "description": "Findings of this rule that are accepted: for which resources, why, by whom and until when.",
    "default": [],
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["urn", "reason", "owner", "expires"],
        "properties": {
            "urn": {
                "type": "string",
                "description": "Glob over resource URNs; the name at its end must not be all wildcard.",
            },
            "reason": {"type": "string"},
            "owner": {"type": "string", "description": "Team or person who answers for it."},
            "expires": {"type": "string", "description": "Last day, as YYYY-MM-DD."},
        },
    },
}
"""JSON schema of the `exemptions` property that every rule has."""

_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """One accepted finding."""

    urn: str
    reason: str
    owner: str
    expires: str

    def covers(self, urn: str) -> bool:
        """Whether the resource is meant."""
        return fnmatchcase(urn, self.urn)

    def problems(self, today: dt.date) -> tuple[str, ...]:
        """Why the exemption is not valid today; empty when it is."""
        return tuple(
            problem
            for problem in (
                _problem_with_day(self.expires, today),
                None
                if self.urn.rpartition("::")[2].strip("*?[]!")
                else f"urn {self.urn!r} covers every name; write the resource's name at its end",
                None
                if len(self.reason.split()) >= _FEWEST_WORDS
                else f"reason {self.reason!r} says too little; write why the rule cannot hold here",
                None if self.owner.strip() else "owner is empty; write the team that answers for it",
            )
            if problem is not None
        )


def read(raw: object, problems: list[str]) -> tuple[Exemption, ...]:
    """The exemptions in a configuration value; whatever is not one is added to `problems`."""
    names = ("urn", "reason", "owner", "expires")
    exemptions: list[Exemption] = []
    for index, entry in enumerate(cast("list[object]", raw) if isinstance(raw, list) else [raw]):
        fields = dict(cast("Mapping[str, object]", entry)) if isinstance(entry, Mapping) else {}
        if set(fields) == set(names) and all(isinstance(text, str) for text in fields.values()):
            exemptions.append(Exemption(**cast("dict[str, str]", fields)))
        else:
            problems.append(
                f"exemptions[{index}]: want an object with exactly the strings {', '.join(names)}; found {entry!r}"
            )
    return tuple(exemptions)


def valid(exemptions: Iterable[Exemption], today: dt.date) -> tuple[Exemption, ...]:
    """Those that may be applied today."""
    return tuple(exemption for exemption in exemptions if not exemption.problems(today))


def _problem_with_day(day: str, today: dt.date) -> str | None:
    try:
        last = dt.date.fromisoformat(day)
    except ValueError:
        return f"expires {day!r} is not a day; write YYYY-MM-DD"
    return f"expired on {day}; mend the resource or renew the exemption" if last < today else None
