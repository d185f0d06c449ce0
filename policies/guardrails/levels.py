"""`python -m guardrails.levels` (in `policies/`): write every rule's level into the four files of `config/`.

Facts and exemptions stay as they are. A test fails while a file differs from what this writes.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from guardrails.packconfig import REPORTS, load
from guardrails.registry import all_rules
from guardrails.rule import AnyRule

KINDS: dict[str, str] = {"local": "prod", "dev": "dev", "staging": "prod", "prod": "prod"}
"""Which levels an environment has: the sandbox shows the user what production will say."""

FOLDER = Path(__file__).parents[1] / "config"


def with_levels(config: Mapping[str, object], rules: Iterable[AnyRule], kind: str) -> dict[str, object]:
    """A configuration with the levels of a kind of environment (`dev` or `prod`), in the order of the rules."""
    levelled: dict[str, object] = {}
    for rule in rules:
        entry = config.get(rule.name)
        facts = dict(cast("Mapping[str, object]", entry)) if isinstance(entry, Mapping) else {}
        levelled[rule.name] = {**facts, "enforcementLevel": str(getattr(rule.levels, kind))}
    return {**levelled, **{name: config.get(name, "advisory") for name in REPORTS}}


def text_of(config: Mapping[str, object]) -> str:
    """A configuration as it stands in its file."""
    return json.dumps(config, indent=2, sort_keys=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Rewrite the four files."""
    for environment, kind in KINDS.items():
        path = folder / f"{environment}.json"
        config = load(path) if path.exists() else {}
        path.write_text(text_of(with_levels(config, all_rules(), kind)), encoding="utf-8")


if __name__ == "__main__":
    write()
