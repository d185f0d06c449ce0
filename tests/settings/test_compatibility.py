"""The table of Kubernetes versions, add-ons and charts, and the calendar of Kubernetes versions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pytest

from settings.compatibility import ADDONS, CHARTS, Row, release
from settings.model import AddonVersions, ChartsSpec
from settings.versions import READ, STANDARD_SUPPORT_ENDS, SUPPORT_LEFT, KubernetesVersion, ending

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS: tuple[KubernetesVersion, ...] = get_args(KubernetesVersion)
ROWS: dict[str, Row] = {**ADDONS, **CHARTS}


@pytest.fixture(params=sorted(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.mark.parametrize(("table", "section"), [(ADDONS, AddonVersions), (CHARTS, ChartsSpec)])
def test_every_addon_and_chart_of_the_settings_has_a_row(
    table: Mapping[str, Row], section: type[AddonVersions | ChartsSpec]
) -> None:
    assert set(section.model_fields) - set(table) == set()


def test_a_row_answers_for_every_kubernetes_version_and_says_where_from(row: Row) -> None:
    assert tuple(row.supported) == VERSIONS
    assert row.source


def test_the_known_versions_of_a_row_are_ordered_and_supported(row: Row) -> None:
    for supported in row.supported.values():
        known = [release(version) for version in supported.known]
        assert known == sorted(set(known)) != []
        assert [version for version in supported.known if version not in supported] == []


def test_versions_are_compared_as_numbers_and_builds_last() -> None:
    ordered = ["v1.9.0-eksbuild.9", "v1.63.0-eksbuild.2", "v1.63.0-eksbuild.10", "v1.63.1-eksbuild.1"]
    assert sorted(ordered, key=release) == ordered
    assert release("1.14.1") == release("v1.14.1") == (1, 14, 1, 0)


@pytest.mark.parametrize(
    ("name", "kubernetes", "version", "nearest"),
    [
        ("kube_proxy", "1.35", "v1.34.6-eksbuild.13", "v1.35.3-eksbuild.13"),
        ("kube_proxy", "1.35", "v1.36.0-eksbuild.2", "v1.35.3-eksbuild.21"),
        ("coredns", "1.36", "v1.13.2-eksbuild.11", "v1.14.2-eksbuild.4"),
        ("karpenter", "1.36", "1.9.0", "1.13.0"),
        ("cert_manager", "1.36", "v1.20.0", "v1.21.0"),
    ],
)
def test_an_unsupported_pair_has_a_nearest_supported_one(
    name: str, kubernetes: KubernetesVersion, version: str, nearest: str
) -> None:
    supported = ROWS[name].supported[kubernetes]
    assert version not in supported
    assert supported.nearest(version) == nearest
    assert nearest in supported


@pytest.mark.parametrize("version", VERSIONS)
def test_kube_proxy_is_of_the_minor_version_of_the_cluster(version: KubernetesVersion) -> None:
    supported = ADDONS["kube_proxy"].supported[version]
    major, minor = map(int, version.split("."))
    assert f"v{major}.{minor}.99-eksbuild.1" in supported
    assert f"v{major}.{minor - 1}.99-eksbuild.1" not in supported
    assert f"v{major}.{minor + 1}.0-eksbuild.1" not in supported


def test_on_the_day_of_the_data_every_listed_version_has_a_quarter_of_standard_support_left() -> None:
    assert tuple(STANDARD_SUPPORT_ENDS) == VERSIONS
    assert ending(READ) == {}
    assert timedelta(days=90) <= SUPPORT_LEFT


def test_a_version_is_announced_a_quarter_before_its_support_ends_and_from_then_on() -> None:
    first, end = next(iter(STANDARD_SUPPORT_ENDS.items()))
    assert first not in ending(end - SUPPORT_LEFT)
    for late in (1, SUPPORT_LEFT.days, SUPPORT_LEFT.days + 400):
        assert first in ending(end - SUPPORT_LEFT + timedelta(days=late))
