import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.tools.reports import URN, environment, expiring, finding, report, written
from tools import comment as tool
from tools.comment import LONGEST_COMMENT, MARKER, comment
from tools.markdown import code, text
from tools.reports import Cost, CostLine, Environment, ReportError, changes_between, changes_of_preview, cost_of, read

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "</details><script>alert(1)</script>",
        "<!-- slipway: plan, policies and cost -->",
        "@everyone see #1 and https://evil.example/?q=1",
        "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
        "``` ` `` |cell| \\| \\` **bold** ~~gone~~ $x$ :smile:",
        "- item\n# heading\n\n1. list\r\n> quote\t<b>",
        "&lt;b&gt; &amp; \u2028 \x00 \u202e",
    ]
)


def inline(markdown: str) -> list[Token]:
    return [child for token in GITHUB.parse(markdown) for child in token.children or ()]


def plain(data: str) -> str:
    return re.sub(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+", " ", data).strip()


@settings(deadline=None)
@given(HOSTILE)
def test_data_in_running_text_stays_text_and_says_the_same(data: str) -> None:
    tokens = inline(f"x {text(data)} x")
    assert {token.type for token in tokens} <= {"text", "text_special"}
    shown = "".join(token.content for token in tokens).replace("\u200b", "")
    said = plain(data).replace("\u200b", "")
    assert shown == (f"x {said} x" if said else "x  x")


@settings(deadline=None)
@given(HOSTILE)
def test_data_in_a_code_span_stays_in_it(data: str) -> None:
    tokens = [token for token in inline(f"| a |\n| - |\n| x {code(data)} x |\n") if token.content not in {"a", ""}]
    spans = [token.content for token in tokens if token.type == "code_inline"]
    wanted = plain(data).replace("|", "\u00a6")
    assert spans == ([wanted] if wanted else [])
    assert {token.type for token in tokens} <= {"text", "code_inline"}


@settings(deadline=None)
@given(HOSTILE)
def test_nobody_is_mentioned_and_nothing_is_linked(data: str) -> None:
    shown = "".join(token.content for token in inline(text(data)))
    assert not re.search(r"[@#]\w|https?:|ftp:|www\.", shown, re.IGNORECASE)


@settings(deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("path", "found", "wanted", "fix", "resource", "type"), HOSTILE)))
def test_a_hostile_finding_is_one_entry_of_a_list_and_adds_no_markup(fields: dict[str, str]) -> None:
    body = comment([environment("prod", finding(**fields))])
    tokens = GITHUB.parse(body)
    assert sum(token.type == "list_item_open" for token in tokens) == 1
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "code_inline", "strong_open", "strong_close"}
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [MARKER]


@settings(deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(("urn", "reason", "owner", "expires"), HOSTILE)))
def test_a_hostile_exemption_is_one_row_of_the_table(fields: dict[str, str]) -> None:
    tokens = GITHUB.parse(comment([environment("prod", ending=(expiring(**fields),))]))
    rows = [index for index, token in enumerate(tokens) if token.type == "tr_open"]
    assert len(rows) == 4, "two heads, one environment, one exemption"


@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_comment_is_never_longer_than_github_takes_and_says_what_it_left_out(count: int) -> None:
    many = [finding(found=f"value {number} {'x' * 900}") for number in range(count)]
    advice = [finding(blocks=False, outcome="exempted") for _ in range(count)]
    body = comment([environment(stack, *many, *advice) for stack in ("dev", "prod")])
    assert len(body) <= LONGEST_COMMENT
    assert body.startswith(MARKER)
    assert ("see the reports" in body) == (count > 100)
    assert body.count("<details>") == body.count("</details>")


def test_a_comment_is_the_same_for_the_same_files_and_marked_once(tmp_path: Path) -> None:
    environments = written(tmp_path, policy_prod=report("prod", finding()), policy_dev=report("dev"))
    assert [each.stack for each in environments] == ["dev", "prod"]
    assert comment(environments) == comment(read(tmp_path))
    assert comment(environments).count(MARKER) == 1


def test_what_blocks_comes_with_its_fix_its_place_and_the_verdict() -> None:
    body = comment([environment("dev"), environment("prod", finding())])
    assert "**Refused** for `prod`." in body
    assert "| `dev` | passed |" in body
    entry = next(line for line in body.splitlines() if line.startswith("- "))
    assert "`data` `aws:s3/bucket:Bucket` `policy`: found nothing, want a Deny. Fix: deny it" in entry
    assert entry.endswith("`components/bucket.py:66`")
    assert "**Passed** in every environment." in comment([environment("dev")])


