"""Versions of a model beside one another."""

from __future__ import annotations

from sandbox.loop.versions import Version, compared


def version(number: int, auc: float, **parameters: str) -> Version:
    return Version(number=number, status="Approved", metrics={"auc": auc}, parameters={"label": "late", **parameters})


def test_versions_are_compared_by_their_metrics_and_by_what_differs() -> None:
    rows = compared([version(1, 0.7012, eta="0.1"), version(2, 0.71337, eta="0.05", max_bin="64")])
    assert rows == {
        "version 1": "Approved · auc 0.7012 · eta=0.1, max_bin=not set",
        "version 2": "Approved · auc 0.7134 · eta=0.05, max_bin=64",
    }


def test_of_what_is_the_same_everywhere_nothing_is_said() -> None:
    assert compared([version(1, 0.7, eta="0.1"), version(2, 0.7, eta="0.1")]).popitem()[1] == "Approved · auc 0.7000"
    assert compared([]) == {}
