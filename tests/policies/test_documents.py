"""What is made from the rules is up to date and true, and no control has lost what holds it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from guardrails import controls, docs
from guardrails.controls import ANSWERED_BY_ACCOUNT, Cases, Control, ControlError
from guardrails.levels import FOLDER, KINDS
from guardrails.packconfig import load
from guardrails.registry import all_rules
from guardrails.schema import config_schema
from tests.policies.corpus import cases
from tests.policies.elsewhere import elsewhere

ROOT = Path(__file__).parents[2]
RULES = {rule.name: rule for rule in all_rules()}
PAGE = docs.policies_page(all_rules())
VALIDATOR: Any = jsonschema.Draft202012Validator(config_schema(all_rules()))


def test_the_written_files_are_those_that_the_rules_make() -> None:
    for path, text in docs.files().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run make docs"


def test_every_control_has_a_rule_or_says_why_none_can_hold_it_and_every_rule_fires_in_a_case() -> None:
    assert controls.problems(controls.read(), all_rules(), controls.cases_of_rules(), ROOT) == []


def test_the_controls_are_all_that_the_platform_promises() -> None:
    listed = [each.id for each in controls.read()]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {f"H{number:02}" for number in range(1, 21)} | {"D25", "E07", "E13", "E18", "I06"}


def test_the_cases_are_counted_as_the_tests_read_them() -> None:
    counted = controls.cases_of_rules()
    for name in RULES:
        mine = [case.verdict for case in cases() if case.rule.name == name]
        files = counted[name]
        assert sum(each.fire for each in files) == mine.count("violation"), name
        assert sum(each.let_pass for each in files) == mine.count("pass"), name
        assert sum(each.undetermined for each in files) == mine.count("undetermined"), name


CASES = {name: [Cases(file=f"{name}.yaml", fire=1, let_pass=1, undetermined=1)] for name in RULES}
GOOD = Control(id="X1", title="x", rules=("s3-tls-only",))


@pytest.mark.parametrize(
    ("control", "lost", "problem"),
    [
        (GOOD, "s3-tls-only", "s3-tls-only: no case in which it fires"),
        (replace(GOOD, rules=()), None, "X1: neither a rule nor a reason"),
        (replace(GOOD, without="none can"), None, "X1: rules hold it, and it says that none can"),
        (replace(GOOD, rules=("no-such-rule",)), None, "X1: there is no rule no-such-rule"),
        (replace(GOOD, evidence=("tests/gone.py",)), None, "X1: there is no test tests/gone.py"),
    ],
)
def test_a_control_that_has_lost_something_is_named(control: Control, lost: str | None, problem: str) -> None:
    files = {name: [replace(each, fire=0) for each in held] if name == lost else held for name, held in CASES.items()}
    assert controls.problems([control], all_rules(), files, ROOT) == [problem]
    assert controls.problems([GOOD], all_rules(), CASES, ROOT) == []


def test_only_a_rule_that_the_account_may_answer_needs_no_firing_case() -> None:
    silent = {name for name, held in controls.cases_of_rules().items() if not any(each.fire for each in held)}
    assert silent == ANSWERED_BY_ACCOUNT


@pytest.mark.parametrize("text", ["- 1", "{", "- {id: X, title: x, rule: [a]}", "- {title: x}"])
def test_a_file_of_controls_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "controls.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ControlError):
        controls.read(path)


def test_the_page_says_of_every_rule_why_how_to_satisfy_it_and_what_it_answers() -> None:
    sections = dict(re.findall(r"^### `([a-z0-9-]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
    assert sections.keys() == RULES.keys()
    for name, section in sections.items():
        for part in ("- **Why:** ", "- **How to satisfy it:** ", "- **Answers:** ", "- **Reads:** "):
            assert part in section, name
        assert RULES[name].severity in section
        assert len(re.findall(r"\*\*Mind:\*\*", section)) == len(RULES[name].traps), name
    rows = re.findall(r"^\| \[`([a-z0-9-]+)`\].* \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    assert {name: (dev, prod) for name, dev, prod in rows} == {
        name: (rule.levels.dev, rule.levels.prod) for name, rule in RULES.items()
    }


@pytest.mark.parametrize("page", ["docs/policies.md", "docs/controls.md"])
def test_every_link_leads_to_a_rule_and_every_table_has_even_rows(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"\(policies\.md#([^)]+)\)", text)) <= RULES.keys()
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table[:200]
    assert not re.search(r"<[a-z/!]", re.sub(r"`[^`]*`", "", text)), "a tag"


@pytest.mark.parametrize("environment", sorted(KINDS))
def test_our_own_configurations_are_valid_by_the_schema(environment: str) -> None:
    VALIDATOR.validate(load(FOLDER / f"{environment}.json"))


def test_another_organisation_s_configuration_needs_only_what_differs() -> None:
    VALIDATOR.check_schema(config_schema(all_rules()))
    VALIDATOR.validate({})
    VALIDATOR.validate(elsewhere())
    VALIDATOR.validate({"s3-tls-only": "advisory", "undecided": "mandatory"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"no-such-rule": "mandatory"},
        {"s3-tls-only": "fatal"},
        {"required-tags": {"required": "Owner"}},
        {"required-tags": {"colour": "red"}},
        {"irsa-trust-scoped": {"mostSubjects": 2.5}},
        {"s3-tls-only": {"exemptions": [{"urn": "x"}]}},
        {"undecided": {}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(wrong)


def test_a_stale_file_and_a_lost_control_end_the_check_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    lost = ["X1: neither a rule nor a reason"]

    def problems(*_: object) -> list[str]:
        return lost

    monkeypatch.setattr(controls, "problems", problems)
    monkeypatch.setattr(docs, "files", lambda: {Path("page.md"): "new\n"})
    assert docs.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "X1: neither a rule nor a reason" in told
    assert "page.md is not up to date; run make docs" in told
    lost.clear()
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "new\n"
