from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.__main__ import main
from sandbox.console import Console
from sandbox.costing import CostError, read_plan, report_costs
from settings.check import load_file
from tests.settings.stacks import stack_file
from tests.support.planned import plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from costs.plan import Planned
    from settings.model import Settings


def settings_of(stack: str = "prod", **budget: int) -> Settings:
    settings = load_file(stack_file(stack))
    return settings.model_copy(update={"budget": settings.budget.model_copy(update=budget)})


def run(settings: Settings, *, base: str = "", out: str = "", plan: tuple[Planned, ...] = ()) -> str:
    printed = io.StringIO()
    report_costs(Console(printed), settings, plan or plan_of("prod"), base=base, out=out)
    return printed.getvalue()


def exported(stack: str) -> dict[str, Any]:
    """A plan as `pulumi stack export` writes it."""
    resources = [
        {
            "urn": item.urn,
            "type": item.type,
            "parent": item.parent,
            "inputs": item.inputs,
            "propertyDependencies": item.property_dependencies,
        }
        for item in plan_of(stack)
    ]
    return {"version": 3, "deployment": {"resources": resources}}


def test_the_estimate_is_printed_and_written_with_the_ceiling(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    printed = run(settings_of(), out=str(out))
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["ceiling"] == 3000
    assert f"{written['monthly']['expected']:,.2f}" in printed
    assert printed.rstrip().endswith("The ceiling of 3,000 is kept.")
    assert [path.name for path in tmp_path.iterdir()] == ["cost.json"]


def test_an_estimate_above_the_ceiling_is_an_error_that_names_both_and_is_written_all_the_same(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    with pytest.raises(CostError, match=r"expected to cost 1,\d{3}\.\d\d a month, and its ceiling is 900: "):
        run(settings_of(monthly_usd=900), out=str(out))
    assert json.loads(out.read_text(encoding="utf-8"))["ceiling"] == 900


def test_an_earlier_estimate_and_an_earlier_plan_give_the_same_comparison(tmp_path: Path) -> None:
    estimate, plan, out = (tmp_path / name for name in ("estimate.json", "plan.json", "out.json"))
    run(settings_of(), out=str(estimate), plan=plan_of("dev"))
    plan.write_text(json.dumps(exported("dev")), encoding="utf-8")
    compared: list[Any] = []
    for base in (estimate, plan):
        run(settings_of(), base=str(base), out=str(out))
        compared.append(json.loads(out.read_text(encoding="utf-8"))["lines"])
    assert compared[0] == compared[1]
    assert len(compared[0]) > 10


def test_a_comparison_is_a_base_in_turn(tmp_path: Path) -> None:
    first, second, third = (str(tmp_path / f"{name}.json") for name in "abc")
    run(settings_of(), out=first)
    run(settings_of(), base=first, out=second)
    printed = run(settings_of(), base=second, out=third)
    assert "Change: before, after, difference" in printed
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["lines"] == []


def test_a_plan_that_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(exported("prod")), encoding="utf-8")
    assert read_plan(str(file)) == plan_of("prod")


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"deployment": {}}'])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CostError, match=r"other\.json"):
        read_plan(str(file))
    with pytest.raises(CostError, match=r"other\.json"):
        run(settings_of(), base=str(file))


def test_a_missing_file_or_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CostError, match=r"none\.json cannot be read"):
        run(settings_of(), base=str(tmp_path / "none.json"))
    with pytest.raises(CostError, match="does not exist; create it"):
        run(settings_of(), out=str(tmp_path / "no" / "cost.json"))


def test_an_environment_without_assumptions_is_told_which_file_to_write() -> None:
    settings = settings_of()
    other = settings.environment.model_copy(update={"name": "qa"})
    with pytest.raises(CostError, match=r"costs/assumptions/qa\.yaml does not exist"):
        run(settings.model_copy(update={"environment": other}))


def test_the_command_prices_a_given_plan_and_ends_with_an_error_above_the_ceiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = exported("dev")
    file = tmp_path / "plan.json"
    for nodes, code, last in ((1, 0, "The ceiling of 1,000 is kept."), (100, 1, "raise slipway:budget.monthlyUsd")):
        for resource in plan["deployment"]["resources"]:
            if resource["type"] == "aws:eks/nodeGroup:NodeGroup":
                resource["inputs"] = resource["inputs"] | {"scalingConfig": {"minSize": nodes, "desiredSize": nodes}}
        file.write_text(json.dumps(plan), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["sandbox", "cost", "--stack", "dev", "--plan", str(file)])
        assert main() == code
        assert last in capsys.readouterr().out
