"""Which version has served for long enough where it comes from, as the registry there tells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.soak import HOUR, Soak, judge, note
from lifecycle.steps import Package
from release import registry
from release.record import Record, Version
from rollout.plan import Phase, State

if TYPE_CHECKING:
    from collections.abc import Sequence

WHERE = "slipway-staging"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
DAY = Soak(where=WHERE, seconds=24 * HOUR, now=NOON)


def package(version: int, said: str = "", where: str = WHERE) -> Package:
    """A version of which a release has said something."""
    return Package(
        arn=f"arn/{version}",
        version=version,
        status="Approved",
        image_uri="",
        artefact_uri="",
        properties={f"release-{where}": said} if said else {},
        evaluation_uri="",
    )


def promoted(version: int, hours_ago: float) -> Package:
    return package(version, told(Phase.PROMOTED, version, hours_ago))


def told(phase: Phase, version: int, hours_ago: float, not_back: str = "") -> str:
    """What a release writes, by the code that writes it."""
    return registry.summary(record(phase, version, NOON - hours_ago * HOUR), not_back)


def record(phase: Phase, version: int, at: float, previous: int = 0) -> Record:
    wanted, before = (Version(image=f"registry/m@sha256:{name:064x}", name=str(name)) for name in (version, previous))
    return Record(wanted=wanted, previous=before if previous else None, begun=at, state=State(phase, 0, at, "why"))


class Packages:
    """Keeps what is said of versions."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, str]] = {}

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803 - as the API spells it
        return {"CustomerMetadataProperties": self.said.get(ModelPackageName, {})}

    def update_model_package(self, *, ModelPackageArn: str, CustomerMetadataProperties: Any, **_status: str) -> None:  # noqa: N803 - as the API spells it
        self.said[ModelPackageArn] = CustomerMetadataProperties

    def versions(self) -> list[Package]:
        return [replace(package(int(arn[4:])), properties=said) for arn, said in self.said.items()]


def test_a_version_that_serves_for_as_long_as_is_asked_for_may_travel() -> None:
    served = judge(promoted(2, 24), [promoted(1, 90), promoted(2, 24)], DAY)
    assert served.enough
    assert note(served, DAY) == f"version 2 serves at {WHERE} since 2026-01-04T12:00:00+00:00. 24 h are asked for"


def test_a_version_that_another_one_followed_counts_until_then() -> None:
    versions = [promoted(1, 90), promoted(2, 60), promoted(3, 1)]
    assert [judge(each, versions, DAY).enough for each in versions] == [True, True, False]
    assert "from 2026-01-03T00:00:00+00:00 to 2026-01-05T11:00:00+00:00" in judge(versions[1], versions, DAY).told


UNKNOWN = (
    "version 2 has to have served at slipway-staging for 24 h, and has not been released there, as far as it is known; "
    "release it there and promote it 24 h later"
)


@pytest.mark.parametrize(
    ("asked", "others", "said"),
    [
        (
            package(2),
            [],
            UNKNOWN,
        ),
        (
            package(2, told(Phase.PROMOTED, 2, 90), "slipway-dev"),
            [],
            UNKNOWN,
        ),
        (
            promoted(2, 23.5),
            [],
            (
                "version 2 serves at slipway-staging since 2026-01-04T12:30:00+00:00. 24 h are asked for: it may be "
                "promoted from 2026-01-05T12:30:00+00:00 on"
            ),
        ),
        (
            promoted(2, 90),
            [promoted(3, 80)],
            (
                "version 2 served at slipway-staging from 2026-01-01T18:00:00+00:00 to 2026-01-02T04:00:00+00:00. 24 h "
                "are asked for: another one took over. Release it there again, or promote the other one when its time "
                "has come"
            ),
        ),
        (
            package(2, told(Phase.ROLLED_BACK, 2, 30)),
            [],
            (
                "version 2 has to have served at slipway-staging for 24 h, and says of its release there: rolled-back "
                f"sha256:{2:064x} at 2026-01-04T06:00:00+00:00 why; release it there and promote it 24 h later"
            ),
        ),
        (
            promoted(2, 90),
            [package(3, told(Phase.ROLLED_BACK, 3, 30, "no pods"))],
            (
                "version 3 was to be taken back at slipway-staging and is not known to have gone: start its way back "
                "again, and then promote version 2"
            ),
        ),
    ],
)
def test_what_is_missing_and_what_helps_is_said(asked: Package, others: Sequence[Package], said: str) -> None:
    served = judge(asked, [asked, *others], DAY)
    assert (served.enough, served.told) == (False, said)


def test_a_version_that_serves_again_begins_anew() -> None:
    back = package(1, told(Phase.PROMOTED, 1, 2) + " again in place of 2")
    assert not judge(back, [package(2, told(Phase.ROLLED_BACK, 2, 2)), back], DAY).enough


def test_what_a_person_waived_says_so_and_why_and_what_was_missing() -> None:
    waived = replace(DAY, waived="a fix for #12; the old one is wrong")
    kept = note(judge(promoted(2, 1), [], waived), waived)
    assert kept.startswith("waived: a fix for  12  the old one is wrong: version 2 serves at slipway-staging since")
    assert len(kept) <= registry.MOST
    assert not note(judge(promoted(2, 30), [], waived), waived).startswith("waived")


def test_a_version_knows_when_it_was_followed_though_the_next_one_serves_again() -> None:
    packages: Any = Packages()
    for version, hours in ((1, 0), (2, 1), (3, 2)):
        registry.report(packages, f"arn/{version}", WHERE, record(Phase.PROMOTED, version, hours * HOUR, version - 1))
    registry.report_return(packages, "arn/", WHERE, record(Phase.ROLLED_BACK, 3, 30 * HOUR, 2))
    first, second, third = packages.versions()
    later = replace(DAY, now=55 * HOUR)
    assert first.properties["followed-slipway-staging"] == "by 2 at 1970-01-01T01:00:00+00:00"
    assert [judge(each, packages.versions(), later).enough for each in (first, second, third)] == [False, True, False]


HISTORIES = st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=20)


@given(HISTORIES)
def test_over_any_history_a_version_passes_if_and_only_if_it_has_served_that_long_since_it_last_came(
    history: list[tuple[bool, int]],
) -> None:
    """Each turn releases the next version or takes the newest one back, and hours pass."""
    packages: Any = Packages()
    hour, spans = 0, dict[int, int]()
    serving, before, newest = 0, 0, 0
    for forward, passed in history:
        if forward or not before:
            newest, before, serving = newest + 1, serving, newest + 1
            done = record(Phase.PROMOTED, serving, hour * HOUR, before)
            registry.report(packages, f"arn/{serving}", WHERE, done)
        else:
            back = record(Phase.ROLLED_BACK, serving, hour * HOUR, before)
            registry.report_return(packages, "arn/", WHERE, back)
            spans[serving], serving, before = 0, before, 0
        hour, spans[serving] = hour + passed, passed
    versions = packages.versions()
    found = {each.version: judge(each, versions, replace(DAY, now=hour * HOUR)).enough for each in versions}
    assert found == {version: span * HOUR >= DAY.seconds for version, span in spans.items()}