def test_an_exemption_that_ends_soon_is_named_with_its_owner_and_day() -> None:
    body = comment([environment("prod", ending=(expiring(),))])
    row = next(line for line in body.splitlines() if "an old client" in line)
    assert "platform" in row
    assert "2026&#45;12&#45;01 (9 days)" in row


def bucket(name: str, **inputs: object) -> dict[str, object]:
    return {"urn": URN.replace("::data", f"::{name}"), "inputs": inputs}


def test_a_plan_is_compared_by_type_without_what_the_engine_keeps_for_itself() -> None:
    provider = {"urn": "urn:pulumi:prod::slipway::pulumi:providers:aws::aws", "inputs": {"region": "x"}}
    base = {"deployment": {"resources": [bucket("a"), bucket("b", size=1), bucket("c", key={"ciphertext": "1"})]}}
    plan = {
        "deployment": {"resources": [bucket("b", size=2), bucket("c", key={"ciphertext": "2"}), bucket("d"), provider]}
    }
    kind = "aws:s3/bucket:Bucket"
    assert changes_between(base, plan) == {("create", kind): 1, ("delete", kind): 1, ("update", kind): 1}
    assert changes_between(base, base) == {}


def test_a_replacement_in_a_preview_counts_once() -> None:
    steps = [{"op": op, "urn": URN} for op in ("create-replacement", "replace", "delete-replaced", "same", "update")]
    kind = "aws:s3/bucket:Bucket"
    assert changes_of_preview({"steps": steps}) == {("replace", kind): 1, ("update", kind): 1}


def test_plan_and_cost_are_shown_in_short_and_by_part(tmp_path: Path) -> None:
    preview = {"steps": [{"op": "create", "urn": URN}, {"op": "delete", "urn": URN}]}
    cost = {"before": 1000, "after": 1250.5, "lines": [{"name": "NAT | gateways", "before": None, "after": 250.5}]}
    body = comment(written(tmp_path, policy_prod=report("prod"), preview_prod=preview, cost_prod=cost))
    assert "| +1 -1 |" in body
    assert "| 1,250.50 (+250.50) |" in body
    assert "| `aws:s3/bucket:Bucket` | 1 |  |  | 1 |" in body
    assert "| NAT &#124; gateways |  | 250.50 | +250.50 |" in body


def test_a_cost_is_read_as_make_cost_writes_it_alone_and_compared() -> None:
    alone: dict[str, Any] = {
        "monthly": {"expected": 12.5, "low": 1},
        "byComponent": {"network": {"expected": 12.5}},
        "lines": [],
    }
    assert cost_of(alone) == Cost(before=None, after=12.5, lines=(CostLine(name="network", before=None, after=12.5),))
    line: dict[str, Any] = {
        "component": "network",
        "resource": "nat",
        "what": "hours",
        "before": 1,
        "after": 2,
        "difference": 1,
    }
    compared: dict[str, Any] = {"before": 1, "after": 2, "lines": [line], "estimate": alone}
    assert cost_of(compared).lines == (CostLine(name="network nat: hours", before=1, after=2),)


def test_without_a_base_the_resources_are_counted_and_without_prices_none_is_claimed() -> None:
    row = next(line for line in comment([environment("prod")]).splitlines() if line.startswith("| `prod`"))
    assert "| 7 resources |" in row
    assert row.endswith("| not computed |")


def test_a_cost_without_a_former_one_shows_no_change() -> None:
    cost = Cost(before=None, after=10, lines=(CostLine(name="x", before=None, after=10),))
    body = comment([Environment(stack="prod", policy=report("prod"), changes={}, cost=cost)])
    assert "| no change | 0 | 0 | 0 | 0 | 10.00 |" in body


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps({"format": 2}), json.dumps(report("prod") | {"counts": {}})]
)
def test_a_folder_that_cannot_be_used_is_refused_and_nothing_is_written(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy-prod.json").write_text(content, encoding="utf-8")
    assert tool.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["policy-prod.json"]


def test_an_empty_folder_is_told_how_to_be_filled(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="make policy OUT="):
        read(tmp_path)


def test_both_files_are_written(tmp_path: Path) -> None:
    written(tmp_path, policy_prod=report("prod", finding()))
    assert tool.main([str(tmp_path)]) == 0
    assert (tmp_path / "comment.md").read_text(encoding="utf-8").startswith(MARKER)
    assert json.loads((tmp_path / "policy.sarif").read_text(encoding="utf-8"))["version"] == "2.1.0"
