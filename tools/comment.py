"""`python -m tools.comment FOLDER`: one Markdown comment on a pull request, from the files of `tools.reports`.

Writes `comment.md` into the folder, and `policy.sarif` for code scanning (see `tools.sarif`). The comment begins with
a hidden marker, by which a workflow finds the one that it wrote before; it is the same for the same files, and never
longer than GitHub takes.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import sarif
from tools.markdown import code, cut, table, text
from tools.reports import OPERATIONS, Cost, Environment, ReportError, read

MARKER = "<!-- slipway: plan, policies and cost -->"
"""First line of the comment."""
LONGEST_COMMENT = 65_536
"""Characters that GitHub takes as the body of a comment."""
_LONGEST_FIELD = 600
_RESERVE = 200
_SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A heading with entries, of which the last may be left out when there is no room."""

    title: str
    count: int
    entries: Iterable[str]
    """As many as `count`, made one after the other."""
    head: str = ""
    """Stands once before the entries."""
    folded: bool = False


def comment(environments: Sequence[Environment]) -> str:
    """The comment on all environments, what blocks first."""
    refused = [each.stack for each in environments if not each.policy["passed"]]
    verdict = f"**Refused** for {', '.join(map(code, refused))}." if refused else "**Passed** in every environment."
    written = f"{MARKER}\n## Plan, policies and cost\n\n{verdict}\n\n{_overview(environments)}\n"
    for section in _sections(environments):
        written += _fitted(section, LONGEST_COMMENT - len(written) - _RESERVE)
    return written


def _overview(environments: Iterable[Environment]) -> str:
    rows = [
        (
            code(each.stack),
            "passed" if each.policy["passed"] else "**refused**",
            _changes_in_short(each),
            *(str(each.policy["counts"][name]) for name in ("blocking", "undetermined", "advice", "exempted")),
            _cost_in_short(each.cost),
        )
        for each in environments
    ]
    head = ("environment", "policies", "plan", "blocking", "undetermined", "advice", "exempted", "cost per month")
    return table(head, rows)


def _sections(environments: Sequence[Environment]) -> Iterator[_Section]:
    for each in environments:
        blocking = [found for found in each.policy["findings"] if found["blocks"]]
        yield _Section(title=f"{code(each.stack)}: what blocks", count=len(blocking), entries=map(_finding, blocking))
    expiring = [(each.stack, found) for each in environments for found in each.policy["expiring"]]
    yield _Section(
        title="Exemptions about to expire",
        count=len(expiring),
        entries=itertools.starmap(_expiring, expiring),
        head=table(("environment", "policy", "resources", "until", "owner", "reason"), []),
    )
    for each in environments:
        yield _Section(
            title=f"{code(each.stack)}: plan by type",
            count=len({kind for _, kind in each.changes or {}}),
            entries=_changes_by_type(each),
            head=table(("type", *OPERATIONS), []),
            folded=True,
        )
        yield _Section(
            title=f"{code(each.stack)}: cost per month",
            count=len(each.cost.lines) if each.cost else 0,
            entries=_cost_lines(each.cost),
            head=table(("part", "before", "after", "change"), []),
            folded=True,
        )
    for each in environments:
        rest = [found for found in each.policy["findings"] if not found["blocks"]]
        yield _Section(
            title=f"{code(each.stack)}: advice and exemptions",
            count=len(rest),
            entries=map(_finding, rest),
            folded=True,
        )


def _fitted(section: _Section, room: int) -> str:
    """A section with as many entries as there is room for; nothing when it has none."""
    if not section.count:
        return ""
    title = f"{section.title} ({section.count})"
    before = f"\n<details><summary>{_as_html(title)}</summary>\n\n" if section.folded else f"\n### {title}\n\n"
    before += f"{section.head}\n" if section.head else ""
    after = "\n</details>\n" if section.folded else ""
    kept: list[str] = []
    room -= len(before) + len(after)
    for entry in section.entries:
        room -= len(entry) + 1
        if room < _RESERVE:
            break
        kept.append(entry)
    left = section.count - len(kept)
    if not kept:
        return f"\n{title}: left out, see the reports.\n" if room > -_RESERVE else ""
    note = f"\n… and {left} more, see the reports.\n" if left else ""
    return before + "\n".join(kept) + "\n" + note + after


def _as_html(title: str) -> str:
    """A title for a summary, in which GitHub renders no Markdown."""
    return title.replace("`", "")


def _finding(found: Mapping[str, Any]) -> str:
    source = found["source"]
    where = [code(cut(str(found[name] or ""), _LONGEST_FIELD)) for name in ("resource", "type", "path")]
    place = code(f"{source['file']}:{source['line']}") if source else ""
    head = f"- **{text(found['rule'])}** ({text(found['outcome'])}) {' '.join(part for part in where if part)}"
    wanted = f", want {_field(found['wanted'])}" if found["wanted"] else ""
    fix = f" Fix: {_field(found['fix'])}" if found["fix"] else ""
    return f"{head}: found {_field(found['found'])}{wanted}.{fix}{f' {place}' if place else ''}"


def _field(data: object) -> str:
    return text(cut(str(data), _LONGEST_FIELD))


def _expiring(stack: str, found: Mapping[str, Any]) -> str:
    until = f"{text(found['expires'])} ({found['days']} days)"
    cells = (code(stack), text(found["rule"]), code(cut(found["urn"], _LONGEST_FIELD)), until, _field(found["owner"]))
    return f"| {' | '.join((*cells, _field(found['reason'])))} |"


def _changes_in_short(environment: Environment) -> str:
    if environment.changes is None:
        return f"{environment.policy['counts']['resources']} resources"
    told = [f"{_SIGNS[name]}{count}" for name in OPERATIONS if (count := environment.total(name))]
    return " ".join(told) or "no change"


def _changes_by_type(environment: Environment) -> Iterator[str]:
    changes = environment.changes or {}
    for kind in sorted({kind for _, kind in changes}):
        counts = (str(changes.get((operation, kind), "")) for operation in OPERATIONS)
        yield f"| {' | '.join((code(kind), *counts))} |"


def _cost_in_short(cost: Cost | None) -> str:
    if cost is None:
        return "not computed"
    return _money(cost.after) if cost.before is None else f"{_money(cost.after)} ({_change(cost.before, cost.after)})"


def _cost_lines(cost: Cost | None) -> Iterator[str]:
    for line in cost.lines if cost else ():
        amounts = ("" if each is None else _money(each) for each in (line.before, line.after))
        change = _change(line.before or 0.0, line.after or 0.0)
        yield f"| {' | '.join((_field(line.name), *amounts, change))} |"


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def _change(before: float, after: float) -> str:
    return f"{round(after, 2) - round(before, 2):+,.2f}"


def main(arguments: Sequence[str]) -> int:
    """Write both files; 2 when the folder cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tools.comment", description="Write comment.md and policy.sarif.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    try:
        environments = read(folder)
        written = comment(environments)
        scanned = sarif.log(environments)
    except (ReportError, KeyError, TypeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    (folder / "comment.md").write_text(written, encoding="utf-8")
    (folder / "policy.sarif").write_text(json.dumps(scanned, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {folder / 'comment.md'} and {folder / 'policy.sarif'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
