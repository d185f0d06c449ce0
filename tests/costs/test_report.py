from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from costs.estimate import Place, bill
from costs.prices import price_table
from costs.report import BaseError, change_table, changed, comparison, earlier, table, to_json
from tests.support.planned import made_up, nodes, usage_for_all

PLACE = Place(environment="test", region="us-east-1", cost_center="research")


def data(*, count: int = 2, kind: str = "m6i.large", key: bool = True) -> dict[str, Any]:
    plan = [*nodes("pool", kind, count), *([made_up("aws:kms/key:Key", "key", {})] if key else [])]
    found = bill(plan, PLACE, usage_for_all(), price_table(), on=date(2026, 11, 22))
    return json.loads(json.dumps(to_json(found, price_table())))


def test_an_estimate_as_data_holds_every_line_with_its_source_and_adds_up() -> None:
    found = data()
    assert found["environment"] == "test"
    assert found["currency"] == "USD"
    assert found["pricesRead"] == "2026-11-22"
    assert {line["source"] for line in found["lines"]} == found["sources"].keys()
    whole = sum(line["monthly"]["expected"] for line in found["lines"])
    assert whole == pytest.approx(found["monthly"]["expected"], abs=0.001)
    assert found["monthly"]["expected"] > 0
    assert {line["kind"] for line in found["lines"]} == {"fixed", "usage"}
    assert found["assumptions"]["keyRequests[*]"]["why"] == "made up for a test"


def test_a_comparison_names_each_changed_line_with_before_after_and_difference() -> None:
    compared = comparison(data(count=2), data(count=3))
    assert compared.keys() == {"environment", "currency", "before", "after", "difference", "lines", "estimate"}
    assert [(line["component"], line["resource"], line["what"]) for line in compared["lines"]] == [
        ("thing", "pool", "3 m6i.large, on demand"),
        ("thing", "pool", "3 50 GiB gp3"),
    ]
    machines = compared["lines"][0]
    assert (machines["before"], machines["after"], machines["difference"]) == (140.16, 210.24, 70.08)
    assert compared["after"] - compared["before"] == pytest.approx(compared["difference"])
    assert compared["difference"] == pytest.approx(70.08 + 4.00)


def test_another_machine_type_is_one_changed_line_and_not_two() -> None:
    lines = comparison(data(kind="m6i.large"), data(kind="m6i.xlarge"))["lines"]
    assert [(line["what"], line["difference"]) for line in lines] == [("2 m6i.xlarge, on demand", 140.16)]


def test_a_line_that_comes_or_goes_was_or_becomes_zero() -> None:
    (gone, *_) = changed(data(key=True)["lines"], data(key=False)["lines"])
    (new, *_) = changed(data(key=False)["lines"], data(key=True)["lines"])
    assert (gone.what, float(gone.before), float(gone.after)) == ("KMS key", 1.0, 0.0)
    assert (new.what, float(new.difference)) == ("KMS key", 1.0)


def test_the_same_plan_twice_has_no_changed_line() -> None:
    compared = comparison(data(), data())
    assert compared["lines"] == []
    assert compared["difference"] == 0.0


def test_an_earlier_estimate_is_found_alone_and_inside_a_comparison() -> None:
    found = data()
    assert earlier(found) == found
    assert earlier(comparison(data(count=1), found)) == found


@pytest.mark.parametrize("content", [[], {}, "text", {"lines": []}, None])
def test_what_is_no_earlier_estimate_is_refused(content: object) -> None:
    with pytest.raises(BaseError, match="neither an estimate"):
        earlier(content)


def test_the_table_shows_sums_largest_lines_assumptions_and_what_is_not_priced() -> None:
    plan = [*nodes("pool", "m6i.large", 2), made_up("aws:rds/cluster:Cluster", "database", {})]
    plan.append(made_up("aws:kms/key:Key", "key", {}))
    found = bill(plan, PLACE, usage_for_all(), price_table(), on=date(2026, 11, 22))
    lines = [" ".join(line.split()) for line in table(found, price_table()).splitlines()]
    assert lines[0].endswith("list prices read until 2026-11-22")
    assert "thing pool 2 m6i.large, on demand 140.16" in lines
    assert "keyRequests[*] 1, 2, 3 made up for a test" in lines
    assert "thing database aws:rds/cluster:Cluster nobody has said what this type costs" in lines
    assert any(line.startswith("research ") for line in lines)


def test_an_empty_plan_has_a_table_too() -> None:
    empty = bill((), PLACE, usage_for_all(), price_table(), on=date(2026, 11, 22))
    assert "nothing" in table(empty, price_table())


def test_a_change_is_shown_with_its_sign() -> None:
    shown = change_table(comparison(data(count=3), data(count=2)))
    assert "-70.08" in shown
    assert shown.splitlines()[-1].split()[-1] == "-74.08"
