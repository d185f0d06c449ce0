"""Configuration as the engine hands it over → settings, or every problem at once."""

from __future__ import annotations

import json
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from settings.draft import UnjudgedError, draft
from settings.explain import explain, node, unknown_key
from settings.model import Settings
from settings.problems import NAMESPACE, Finding, Problem, SettingsError, key, show
from settings.rules import judge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

_REGION: Final = "aws:region"


def parse(config: Mapping[str, str], *, file: str, secrets: Collection[str] = frozenset()) -> Settings:
    """Return the settings that `config` holds.

    Args:
        config: Every configuration value of the stack by its full key (`slipway:network`); a structured value is JSON
            text, which is how the engine passes it. Keys of other namespaces are left alone, except those that can only
            be a slip of the pen or that contradict the settings.
        file: Name of the stack file, for the messages.
        secrets: Keys of `config` that the file keeps encrypted.

    Raises:
        SettingsError: Something is missing, unknown, of the wrong type, out of range or contradictory.
    """
    raw = {name: _decode(text) for full, text in config.items() if (name := _own(full)) is not None}
    hidden = [name for full in secrets if (name := _own(full)) is not None and full in config]
    known = node(())["properties"]
    findings = [_encrypted(name) if name in known else unknown_key((name,)) for name in hidden]
    plain = {name: value for name, value in raw.items() if name not in hidden}
    try:
        settings = Settings.model_validate_json(json.dumps(plain))
    except ValidationError as invalid:
        errors = [error for error in invalid.errors(include_url=False) if error["loc"][0] not in hidden]
        findings += [explain(error) for error in errors if not _counts_broken_items(error, errors)]
        settings = draft(plain, [finding.path for finding in findings])
    findings += [*judge(settings), *_strangers(config, settings)]
    if findings:
        raise SettingsError([_problem(finding, file) for finding in sorted(findings, key=_place)])
    return settings


def _own(full: str) -> str | None:
    """Return the key inside our namespace; a key without a namespace is the project's, as for the engine."""
    namespace, colon, name = full.partition(":")
    if not colon:
        return full
    return name if namespace == NAMESPACE else None


def _decode(text: str) -> object:
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def _encrypted(name: str) -> Finding:
    return Finding(
        path=(name,),
        found="an encrypted value",
        allowed="plain text: settings are no secrets, and plans and reviews show them",
        remedy="write the value itself instead of secure:",
    )


def _strangers(config: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with keys of other namespaces."""
    for full in config:
        namespace, colon, name = full.partition(":")
        if colon and namespace != NAMESPACE and get_close_matches(namespace, [NAMESPACE], cutoff=0.7):
            yield Finding(
                path=(full,),
                found="an unknown namespace",
                allowed=f"{NAMESPACE}: and the names of Pulumi packages",
                remedy=f"write {NAMESPACE}:{name} instead",
            )
    with suppress(UnjudgedError):
        region = settings.environment.region
        if config.get(_REGION, region) != region:
            yield Finding(
                path=(_REGION,),
                found=show(config[_REGION]),
                allowed=f"{region}, the value of {NAMESPACE}:environment.region",
                remedy="remove it: the program passes its region to the provider",
            )


def _counts_broken_items(error: ErrorDetails, errors: Iterable[ErrorDetails]) -> bool:
    """Whether a list is only too short because pydantic does not count items that are wrong themselves."""
    length = len(error["loc"])
    below = (other for other in errors if len(other["loc"]) > length and other["loc"][:length] == error["loc"])
    return error["type"] == "too_short" and any(below)


def _problem(finding: Finding, file: str) -> Problem:
    return Problem(
        file=file, key=key(finding.path), found=finding.found, allowed=finding.allowed, remedy=finding.remedy
    )


def _place(finding: Finding) -> tuple[int, ...]:
    """Return a sort key: the order in which the sections and their fields are declared, unknown keys last."""
    order: list[int] = []
    for depth, part in enumerate(finding.path):
        known = list(node(finding.path[:depth]).get("properties", {}))
        order.append(part if isinstance(part, int) else known.index(part) if part in known else len(known))
    return tuple(order)
