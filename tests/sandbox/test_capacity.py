"""What `make capacity` says of a stack file: load, pods, nodes, money, waiting."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from costs.carrying import carrying
from costs.prices import price_table
from sandbox.capacity import main, report
from settings.serving_capacity import nodes_for, room, supply
from tests.settings.stacks import changed, decoded, settings_of, stack_file
from tests.settings.test_serving_capacity import spec_of
from tests.support.targets import serving

if TYPE_CHECKING:
    from pathlib import Path

ON = date(2026, 11, 23)
NODE = Decimal("0.192") * 730 + 100 * Decimal("0.08") + 7 * Decimal("0.30")
"""m6i.xlarge, 100 GiB of gp3 and seven metrics, by the price table."""


def test_the_report_names_load_pods_nodes_and_every_wait() -> None:
    lines = list(report(settings_of(decoded()), ON))
    assert lines[0] == (
        "flight-delay: 3500 requests/s and 50 % in reserve need 4 pods, which fill 1 node; "
        "3 to 10 pods fill at most 2 nodes and carry 15000 requests/s"
    )
    assert "  on a node that has to start: pending to ready 48 s (at most 60), load to ready 78 s" in lines
    assert "  in the place of a placeholder: pending to ready 9 s (at most 15), load to ready 39 s" in lines
    assert json.dumps(lines).count("assumption") == 6


def test_the_report_says_what_the_nodes_cost_and_on_which_day_that_was_asked() -> None:
    lines = list(report(settings_of(decoded()), ON))
    each = NODE * 1_000_000 / (3500 * 3600 * 730)
    assert (
        f"  target load, 4 pods: {NODE:,.2f} US dollars a month for nodes, {each:.4f} for a million requests" in lines
    )
    assert f"  most pods, 10 pods: {2 * NODE:,.2f} US dollars a month for nodes" in lines
    assert f"list prices read on {price_table().read}" in "".join(lines)


def test_pods_that_are_only_described_carry_nothing() -> None:
    assert list(report(settings_of(changed({"models.0.serving": serving("asynchronous")})), ON)) == []


@pytest.mark.parametrize("pods", [0, 1, 10, 11, 60])
def test_every_node_that_the_pods_fill_is_priced_and_no_other(pods: int) -> None:
    settings = settings_of(decoded())
    filled = nodes_for(pods, supply(settings, spec_of(settings)))
    assert filled is not None
    found = carrying(settings, spec_of(settings), pods, price_table(), ON)
    assert found is not None
    assert found.not_priced == ()
    counted = {line.resource: line.quantity.expected / 730 for line in found.lines if line.meter == "nodes"}
    assert counted == {pool: count for pool, count in filled.items() if count}


def test_more_pods_than_there_is_room_for_have_no_price() -> None:
    settings = settings_of(decoded())
    most = room(supply(settings, spec_of(settings)))
    assert carrying(settings, spec_of(settings), most, price_table(), ON) is not None
    assert carrying(settings, spec_of(settings), most + 1, price_table(), ON) is None


def test_spot_nodes_cost_less_and_within_a_band() -> None:
    settings = settings_of(changed({"models.0.serving.eks.capacity": "spot"}))
    found = carrying(settings, spec_of(settings), 4, price_table(), ON)
    assert found is not None
    assert found.monthly.low < found.monthly.expected < found.monthly.high < NODE
    assert any(" to " in line for line in report(settings, ON) if "target load" in line)


def test_a_region_without_prices_says_what_is_missing() -> None:
    settings = settings_of(decoded())
    elsewhere = settings.environment.model_copy(update={"region": "mx-central-1"})
    moved = settings.model_copy(update={"environment": elsewhere})
    assert any("no price ec2.m6i.xlarge in mx-central-1" in line for line in report(moved, ON))


def test_a_pod_without_headroom_waits_for_a_node() -> None:
    settings = settings_of(changed({"karpenter.headroom.pools.0.cpuMillis": 499}))
    assert not any("placeholder" in line for line in report(settings, ON))


def test_files_are_reported_one_by_one_and_a_bad_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(stack_file("prod")), str(stack_file("local"))]) == 0
    told = capsys.readouterr().out
    assert told.index("Pulumi.prod.yaml") < told.index("Pulumi.local.yaml")
    bad = tmp_path / "Pulumi.bad.yaml"
    bad.write_text("config:\n  slipway:nonsense: 1\n")
    assert main([str(bad)]) == 1
    assert "nonsense" in capsys.readouterr().err
