"""`python -m crossguard.taggable` (in `policies/`): write `guardrails/taggable.txt` from the installed AWS SDK.

A type is taggable when its resource has an input `tags` and the output `tagsAll` that the provider merges its default
tags into. The SDK's source is read as text, because importing its 1,600 modules takes far longer.
"""

import re
from importlib.util import find_spec
from pathlib import Path

TARGET = Path(__file__).parents[1] / "guardrails" / "taggable.txt"
_TOKEN = re.compile(r"'(aws:[\w/]+:\w+)',\s+resource_name,")
_MARKS = ('__props__.__dict__["tags"] = tags', '__props__.__dict__["tags_all"] = None')


def taggable() -> list[str]:
    """The tokens of all taggable types of the installed `pulumi_aws`, sorted.

    Raises:
        ModuleNotFoundError: `pulumi_aws` is not installed.
    """
    spec = find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pulumi_aws is not installed")
    sources = (path.read_text(encoding="utf-8") for path in Path(spec.origin).parent.rglob("*.py"))
    tokens = (_TOKEN.search(source) for source in sources if all(mark in source for mark in _MARKS))
    return sorted(match[1] for match in tokens if match is not None)


if __name__ == "__main__":
    TARGET.write_text("\n".join(taggable()) + "\n", encoding="utf-8")
